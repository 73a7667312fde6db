"""The import ladder: which part may import which, and which packages each part must not import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = "animate_anyone"
LEVELS = {
    "types": 0,
    "errors": 0,
    "protocols": 0,
    "config": 1,
    "memory": 1,
    "opencv": 1,
    "torch_version": 1,
    "fitting": 1,
    "names": 1,
    "places": 1,
    "json_files": 1,
    "shards": 2,
    "engines": 2,
    "networks": 2,
    "diffusion": 2,
    "pose": 2,
    "media": 2,
    "drawn": 3,
    "weights": 3,
    "animate": 3,
    "estimate": 3,
    "parity": 4,
    "jobs": 4,
    "dataset": 4,
    "evaluation": 5,
    "training": 6,
    "mini": 7,
    "commands": 8,
    "__main__": 9,
}
# The rooms (subfolders) of a part in order: a room may import those before it. Files directly in
# the part's folder may import all of its rooms.
ROOMS = {
    "animate_anyone/pose": ("skeleton", "drawing", "networks", "people", "files", "retarget"),
    "animate_anyone/evaluation": ("metrics", "kept"),
    "animate_anyone/weights": ("sets", "hub"),
    "nodes": ("comfyui", "page", "sampler", "clips", "models", "pose", "training"),
}
MOST_FILES, MOST_LINES = 13, 400  # in a folder, in a file
HOST_PACKAGES = {
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "execution",
    "folder_paths",
    "latent_preview",
    "nodes",
    "server",
}
HOST_BEHIND_THEM = HOST_PACKAGES - {"comfy_api"}
LATE_PACKAGES = {"diffusers", "transformers"}  # imported in functions only: their APIs change often
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in (CORE, "nodes")
    for path in (ROOT / package).rglob("*.py")
)


def part_of(path: str) -> str:
    """Return the part of the core that a file belongs to: its module or package below the root."""
    return Path(path).parts[1].removesuffix(".py")


def imports_of(tree: ast.Module) -> Iterator[tuple[int, int, str, bool]]:
    """Yield (line, leading dots, dotted name, whether it runs at import) of every import."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, executed = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name, executed
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                base = f"{node.module}." if node.module else ""
                yield node.lineno, node.level, base + alias.name, executed
        elif not isinstance(node, ast.expr):  # no expression holds an import
            executed = executed and not _runs_later(node)
            waiting += [(child, executed) for child in ast.iter_child_nodes(node)]


