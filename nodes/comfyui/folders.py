"""ComfyUI's folders of models, inputs and results; the only file that imports `folder_paths`."""

import os
import re
import tempfile
from datetime import datetime
from pathlib import Path

import folder_paths

from ...animate_anyone.places import check_place

FOLDER = "animate_anyone"
_DATE = re.compile("%date:([^%]+)%")
ONNX_FOLDERS = (FOLDER, "dwpose", "detection")  # the last two belong to other packs


def register_folder() -> None:
    """Register models/animate_anyone, in addition to folders of extra_model_paths.yaml."""
    add_folder(FOLDER, Path(folder_paths.models_dir) / FOLDER)


def add_folder(kind: str, folder: Path) -> None:
    """Add a folder in which the loaders of a kind of model look; it comes after the others."""
    paths, suffixes = folder_paths.folder_names_and_paths.get(kind, ([], set()))
    union = [*paths, *([] if str(folder) in paths else [str(folder)])]
    known = set(suffixes) | set(folder_paths.supported_pt_extensions)
    folder_paths.folder_names_and_paths[kind] = (union, known)


def model_files() -> list[str]:
    """Return the weight files in the model folders."""
    return folder_paths.get_filename_list(FOLDER)


def model_path(name: str) -> Path:
    """Return the path of a file that `model_files` lists."""
    found = listed_path(FOLDER, name)
    return found or Path(folder_paths.get_full_path_or_raise(FOLDER, name))


def model_folder() -> Path:
    """Return the folder for downloads."""
    return Path(folder_paths.models_dir) / FOLDER


def download_folder(kind: str) -> Path:
    """Return the folder for downloads of a kind of model."""
    return model_folder() if kind == FOLDER else Path(folder_paths.get_folder_paths(kind)[0])


def listed_path(kind: str, name: str) -> Path | None:
    """Return the file that the loaders of a kind of model find by this name, or None.

    If several files have this name, the one in the download folder is returned, because that is
    the file that a download completes.
    """
    own = download_folder(kind) / name
    found = own if own.is_file() else folder_paths.get_full_path(kind, name)
    return Path(found) if found else None


def onnx_files() -> dict[str, Path]:
    """Return the files in `ONNX_FOLDERS`, by the name to show.

    If several files have the same name, the one in the download folder is used, as in
    `listed_path`.
    """
    found: dict[str, Path] = {}
    for folder in ONNX_FOLDERS:
        default = [str(Path(folder_paths.models_dir) / folder)]
        roots, _ = folder_paths.folder_names_and_paths.get(folder, (default, set()))
        for root in sorted(map(Path, roots), key=lambda root: root != model_folder()):
            for path in sorted(root.rglob("*.onnx")):
                name = path.relative_to(root).as_posix()
                found.setdefault(name if folder == FOLDER else f"{folder}/{name}", path)
    return found


def input_files(suffixes: tuple[str, ...]) -> list[str]:
    """Return the names of the files in the input folder that have one of these suffixes."""
    folder = Path(folder_paths.get_input_directory())
    return sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(suffixes))


def input_folders(file: str) -> list[str]:
    """Return the subfolders of the input folder that hold a file of this name."""
    root = Path(folder_paths.get_input_directory())
    return sorted(path.parent.name for path in root.glob(f"*/{file}"))


def input_subfolders() -> list[str]:
    """Return the visible folders in the input folder, each with a slash at the end."""
    root = Path(folder_paths.get_input_directory())
    found = sorted(path.name for path in root.iterdir() if path.is_dir())
    return [f"{name}/" for name in found if not name.startswith(".")]


def runs_folder() -> Path:
    """Return the folder of the training runs."""
    return Path(folder_paths.get_output_directory()) / FOLDER / "training"


def output_files(subfolder: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return files with these suffixes in a subfolder of the output folder, for `input_path`."""
    folder = Path(folder_paths.get_output_directory()) / subfolder
    names = sorted(path.name for path in folder.glob("*") if path.name.lower().endswith(suffixes))
    return [f"{subfolder}/{name} [output]" for name in names]


def input_path(name: str) -> Path:
    """Return the path of an input file; a name that leads outside the folder is an error."""
    return Path(folder_paths.get_annotated_filepath(name))


def output_path(prefix: str, suffix: str, width: int, height: int) -> tuple[Path, str]:
    """Return a free file name in the output folder, and its subfolder for the browser.

    In the prefix %date:...% is replaced, as the page does it for the host's own Save nodes.
    """
    prefix = _DATE.sub(lambda found: formatted_date(found[1], datetime.now()), prefix)
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    return Path(folder) / f"{name}_{counter:05}_{suffix}", subfolder


def prefix_fault(
    prefix: object,  # the input filename_prefix; None if it comes over a link
    suffix: str,
) -> bool | str:
    """Return True, or why no file can be written there; for the host's check before all nodes."""
    if not isinstance(prefix, str):
        return True
    try:
        path, _ = output_path(prefix, suffix, 0, 0)
        check_place(path)
    except Exception as error:  # the host raises its own for names outside of its folder
        return f"filename_prefix got {prefix[:80]!r}; {error}"
    return True


def formatted_date(pattern: str, now: datetime) -> str:
    """Return a date as the host's page writes it: yyyy, yy, M, d, h, m and s, each once or twice.

    Twice means with a zero in front. Other letters stay, hours count to 24.
    """
    parts = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def write(found: re.Match[str]) -> str:
        text = found[0]
        if text[0] in parts:
            return str(parts[text[0]]).zfill(len(text))
        return {"yy": f"{now.year % 100:02}", "yyyy": str(now.year)}.get(text, text)

    return re.sub("dd?|MM?|hh?|mm?|ss?|yyy?y?", write, pattern)


def temporary_path(name: str) -> tuple[Path, dict[str, str]]:
    """Return the path of a new temporary file, and the query by which the browser loads it."""
    root = Path(folder_paths.get_temp_directory()) / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    stem, suffix = Path(name).stem, Path(name).suffix
    handle, path = tempfile.mkstemp(suffix, f"{stem}_", root)
    os.close(handle)
    shown = {"filename": Path(path).name, "subfolder": FOLDER, "type": "temp"}
    return Path(path), shown
