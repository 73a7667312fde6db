"""The LoRA and the ControlNet that ship with aa-mini."""

from pathlib import Path

from ..errors import WeightsError
from ..networks.control.picture_control import PictureControlNet
from .read import Weights, read_weights
from .report import check_keys, module_shapes
from .sets.aa_mini import AA_MINI_EDGES
from .sources import MINI_FOLDER

# Each has its own folder, because hosts list all files of a folder.
LORA = Path("loras") / "aa_mini_ink.safetensors"
CONTROL = Path("controls") / "aa_mini_edges.safetensors"


def example_control() -> Weights:
    """Return the weights of the ControlNet on edges, in the layout of `AA_MINI_EDGES`."""
    path = MINI_FOLDER / CONTROL
    if not path.is_file():
        raise WeightsError(
            f"the ControlNet on edges got no file {path}; it comes with aa-mini. Install this "
            "package again, or train it with `python -m animate_anyone mini control`."
        )
    weights = read_weights(path)
    expected = module_shapes(PictureControlNet(AA_MINI_EDGES, device="meta"))
    check_keys(expected, weights, "the ControlNet on edges")
    return weights
