"""The node that lets a clip go on from an earlier one."""

from comfy_api.latest import io

from ...animate_anyone.animate.continuing import MOST_HELD, USUAL_HELD
from ..comfyui import host
from ..comfyui.checks import checked
from ..comfyui.sockets import Pose, PoseSocket
from .going_on import continued


class Continue(io.ComfyNode):
    """Makes the latent of a clip that goes on from an earlier one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Continue",
            display_name="Continue (Animate Anyone)",
            category="animate_anyone/sampling",
            description="Lets a clip begin with the last frames of an earlier one. They stay as "
            "they are while the new ones are sampled, so that no seam is seen. Connect the latent "
            "to Animate, or to a sampler after Apply, and held to skip of the decoding node.",
            inputs=[
                PoseSocket.Input(
                    "pose",
                    tooltip="Of the new clip, from Encode Pose. Its first poses are those of the "
                    "held frames, that is the last ones of the earlier clip.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The earlier clip as pictures, at the size of the pose. Or one "
                    "picture, such as the reference, which is fitted: set held to 1. Pictures "
                    "carry no speed, so it is not checked: the poses must be at the earlier clip's "
                    "frames per second.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The earlier clip as latent, instead of image: nothing is encoded "
                    "again.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The autoencoder that belongs to the weights. Needed for image.",
                ),
                io.Int.Input(
                    "held",
                    default=USUAL_HELD,
                    min=1,
                    max=MOST_HELD,
                    optional=True,
                    tooltip="How many of the earlier clip's last frames the new clip begins with. "
                    "A window needs room for one frame more.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent"),
                io.Int.Output(display_name="held"),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        pose: Pose,
        image: io.Image.Type | None = None,
        latent: dict | None = None,
        vae: host.Vae | None = None,
        held: int = USUAL_HELD,
    ) -> io.NodeOutput:
        return io.NodeOutput(continued(pose, image, latent, vae, held), held)


NODES = {152: Continue}  # by place in the menu
