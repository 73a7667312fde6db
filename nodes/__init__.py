"""The ComfyUI nodes."""

from comfy_api.latest import ComfyExtension, io

from . import host
from .decoding import DecodeFrames, DecodeToVideo
from .models import EncodeReference, LoadModels
from .pose import DrawPose, EncodePose, LoadExample, LoadKeypoints
from .sampling import Animate, Apply, ContextWindows, TrailingSigmas, VideoNoiseNode

NODES: list[type[io.ComfyNode]] = [
    LoadModels,
    LoadExample,
    EncodeReference,
    LoadKeypoints,
    DrawPose,
    EncodePose,
    Animate,
    Apply,
    ContextWindows,
    TrailingSigmas,
    VideoNoiseNode,
    DecodeFrames,
    DecodeToVideo,
]


class AnimateAnyoneExtension(ComfyExtension):
    """What the host asks for our nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the nodes in menu order.

        The model folder is made known here, because the older host calls nothing else.
        """
        host.register_folder()
        return NODES