def _runs_later(node: ast.AST) -> bool:
    """Whether a node holds code that does not run at import: functions, and what checkers read."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def target_part(path: str, dots: int, name: str) -> str | None:
    """Return the part of the core that a relative import reaches, None outside the core."""
    folder = list(Path(path).parent.parts)
    reached = folder[: len(folder) - (dots - 1)] + name.split(".")
    if dots > len(folder):
        reached = name.split(".")  # from the pack's root
    return reached[1] if len(reached) > 1 and reached[0] == CORE else None


def complaints(path: str, source: str) -> list[str]:
    """Return the faults in imports and calls of one file."""
    tree = ast.parse(source)
    found = []
    for line, dots, name, executed in imports_of(tree):
        reasons = _relative(path, dots, name) if dots else _absolute(path, name, executed)
        found += [f"{path}:{line}: {reason}" for reason in reasons]
    found += [f"{path}:{line}: {reason}" for line, reason in _calls(path, tree)]
    return found


def room_of(part: str, path: str) -> str | None:
    """Return the room of a part that holds a file; None if no room of this part holds it."""
    inside = Path(path).parts[len(Path(part).parts) :]
    return inside[0] if path.startswith(f"{part}/") and inside[0] in ROOMS[part] else None


def _between_rooms(path: str, dots: int, name: str) -> list[str]:
    """Return the faults of an import between rooms of one part."""
    folder = Path(path).parent.parts
    reached = "/".join([*folder[: len(folder) - (dots - 1)], *name.split(".")])
    for part, order in ROOMS.items():
        own, other = room_of(part, path), room_of(part, reached)
        if own is None or not reached.startswith(f"{part}/") or own == other:
            continue
        if other is None and len(Path(reached).parts) > len(Path(part).parts):
            return [f"{own} imports {reached}, which lies beside the rooms of {part}"]
        if other is not None and order.index(other) > order.index(own):
            return [f"{own} imports {other}, a later room of {part}"]
    return []


def _relative(path: str, dots: int, name: str) -> list[str]:
    if wrong := _between_rooms(path, dots, name):
        return wrong
    target = target_part(path, dots, name)
    if target is None or not path.startswith(CORE):
        return []
    own = part_of(path)
    if target not in LEVELS:
        return [f"{target} has no place in the ladder"]
    if own == target or own == "__init__":
        return []
    if LEVELS[target] >= LEVELS[own]:
        return [f"{own} (level {LEVELS[own]}) imports {target} (level {LEVELS[target]})"]
    return []


def _absolute(path: str, name: str, executed: bool) -> list[str]:
    package = name.split(".")[0]
    in_core = path.startswith(CORE)
    reasons = []
    if package == CORE or (package == "nodes" and in_core):
        reasons.append(f"absolute import of {name}: a second copy of every class; use dots")
    elif in_core and package in HOST_PACKAGES:
        reasons.append(f"the core imports the host: {name}")
    elif package in HOST_BEHIND_THEM and path != _place_of(package):
        reasons.append(f"{name} is for {_place_of(package)} alone")
    if package in LATE_PACKAGES and not in_core:
        reasons.append(f"the nodes import {package}")
    elif package in LATE_PACKAGES and executed:
        reasons.append(f"{package} is imported where used, not at the top")
    return reasons


def _place_of(package: str) -> str:
    """Return the only file that may import this package of ComfyUI."""
    return f"nodes/comfyui/{'folders' if package == 'folder_paths' else 'host'}.py"


def _calls(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = _name_of(node.func)
        if called == "print" and not path.endswith("__main__.py"):
            yield node.lineno, "print outside a command; use logging"
        if called == "torch.manual_seed":
            yield node.lineno, "global seed; pass a torch.Generator"


def _name_of(called: ast.expr) -> str:
    """Return a called name with what stands before its dot, "" for other calls."""
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return f"{called.value.id}.{called.attr}"
    return called.id if isinstance(called, ast.Name) else ""


def test_every_part_has_a_place_in_the_ladder():
    parts = {part_of(path) for path in SOURCES if path.startswith(CORE)} - {"__init__"}
    assert parts <= set(LEVELS)


@pytest.mark.parametrize("path", SOURCES)
def test_file_keeps_to_the_ladder(path):
    assert complaints(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("animate_anyone/networks/unet.py", "from ..diffusion.schedule import NoiseSchedule"),
        ("animate_anyone/networks/unet.py", "from .. import media"),
        ("animate_anyone/config.py", "from .networks import unet"),
        ("animate_anyone/animate/clip.py", "from ..weights.load import Models"),
        ("animate_anyone/evaluation/metrics/frames.py", "from ...training import networks"),
        ("animate_anyone/dataset/clip.py", "from ..evaluation import protocol"),
        ("animate_anyone/training/export.py", "from ..mini import previews"),
        ("animate_anyone/drawn/clip.py", "from ..training.sources import batch"),
        ("animate_anyone/evaluation/metrics/frames.py", "from .. import protocol"),
        ("animate_anyone/pose/networks/detector.py", "from ..people import extract"),
        ("nodes/comfyui/convert.py", "from ..models import load"),
        ("animate_anyone/pose/drawing/draw.py", "from ...somewhere import thing"),
        ("animate_anyone/pose/drawing/draw.py", "import animate_anyone.types"),
        ("animate_anyone/pose/drawing/draw.py", "def f():\n    from animate_anyone import types"),
        ("nodes/pose/keypoint_nodes.py", "from animate_anyone.pose import draw"),
        ("animate_anyone/media/clips.py", "import comfy.utils"),
        ("animate_anyone/media/clips.py", "def f():\n    import folder_paths"),
        ("nodes/models/load.py", "import comfy.model_management"),
        ("nodes/models/load.py", "import nodes"),
        ("nodes/comfyui/host.py", "import folder_paths"),
        ("nodes/comfyui/folders.py", "import comfy.sd"),
        ("animate_anyone/weights/load.py", "from diffusers import AutoencoderKL"),
        ("animate_anyone/weights/load.py", "try:\n    import transformers\nexcept E: pass"),
        ("nodes/models/load.py", "def f():\n    import transformers"),
        ("animate_anyone/media/clips.py", "print('hello')"),
        ("nodes/pose/keypoint_nodes.py", "torch.manual_seed(1)"),
    ],
)
def test_forbidden_imports_are_caught(path, source):
    assert len(complaints(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "animate_anyone/networks/unet.py",
            "from ..config import UNetConfig\nfrom . import layers",
        ),
        ("animate_anyone/networks/unet.py", "from .attention import sdpa"),
        ("animate_anyone/training/stages.py", "from ..evaluation.pairs import Pair"),
        ("animate_anyone/weights/load.py", "from ..networks.unet import UNet"),
        ("animate_anyone/weights/load.py", "def f():\n    import diffusers"),
        (
            "animate_anyone/diffusion/schedule.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import diffusers",
        ),
        (
            "nodes/models/load.py",
            "from ...animate_anyone.weights import load\nfrom ..comfyui import host",
        ),
        ("nodes/models/load.py", "from comfy_api.latest import io"),
        ("nodes/comfyui/host.py", "import comfy.sd\nimport latent_preview"),
        ("nodes/comfyui/folders.py", "import folder_paths"),
        ("animate_anyone/__main__.py", "from .animate import animate\nprint('x')"),
    ],
)
def test_allowed_imports_are_accepted(path, source):
    assert complaints(path, source) == []


@pytest.mark.parametrize("folder", sorted({str(Path(path).parent) for path in SOURCES}))
def test_no_folder_has_too_many_files_and_no_file_too_many_lines(folder):
    files = [path for path in SOURCES if str(Path(path).parent) == folder]
    names = [path for path in files if not path.endswith("__init__.py")]
    assert len(names) <= MOST_FILES
    lengths = {path: (ROOT / path).read_text(encoding="utf-8").count("\n") for path in files}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def schema_complaints(path: str, source: str) -> list[str]:
    """Return what a file of schemas, `X_nodes.py`, holds besides schemas; it belongs in `X.py`."""
    tree, found = ast.parse(source), []
    own = Path(path).stem.removesuffix("_nodes")
    for one in tree.body:
        bases = [ast.unparse(base) for base in one.bases] if isinstance(one, ast.ClassDef) else []
        if isinstance(one, ast.ClassDef) and "io.ComfyNode" not in bases:
            found.append(f"{path}: class {one.name} is no node; it belongs into {own}.py")
        returns = ast.unparse(getattr(one, "returns", None) or ast.Constant(None))
        if isinstance(one, ast.FunctionDef) and "io.Input" not in returns:
            found.append(f"{path}: {one.name} gives no inputs; it belongs into {own}.py")
    for line, dots, name, _ in imports_of(tree):
        if dots == 1 and name.split(".")[0] != own:
            found.append(f"{path}:{line}: {name} is not of {own}.py, which holds its work")
    return found


@pytest.mark.parametrize("path", [path for path in SOURCES if path.endswith("_nodes.py")])
def test_schema_files_hold_only_schemas(path):
    assert schema_complaints(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class Wave(io.ComfyNode): pass\ndef inputs() -> list[io.Input]: pass", 0),
        ("from .wave import wave\nfrom ..comfyui import host", 0),
        ("class Waves: pass", 1),
        ("def wave(frames: int) -> Tensor: pass", 1),
        ("from .other import wave", 1),
    ],
)
def test_work_among_schemas_is_caught(source, found):
    assert len(schema_complaints("nodes/pose/wave_nodes.py", source)) == found


def test_windows_are_plain_arithmetic():
    source = (ROOT / CORE / "diffusion" / "windows.py").read_text(encoding="utf-8")
    names = {name.split(".")[0] for _, dots, name, _ in imports_of(ast.parse(source)) if not dots}
    assert names <= sys.stdlib_module_names


def test_root_file_imports_nothing_of_ours_when_loaded():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    executed = [name for _, _, name, executed in imports_of(tree) if executed]
    assert {name.split(".")[0] for name in executed} <= sys.stdlib_module_names


@pytest.mark.slow
def test_modules_that_nodes_use_load_without_opencv_diffusers_and_transformers():
    """The host has no OpenCV, and the other two take seconds. Only drawn characters need OpenCV."""
    modules = [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in SOURCES
        if path.startswith(CORE) and LEVELS.get(part_of(path), 0) <= 3
    ]
    script = f"""
import importlib, sys
sys.modules["cv2"] = None  # an import of it fails
for name in sorted({modules}, key=lambda name: ".drawn" in name):
    if ".drawn" in name and sys.modules.get("cv2", 0) is None:
        del sys.modules["cv2"]
    importlib.import_module(name)
print(sorted(set(sys.modules) & {LATE_PACKAGES}))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
