"""Export a run's folder as the files of aa-mini that are shipped."""

import json
from pathlib import Path

from ..drawn import PICTURE_SIZE
from ..places import whole_file
from ..training.export import export
from .autoencoder import trained_autoencoder
from .previews import preview_colours

LATENT_RGB = "latent_rgb.json"


def export_mini(folder: Path, target: Path) -> dict[str, int]:
    """Write a run's weights and the preview colours of its latents; return each file's size."""
    sizes = export(folder, target)
    colours = preview_colours(trained_autoencoder(folder), size=PICTURE_SIZE)
    with whole_file(target / LATENT_RGB) as part:
        part.write_text(json.dumps(colours) + "\n", encoding="utf-8")
    return sizes
