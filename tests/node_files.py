"""Our nodes as declared in their source files, read without ComfyUI."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "AnimateAnyone_"


@dataclass(frozen=True)
class Declared:
    """A node in the list `NODES` at the end of its file."""

    place: int  # in the menu
    node_id: str
    title: str  # display name without the pack's name at its end
    file: str  # path relative to the root


def schema_files(root: Path = ROOT) -> list[Path]:
    """Return the files that hold nodes."""
    return sorted(root.glob("nodes/*/*_nodes.py"))


def declared_nodes(root: Path = ROOT) -> list[Declared]:
    """Return all nodes in menu order."""
    found = [node for file in schema_files(root) for node in _of_file(file, root)]
    return sorted(found, key=lambda node: node.place)


def _of_file(file: Path, root: Path) -> list[Declared]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    listed = [one.value for one in tree.body if isinstance(one, ast.Assign) and _is_list(one)]
    name = file.relative_to(root).as_posix()
    assert len(listed) == 1, f"{name} must end with NODES = {{place in the menu: class}}, once"
    classes = {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}
    nodes = []
    for place, entry in zip(listed[0].keys, listed[0].values, strict=True):
        words = _schema_words(classes[entry.id])
        title = words["display_name"].removesuffix(" (Animate Anyone)")
        nodes.append(Declared(place.value, words["node_id"], title, name))
    return nodes


def _is_list(statement: ast.Assign) -> bool:
    named = [ast.unparse(target) for target in statement.targets] == ["NODES"]
    return named and isinstance(statement.value, ast.Dict)


def _schema_words(node: ast.ClassDef) -> dict[str, str]:
    """Return the constant arguments of a node's io.Schema by name."""
    (call,) = (
        call
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "io.Schema"
    )
    return {
        str(keyword.arg): str(keyword.value.value)
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant)
    }
