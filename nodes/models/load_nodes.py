"""Loading the networks of a weight set."""

from comfy_api.latest import io

from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ...animate_anyone.weights.sets.table import presets
from ..comfyui import folders, host
from ..comfyui.checks import checked
from ..comfyui.sockets import PoseGuiderSocket, ReferenceNetSocket
from .load import BUILT_IN, DETECT, load_networks, source_of

SLOTS = ("denoiser", "motion", "reference_net", "pose_guider")


class LoadModels(io.ComfyNode):
    """Loads a weight set."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        files = [BUILT_IN, *folders.model_files()]
        known = [name for name in presets() if name != AA_MINI.name]
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
                    tooltip="The weight set. aa-mini comes with the pack (drawn characters, 128 "
                    "pixels). For all others choose the files below; the preset then supplies what "
                    "the files do not contain, such as the noise schedule.",
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
                    tooltip="Number format of the weights. automatic chooses by the graphics card; "
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


NODES = {10: LoadModels}  # by place in the menu
