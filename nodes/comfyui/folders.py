"""ComfyUI's folders: where models, inputs and results lie. Nobody else asks the host."""

import os
import tempfile
from pathlib import Path

import folder_paths

FOLDER = "animate_anyone"
ONNX_FOLDERS = (FOLDER, "dwpose", "detection")  # the others are where other packs keep them


def register_folder() -> None:
    """Make models/animate_anyone known, beside what extra_model_paths.yaml says of it."""
    add_folder(FOLDER, Path(folder_paths.models_dir) / FOLDER)


def add_folder(kind: str, folder: Path) -> None:
    """Let the loaders of a kind of model list a folder too, after those that are known."""
    paths, suffixes = folder_paths.folder_names_and_paths.get(kind, ([], set()))
    union = [*paths, *([] if str(folder) in paths else [str(folder)])]
    known = set(suffixes) | set(folder_paths.supported_pt_extensions)
    folder_paths.folder_names_and_paths[kind] = (union, known)


def model_files() -> list[str]:
    """Return the weight files in the model folders."""
    return folder_paths.get_filename_list(FOLDER)


def model_path(name: str) -> Path:
    """Return where a file of `model_files` lies."""
    found = listed_path(FOLDER, name)
    return found or Path(folder_paths.get_full_path_or_raise(FOLDER, name))


def model_folder() -> Path:
    """Return where downloads go."""
    return Path(folder_paths.models_dir) / FOLDER


def download_folder(kind: str) -> Path:
    """Return where downloads of a kind of model go."""
    return model_folder() if kind == FOLDER else Path(folder_paths.get_folder_paths(kind)[0])


def listed_path(kind: str, name: str) -> Path | None:
    """Return where the loaders of a kind of model find this name, if they do.

    Of several files of this name the one in the download folder counts: it is the one that
    downloads complete.
    """
    own = download_folder(kind) / name
    found = own if own.is_file() else folder_paths.get_full_path(kind, name)
    return Path(found) if found else None


def onnx_files() -> dict[str, Path]:
    """Return the ONNX files in the folders for them, by the name to show.

    Of several files of one name the one in the download folder counts, as in `listed_path`.
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
    """Return the files in the input folder that end so."""
    folder = Path(folder_paths.get_input_directory())
    return sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(suffixes))


def input_folders(holding: str) -> list[str]:
    """Return the folders in the input folder in which a file of this name lies."""
    root = Path(folder_paths.get_input_directory())
    return sorted(path.parent.name for path in root.glob(f"*/{holding}"))


def runs_folder() -> Path:
    """Return where training runs are kept."""
    return Path(folder_paths.get_output_directory()) / FOLDER / "training"


def output_files(subfolder: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return the files in a part of the output folder that end so, as `input_path` knows them."""
    folder = Path(folder_paths.get_output_directory()) / subfolder
    names = sorted(path.name for path in folder.glob("*") if path.name.lower().endswith(suffixes))
    return [f"{subfolder}/{name} [output]" for name in names]


def input_path(name: str) -> Path:
    """Return where an input file lies, a name outside the folder being refused."""
    return Path(folder_paths.get_annotated_filepath(name))


def output_path(prefix: str, suffix: str, width: int, height: int) -> tuple[Path, str]:
    """Return a free file name in the output folder, and its subfolder for the browser."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    return Path(folder) / f"{name}_{counter:05}_{suffix}", subfolder


def temporary_path(name: str) -> tuple[Path, dict[str, str]]:
    """Return a free file name for what a node shows, and how the browser asks for that file."""
    root = Path(folder_paths.get_temp_directory()) / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    stem, suffix = Path(name).stem, Path(name).suffix
    handle, path = tempfile.mkstemp(suffix, f"{stem}_", root)
    os.close(handle)
    shown = {"filename": Path(path).name, "subfolder": FOLDER, "type": "temp"}
    return Path(path), shown
