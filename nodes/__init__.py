"""The ComfyUI nodes."""

from comfy_api.latest import ComfyExtension, io

from ..animate_anyone.weights.additions import LORA
from ..animate_anyone.weights.sources import MINI_FOLDER
from . import folders
from .comparing import Compare
from .controlling import LoadExampleControl
from .decoding import DecodeFrames, DecodeToVideo
from .evaluation import Evaluate
from .extraction import ExtractPose, LoadDWPose, ReadPoseVideo
from .models import EncodeReference, LoadModels
from .pose import (
    DrawPose,
    EncodePose,
    LoadExample,
    LoadExampleVideo,
    LoadKeypoints,
    SaveKeypoints,
)
from .retargeting import RetargetPose
from .routes import add_routes
from .sampling import Animate, Apply, ContextWindows, TrailingSigmas, VideoNoiseNode
from .training import Train

NODES: list[type[io.ComfyNode]] = [
    LoadModels,
    LoadExample,
    EncodeReference,
    LoadExampleControl,
    LoadExampleVideo,
    LoadDWPose,
    ExtractPose,
    ReadPoseVideo,
    RetargetPose,
    LoadKeypoints,
    SaveKeypoints,
    DrawPose,
    EncodePose,
    Animate,
    Apply,
    ContextWindows,
    TrailingSigmas,
    VideoNoiseNode,
    DecodeFrames,
    DecodeToVideo,
    Train,
    Evaluate,
    Compare,
]


class AnimateAnyoneExtension(ComfyExtension):
    """What the host asks for our nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the nodes in menu order.

        Model folder and addresses are made known here, because the older host calls nothing else.
        """
        folders.register_folder()
        folders.add_folder("loras", MINI_FOLDER / LORA.parent)
        add_routes()
        return NODES
