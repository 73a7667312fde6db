"""Loading the networks, and the picture of whom to animate."""

from comfy_api.latest import io

from ..animate_anyone.config import AA_MINI, PRESETS
from ..animate_anyone.errors import InputError
from ..animate_anyone.types import Size
from ..animate_anyone.weights.sources import WeightPaths
from . import convert, folders, host
from .checks import checked
from .encoding import encode_reference
from .loading import Source, load_networks
from .sockets import Network, PoseGuiderSocket, ReferenceNetSocket, ReferenceSocket

DETECT = "files (detect the kind)"
BUILT_IN = "(none)"
SLOTS = ("denoiser", "motion", "reference_net", "pose_guider")


class LoadModels(io.ComfyNode):
    """Loads a weight set."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        files = [BUILT_IN, *folders.model_files()]
        known = [name for name in PRESETS if name != AA_MINI.name]
        return io.Schema(
            node_id="AnimateAnyone_LoadModels",
            display_name="Load Models (Animate Anyone)",
            category="animate_anyone/models",
            description="Loads the networks of Animate Anyone. aa-mini comes with the pack and "
            "needs no download; other weight sets are files in models/animate_anyone.",
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=[AA_MINI.name, DETECT, *known],
                    tooltip="Which weight set. aa-mini comes with the pack (drawn characters, 128 "
                    "pixels). For all others choose the files below; naming the set settles what "
                    "the files alone cannot say, such as the noise schedule.",
                ),
                io.Combo.Input(
                    "denoiser",
                    options=files,
                    tooltip="denoising_unet, or one bundle file that holds everything. Not needed "
                    "for aa-mini.",
                ),
                io.Combo.Input(
                    "motion",
                    options=files,
                    tooltip="motion_module. Leave at (none) if the denoiser contains it.",
                ),
                io.Combo.Input("reference_net", options=files, tooltip="reference_unet."),
                io.Combo.Input("pose_guider", options=files, tooltip="pose_guider."),
                io.Combo.Input(
                    "dtype",
                    options=list(host.DTYPES),
                    tooltip="Number format of the weights. Automatic suits the graphics card; "
                    "fp8 halves the memory again and costs some quality.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                ReferenceNetSocket.Output(display_name="reference net"),
                PoseGuiderSocket.Output(display_name="pose guider"),
                io.Vae.Output(display_name="vae"),
                io.ClipVision.Output(display_name="clip vision"),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        preset: str,
        denoiser: str,
        motion: str,
        reference_net: str,
        pose_guider: str,
        dtype: str,
    ) -> io.NodeOutput:
        files: dict[str, str] = dict(
            zip(SLOTS, (denoiser, motion, reference_net, pose_guider), strict=True)
        )
        named = None if preset in (DETECT, AA_MINI.name) else preset
        return io.NodeOutput(*load_networks(source_of(preset, files), named, dtype))


class EncodeReference(io.ComfyNode):
    """Turns the picture of a character into what the denoiser reads of it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_EncodeReference",
            display_name="Encode Reference (Animate Anyone)",
            category="animate_anyone/models",
            description="Runs ReferenceNet once over the picture of the character.",
            inputs=[
                io.Image.Input("image", tooltip="One picture of the whole character."),
                io.Vae.Input("vae", tooltip="The autoencoder that belongs to the weights."),
                io.ClipVision.Input(
                    "clip_vision", tooltip="The image encoder that belongs to the weights."
                ),
                ReferenceNetSocket.Input("reference_net", tooltip="From Load Models."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Pixels. The picture is fitted into this size, its margins repeated. "
                    "0 takes the size of pose_image, or the one that suits the weights.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Image.Input(
                    "pose_image",
                    optional=True,
                    tooltip="The drawn poses, only for their size: reference and video then have "
                    "the same, which is what the networks were trained on.",
                ),
            ],
            outputs=[ReferenceSocket.Output(display_name="reference")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        image: io.Image.Type,
        vae: host.Vae,
        clip_vision: host.ClipVision,
        reference_net: Network,
        width: int,
        height: int,
        pose_image: io.Image.Type | None = None,
    ) -> io.NodeOutput:
        size = Size(width, height)
        if size == Size(0, 0) and pose_image is not None:
            size = convert.image_size(pose_image)
        return io.NodeOutput(encode_reference(image, vae, clip_vision, reference_net, size))


def source_of(preset: str, files: dict[str, str]) -> Source:
    """Return the weight set that the chosen files make."""
    chosen = {slot: folders.model_path(name) for slot, name in files.items() if name != BUILT_IN}
    if preset == AA_MINI.name:
        if chosen:
            raise InputError(
                f"{' and '.join(chosen)} got a file, but preset {preset} comes with the pack; set "
                f"them to {BUILT_IN}, or choose the preset that the files belong to."
            )
        return preset
    if not chosen:
        raise InputError(
            f"denoiser got {BUILT_IN}; preset {preset!r} needs files in models/animate_anyone: "
            "choose a bundle there, or one file for each of denoiser, reference_net and "
            "pose_guider. To begin without a download choose aa-mini."
        )
    if set(chosen) == {"denoiser"}:
        return chosen["denoiser"]
    if absent := {"denoiser", "reference_net", "pose_guider"} - set(chosen):
        raise InputError(
            f"{' and '.join(sorted(absent))} got {BUILT_IN}; a weight set needs a denoiser, a "
            "reference_net and a pose_guider. Choose the missing file."
        )
    return WeightPaths(**chosen)
