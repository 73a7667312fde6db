"""Nodes that decode latents to pictures or to a video file."""

from comfy_api.input import VideoInput
from comfy_api.input_impl import VideoFromFile
from comfy_api.latest import io, ui
from torch import Tensor

from ..comfyui import folders, host
from ..comfyui.checks import checked
from .decode import CHUNK_FRAMES, FORMATS, decode_frames, decode_video

CATEGORY = "animate_anyone/decoding"


def latent_inputs() -> list[io.Input]:
    """Return the inputs that both decoding nodes have."""
    return [
        io.Latent.Input("latent", tooltip="From Animate, or from a sampler after Apply."),
        io.Vae.Input("vae", tooltip="The autoencoder that belongs to the weights."),
    ]


def chunk_input() -> io.Input:
    """Return the input for the number of frames decoded together."""
    return io.Int.Input(
        "chunk",
        default=CHUNK_FRAMES,
        min=1,
        max=512,
        tooltip="Frames to decode together. Fewer need less memory.",
    )


def skip_input() -> io.Input:
    """Return the input for the number of first frames that are left out."""
    return io.Int.Input(
        "skip",
        default=0,
        min=0,
        max=10000,
        optional=True,
        force_input=True,
        tooltip="First frames to leave out: connect held of Continue, since the earlier clip ends "
        "with these frames.",
    )


class DecodeFrames(io.ComfyNode):
    """Decodes a clip to pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_DecodeFrames",
            display_name="Decode Frames (Animate Anyone)",
            category=CATEGORY,
            description="Decodes all frames, a few at a time. For long clips prefer Decode to "
            "Video, which never holds all frames in memory.",
            inputs=[*latent_inputs(), chunk_input(), skip_input()],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    @checked
    def execute(cls, latent: dict, vae: host.Vae, chunk: int, skip: int = 0) -> io.NodeOutput:
        return io.NodeOutput(decode_frames(latent, vae, chunk, skip))


class DecodeToVideo(io.ComfyNode):
    """Decodes a clip straight into a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_DecodeToVideo",
            display_name="Decode to Video (Animate Anyone)",
            category=CATEGORY,
            description="Decodes a clip straight into a video file, with the speed and the sound "
            "of the driving clip. Memory use does not grow with the length.",
            inputs=[
                *latent_inputs(),
                io.Float.Input(
                    "fps",
                    default=30.0,
                    min=1.0,
                    max=1000.0,
                    step=0.001,
                    tooltip="Frames per second. The speed of a connected driving clip is used "
                    "instead.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="animate_anyone/clip",
                    tooltip="Folder and name in ComfyUI's output folder. "
                    "%date:yyyy-MM-dd% becomes the date.",
                ),
                chunk_input(),
                io.Video.Input(
                    "driving",
                    optional=True,
                    tooltip="The clip that the poses come from: its speed and sound are kept.",
                ),
                io.Combo.Input(
                    "format",
                    options=FORMATS,
                    default="mp4",
                    optional=True,
                    tooltip="mp4: H.264. webm: VP9, for browsers, can be transparent. mov: H.264, "
                    "or ProRes 4444 with a mask, for editing; browsers do not show ProRes.",
                ),
                io.Mask.Input(
                    "foreground_mask",
                    optional=True,
                    tooltip="The clip stays where the mask is white and becomes transparent where "
                    "it is black; one mask per frame, or one for all. Make it from the frames of "
                    "Decode Frames, for example with Remove Background. Masks of Load Image are "
                    "the other way round: use Invert Mask. Needs the format webm or mov.",
                ),
                skip_input(),
            ],
            outputs=[io.Video.Output(display_name="video")],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        return folders.prefix_fault(filename_prefix, ".mp4")

    @classmethod
    @checked
    def execute(
        cls,
        latent: dict,
        vae: host.Vae,
        fps: float,
        filename_prefix: str,
        chunk: int,
        driving: VideoInput | None = None,
        format: str = "mp4",
        foreground_mask: Tensor | None = None,
        skip: int = 0,
    ) -> io.NodeOutput:
        options = {"fps": fps, "prefix": filename_prefix, "chunk": chunk, "driving": driving}
        options |= {"suffix": format, "mask": foreground_mask, "skip": skip}
        path, subfolder = decode_video(latent, vae, **options)
        shown = ui.SavedResult(path.name, subfolder, io.FolderType.output)
        return io.NodeOutput(VideoFromFile(str(path)), ui=ui.PreviewVideo([shown]))


NODES = {190: DecodeFrames, 200: DecodeToVideo}  # by place in the menu
