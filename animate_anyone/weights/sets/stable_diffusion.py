"""Layout and files that the published weight sets share; all are based on Stable Diffusion 1.5."""

from ...config import MotionConfig, UNetConfig
from .record import HubFile

SD15_UNET = UNetConfig(motion=MotionConfig())

# Bytes of a set's own networks in float32; a UNet has 860 million parameters.
_USUAL_SIZES = {
    "denoiser": 3_440_000_000,
    "motion": 1_820_000_000,
    "reference_net": 3_440_000_000,
    "pose_guider": 4_000_000,
}
_LAMBDA = "lambdalabs/sd-image-variations-diffusers"
_LAMBDA_LICENCE = "other (tag of the hub repository); Stable Diffusion: CreativeML OpenRAIL-M"

ENCODERS = (
    HubFile(
        role="image_encoder",
        repository=_LAMBDA,
        path="image_encoder/pytorch_model.bin",
        to="image_encoder/pytorch_model.bin",
        size=1_215_993_967,
        sha256="89d2aa29b5fdf64f3ad4f45fb4227ea98bc45156bbae673b85be1af7783dbabb",
        shared_name="sd-image-variations-clip.bin",
        licence=_LAMBDA_LICENCE,
    ),
    HubFile(
        role="image_encoder_config",
        repository=_LAMBDA,
        path="image_encoder/config.json",
        to="image_encoder/config.json",
        size=703,
        licence=_LAMBDA_LICENCE,
    ),
    HubFile(
        role="autoencoder",
        repository="stabilityai/sd-vae-ft-mse",
        path="diffusion_pytorch_model.safetensors",
        to="autoencoder/diffusion_pytorch_model.safetensors",
        revision="31f26fdeee1355a5c34592e401dd41e45d25a493",
        size=334_643_276,
        sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
        shared_name="sd-vae-ft-mse.safetensors",
        licence="MIT",
    ),
)


def network_file(
    role: str,  # a key of `_USUAL_SIZES`
    repository: str,
    path: str,  # in the repository; its last part is the local file name
    *,
    size: int | None = None,  # bytes
    sha256: str | None = None,
) -> HubFile:
    """Return the record of a network file that belongs to one set only."""
    return HubFile(
        role=role,
        repository=repository,
        path=path,
        to=path.rsplit("/", 1)[-1],
        size=size,
        sha256=sha256,
        usual_size=_USUAL_SIZES[role],
    )
