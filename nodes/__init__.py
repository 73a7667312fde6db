"""The ComfyUI nodes.

Each file `*_nodes.py` in a subfolder defines node classes and a dictionary `NODES` that maps their
positions in the menu to them. The files are found by their name; there is no other list.
"""

from importlib import import_module
from pathlib import Path

from comfy_api.latest import ComfyExtension, io

from ..animate_anyone.weights.additions import LORA
from ..animate_anyone.weights.sources import MINI_FOLDER
from .comfyui import folders
from .page.routes import add_routes


def find_nodes() -> list[type[io.ComfyNode]]:
    """Return the nodes of all files `*_nodes.py`, in menu order."""
    placed: dict[int, type[io.ComfyNode]] = {}
    for file in sorted(Path(__file__).parent.glob("*/*_nodes.py")):
        module = import_module(f".{file.parent.name}.{file.stem}", __package__)
        for place, node in module.NODES.items():
            if place in placed:
                raise ValueError(
                    f"NODES got place {place} for {node.__name__} and {placed[place].__name__}; "
                    "a place in the menu belongs to one node. Choose a free number."
                )
            placed[place] = node
    return [placed[place] for place in sorted(placed)]


NODES = find_nodes()


class AnimateAnyoneExtension(ComfyExtension):
    """The extension through which ComfyUI gets our nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the nodes in menu order.

        Also registers the model folder and the routes, because the older ComfyUI calls no other
        method.
        """
        folders.register_folder()
        folders.add_folder("loras", MINI_FOLDER / LORA.parent)
        add_routes()
        return NODES
