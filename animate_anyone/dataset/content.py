"""The content of a data set as a hash, by which a changed data set is noticed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from .manifest import CACHES, ClipDataset, frame_path

SAMPLE = 4096  # bytes read at the start, in the middle and at the end of a large file
FRAMES = 3  # stored pictures of a clip that are read


def content_of(dataset: ClipDataset) -> str:
    """Return a hash of the manifest, all keypoints, and samples of the pictures and caches.

    It does not depend on where the data set or its original clips lie, nor on times. A hundred
    clips take some tens of milliseconds.
    """
    found = hashlib.sha256()
    facts = {**asdict(dataset.manifest), "source": ""}
    found.update(json.dumps(facts, sort_keys=True).encode())
    for entry in dataset.clips:
        clip = dataset.path(entry)
        found.update(_checksums(clip / "keypoints.npz").encode())
        numbers = entry.usable
        chosen = numbers[:: max(1, len(numbers) // FRAMES)][:FRAMES]
        pictures = [frame_path(clip, n, dataset.manifest.pictures) for n in chosen.tolist()]
        caches = [clip / f"{cache}.npy" for cache in CACHES if dataset.has(cache)]
        found.update(content_of_files([*pictures, *caches]).encode())
    return found.hexdigest()[:16]


def content_of_files(paths: Iterable[Path]) -> str:
    """Return a hash of files by their folder's name, name, size and samples; "" if there are none.

    A missing file counts as one without content.
    """
    found, some = hashlib.sha256(), False
    for path in paths:
        if not path.is_file():
            continue
        some = True
        size = path.stat().st_size
        found.update(f"{path.parent.name}/{path.name} {size}\n".encode())
        with path.open("rb") as file:
            for start in (0, size // 2, max(0, size - SAMPLE)):
                file.seek(start)
                found.update(file.read(SAMPLE))
    return found.hexdigest()[:16] if some else ""


def _checksums(path: Path) -> str:
    """Return the checksums of the arrays in a .npz file, which are read from its end."""
    try:
        with ZipFile(path) as file:
            return " ".join(f"{each.filename} {each.CRC}" for each in file.infolist())
    except (OSError, BadZipFile):
        return "missing or damaged"
