"""The ComfyUI nodes."""

from comfy_api.latest import ComfyExtension, io

from ..animate_anyone.weights.additions import LORA
from ..animate_anyone.weights.sources import MINI_FOLDER
from .clips.compare_nodes import Compare
from .clips.decode_nodes import DecodeFrames, DecodeToVideo
from .comfyui import folders
from .models.control_nodes import LoadExampleControl
from .models.encode_nodes import EncodePose, EncodeReference
from .models.load_nodes import LoadModels
from .page.routes import add_routes
from .pose.example_nodes import LoadExample, LoadExampleVideo
from .pose.extract_nodes import ExtractPose, LoadDWPose, ReadPoseVideo
from .pose.keypoint_nodes import DrawPose, LoadKeypoints, SaveKeypoints
from .pose.retarget_nodes import RetargetPose
from .sampler.sample_nodes import Animate, Apply, ContextWindows, TrailingSigmas, VideoNoiseNode
from .training.evaluate_nodes import Evaluate
from .training.train_nodes import Train

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
