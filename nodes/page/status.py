"""The published weight sets as ComfyUI wants them, and what of them is there."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...animate_anyone.weights.hub.download import partial_path
from ...animate_anyone.weights.hub.transfer import size_of
from ...animate_anyone.weights.sets import record as sets
from ...animate_anyone.weights.sets.record import HubFile
from ...animate_anyone.weights.sets.table import SETS

FOLDER = "animate_anyone"  # below ComfyUI's models, as the two others
VAE_FOLDER = "vae"
CLIP_FOLDER = "clip_vision"

State = Literal["present", "partial", "wrong", "missing"]  # wrong: there, but of another size


@dataclass(frozen=True, kw_only=True)
class SetFile:
    """One file of a weight set, and where ComfyUI's loaders find it."""

    role: str  # the widget in which it is chosen; its own name where there is none
    folder: str  # below ComfyUI's models
    file: HubFile  # `to` is its name in that folder
    licence: str
    usual_size: int = 0  # bytes; of networks of this layout, where the table knows no size


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """What belongs to one name, as the page shows it."""

    name: str
    title: str
    licence: str
    source: Literal["pack", "hub", "own"]  # comes with the pack, is published, or is self-made
    files: tuple[SetFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileStatus:
    """One file as the page shows it."""

    role: str
    folder: str
    name: str  # as ComfyUI's widgets list it, with /
    size: int | None  # bytes; None: not known before it is fetched
    estimate: int  # bytes; the size, or what networks of this layout usually have
    state: State
    bytes_there: int  # of `size`
    licence: str
    address: str  # where a browser gets it


# What every set shares goes where Load CLIP Vision and Load VAE look; the second is ComfyUI's name.
_PLACES = {"autoencoder": (VAE_FOLDER, "vae"), "image_encoder": (CLIP_FOLDER, "clip_vision")}
_UNUSED = {"image_encoder_config"}  # ComfyUI knows this network by its tensors


def weight_sets() -> dict[str, WeightSet]:
    """Return all weight sets by name, with their files where ComfyUI's loaders look for them."""
    return {
        name: WeightSet(
            name=name,
            title=one.title,
            licence=one.licence,
            source=one.source,
            files=tuple(_set_file(one, file) for file in one.files if file.role not in _UNUSED),
        )
        for name, one in SETS.items()
    }


def _set_file(owner: sets.WeightSet, file: HubFile) -> SetFile:
    """Return a file under the names that the page uses; no role is unknown here.

    A file that no loader asks for lies with the others of its set and goes by its own name.
    """
    folder, role = _PLACES.get(file.role, (FOLDER, file.role or file.to))
    return SetFile(
        role=role,
        folder=folder,
        file=replace(file, to=file.shared_name or f"{owner.name}/{file.to}"),
        licence=file.licence or owner.licence,
        usual_size=file.usual_size,
    )


def file_status(
    part: SetFile,
    found: Path | None,  # where ComfyUI finds a file of this name
    folder: Path,  # where downloads of its kind go
) -> FileStatus:
    """Return whether a file is there. Its content is checked when it is fetched, not here."""
    size = part.file.size
    there = size_of(found or partial_path(part.file, folder))
    state: State
    if found is not None:
        state = "present" if size in (None, there) else "wrong"
    else:
        state = "partial" if there else "missing"
    return FileStatus(
        role=part.role,
        folder=part.folder,
        name=part.file.to,
        size=there if state == "present" else size,
        estimate=there if state == "present" else size or max(part.usual_size, there),
        state=state,
        bytes_there=there,
        licence=part.licence,
        address=part.file.address,
    )
