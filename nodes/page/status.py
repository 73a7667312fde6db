"""The published weight sets in ComfyUI's folders, and which of their files are present."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...animate_anyone.weights.hub.download import partial_path
from ...animate_anyone.weights.hub.transfer import size_of
from ...animate_anyone.weights.sets import record as sets
from ...animate_anyone.weights.sets.record import HubFile
from ...animate_anyone.weights.sets.table import SETS

FOLDER = "animate_anyone"  # in ComfyUI's models folder, like the two others
VAE_FOLDER = "vae"
CLIP_FOLDER = "clip_vision"

State = Literal["present", "partial", "wrong", "missing"]  # wrong: present, with another size


@dataclass(frozen=True, kw_only=True)
class SetFile:
    """One file of a weight set, and where ComfyUI's loaders find it."""

    role: str  # the widget in which it is chosen; without one the file's own name
    folder: str  # in ComfyUI's models folder
    file: HubFile  # `to` is its name in that folder
    licence: str
    usual_size: int = 0  # bytes; typical for this layout, if the table has no size


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """One weight set, as the page shows it."""

    name: str
    title: str
    licence: str
    source: Literal["pack", "hub", "own"]  # comes with the pack, is published, or is self-made
    files: tuple[SetFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileStatus:
    """One file, as the page shows it."""

    role: str
    folder: str
    name: str  # as ComfyUI's widgets list it, with /
    size: int | None  # bytes; None: not known before the download
    estimate: int  # bytes; the size, or the typical size for this layout
    state: State
    bytes_there: int  # of `size`
    licence: str
    address: str  # URL for a browser


# Folder and widget of files that all sets share: those of Load VAE and Load CLIP Vision.
_PLACES = {"autoencoder": (VAE_FOLDER, "vae"), "image_encoder": (CLIP_FOLDER, "clip_vision")}
_UNUSED = {"image_encoder_config"}  # ComfyUI recognises this network by its tensors


def weight_sets() -> dict[str, WeightSet]:
    """Return all weight sets by name, with their files in the folders of ComfyUI's loaders."""
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
    """Return a file with the folder and role that the page uses; every role is accepted.

    A file that no loader needs is put beside the other files of its set; its role is its own name.
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
    found: Path | None,  # the file of this name that ComfyUI finds
    folder: Path,  # for downloads of its kind
) -> FileStatus:
    """Return the status of a file. Its content is checked during the download, not here."""
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
