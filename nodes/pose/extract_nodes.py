"""Nodes that read poses from pictures and clips."""

from comfy_api.input import VideoInput
from comfy_api.latest import io, ui

from ...animate_anyone.pose.networks.backends import PROVIDERS
from ...animate_anyone.pose.skeleton.layouts import known_layouts
from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ..clips.read import clip_inputs
from ..comfyui.checks import checked
from ..comfyui.sockets import DwPose, DwPoseSocket, KeypointsSocket
from .extract import choose_networks, extract_pose, model_names, read_drawn_poses

CATEGORY = "animate_anyone/pose"
NUMBER = "number"


class LoadDWPose(io.ComfyNode):
    """Chooses the networks that read poses from pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        from ...animate_anyone.pose.networks.estimator import CHANNEL_ORDERS

        return io.Schema(
            node_id="AnimateAnyone_LoadDWPose",
            display_name="Load DWPose (Animate Anyone)",
            category=CATEGORY,
            description="Chooses a person detector and a pose estimator. Those of aa-mini come "
            "with the pack and recognise only its drawn characters; for real people choose "
            "yolox_l.onnx and dw-ll_ucoco_384.onnx. The files are opened at the first use.",
            inputs=[
                io.Combo.Input(
                    "detector",
                    options=model_names("detector"),
                    default=AA_MINI.name,
                    tooltip="Finds people: a YOLOX network as an ONNX file in "
                    "models/animate_anyone. It is recognised by its inputs and outputs, not by its "
                    "name.",
                ),
                io.Combo.Input(
                    "estimator",
                    options=model_names("estimator"),
                    default=AA_MINI.name,
                    tooltip="Finds the joints of a person: a DWPose or RTMPose network with "
                    f"{known_layouts()[0]} keypoints as an ONNX file in models/animate_anyone.",
                ),
                io.Combo.Input(
                    "provider",
                    options=["auto", *PROVIDERS],
                    tooltip="What runs the networks. auto uses the graphics card if onnxruntime "
                    "can; the report states what was used. Any other choice is used, or is an "
                    "error if it is not available. tensorrt takes minutes at the first run to "
                    "build its engines.",
                ),
                io.Combo.Input(
                    "channel_order",
                    options=list(CHANNEL_ORDERS),
                    tooltip="rgb is what the networks expect. moore swaps red and blue, as the "
                    "public implementation does, with which the skeletons for the public weights "
                    "were made.",
                ),
                io.Boolean.Input(
                    "download",
                    default=False,
                    tooltip="Fetch a chosen public file that is missing (217 and 134 MB, "
                    "Apache-2.0) into models/animate_anyone. The button below fetches both.",
                ),
            ],
            outputs=[DwPoseSocket.Output(display_name="dwpose")],
        )

    @classmethod
    @checked
    def execute(
        cls, detector: str, estimator: str, provider: str, channel_order: str, download: bool
    ) -> io.NodeOutput:
        options = (detector, estimator, provider, channel_order)
        return io.NodeOutput(choose_networks(*options, download=download))


class ExtractPose(io.ComfyNode):
    """Reads the poses of people from pictures or a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ExtractPose",
            display_name="Extract Pose (Animate Anyone)",
            category=CATEGORY,
            description="Finds people, follows them through the clip and smooths their joints. The "
            "report lists who was found where, and what was repaired. A clip without people gives "
            "empty poses, and the report says so. It also says so when what aa-mini's own networks "
            "found is doubtful, and when most points lie off the canvas.",
            inputs=[
                DwPoseSocket.Input("dwpose", tooltip="From Load DWPose."),
                io.Combo.Input(
                    "person",
                    options=["largest", "all", NUMBER],
                    tooltip="Whom to keep: largest keeps the person who fills most of the picture "
                    "over the clip, all keeps everybody, number keeps the person with this number "
                    "in the report.",
                ),
                io.Int.Input(
                    "number",
                    default=0,
                    min=0,
                    max=99,
                    tooltip="The number of the person to keep, if person is number; the first "
                    "person is 0.",
                ),
                io.Int.Input(
                    "detect_every",
                    default=1,
                    min=1,
                    max=60,
                    tooltip="Run the detector once in this many frames. 5 is several times faster; "
                    "people who are lost in between are searched for again. This many frames are "
                    "held in memory: 6 MB each at 1080p.",
                ),
                io.Int.Input(
                    "max_gap",
                    default=8,
                    min=0,
                    max=1000,
                    tooltip="The longest gap to fill, in frames: a joint that is missing for a "
                    "while is placed between its positions before and after the gap. 0 fills "
                    "nothing.",
                ),
                io.Boolean.Input(
                    "spikes",
                    default=True,
                    tooltip="Remove joints that jump away for a moment, and put back left and "
                    "right where they are exchanged for up to four frames. Off leaves them as "
                    "detected.",
                ),
                io.Float.Input(
                    "smooth",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    tooltip="How strongly to smooth jitter of the joints, without delay. 0 is off; "
                    "high values also smooth quick movements.",
                ),
                io.Int.Input(
                    "batch",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="People that the estimator processes together. Fewer need less memory.",
                ),
                io.Float.Input(
                    "fps",
                    default=30.0,
                    min=1.0,
                    max=1000.0,
                    step=0.001,
                    tooltip="Frames per second of image, for following people and for smooth. A "
                    "video has its own.",
                ),
                *clip_inputs("People"),
            ],
            outputs=[
                KeypointsSocket.Output(display_name="keypoints"),
                io.String.Output(display_name="report"),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        dwpose: DwPose,
        person: str,
        number: int,
        detect_every: int,
        max_gap: int,
        spikes: bool,
        smooth: float,
        batch: int,
        fps: float,
        image: io.Image.Type | None = None,
        video: VideoInput | None = None,
        mask: io.Mask.Type | None = None,
    ) -> io.NodeOutput:
        people = number if person == NUMBER else person
        clean = {"max_gap": max_gap, "spikes": spikes, "smooth": smooth, "fps": fps}
        extract = {"detect_every": detect_every, "batch": batch}
        keypoints, report = extract_pose(dwpose, image, video, people, extract, clean, mask)
        return io.NodeOutput(keypoints, report, ui=ui.PreviewText(report))


class ReadPoseVideo(io.ComfyNode):
    """Reads keypoints from drawn skeletons."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ReadPoseVideo",
            display_name="Read Pose Video (Animate Anyone)",
            category=CATEGORY,
            description="Reads the joints of one person from a clip of coloured skeletons on "
            "black, so that it can be retargeted. Clips whose red and blue are exchanged are "
            "recognised. The report lists what was found.",
            inputs=clip_inputs("Drawn skeletons"),
            outputs=[
                KeypointsSocket.Output(display_name="keypoints"),
                io.String.Output(display_name="report"),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        image: io.Image.Type | None = None,
        video: VideoInput | None = None,
        mask: io.Mask.Type | None = None,
    ) -> io.NodeOutput:
        keypoints, report = read_drawn_poses(image, video, mask)
        return io.NodeOutput(keypoints, report, ui=ui.PreviewText(report))


NODES = {60: LoadDWPose, 70: ExtractPose, 80: ReadPoseVideo}  # by place in the menu
