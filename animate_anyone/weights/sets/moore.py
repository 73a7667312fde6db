"""Moore-AnimateAnyone, the public implementation's own weights."""

from ...config import PoseGuiderConfig, Preset
from .record import WeightSet
from .stable_diffusion import ENCODERS, SD15_UNET, network_file

_HUB = "patrolli/AnimateAnyone"

MOORE = Preset(
    name="moore",
    title="Moore-AnimateAnyone",
    unet=SD15_UNET,
    pose_guider=PoseGuiderConfig(),
    licence="Apache-2.0 (tag of the hub repository); Stable Diffusion 1.5: CreativeML OpenRAIL-M",
)
SET = WeightSet.of(
    MOORE,
    "hub",
    (
        network_file(
            "denoiser",
            _HUB,
            "denoising_unet.pth",
            size=3_438_374_293,
            sha256="b9e5a2c34fac369e8a922972ca2210916c6af175a0dad907deccf6235816ad52",
        ),
        network_file(
            "reference_net",
            _HUB,
            "reference_unet.pth",
            sha256="beddccb08d49a8b29b0f4d6d456c6521d4382a8d8d48884fa60ba8802509c214",
        ),
        network_file(
            "motion",
            _HUB,
            "motion_module.pth",
            size=1_817_900_227,
            sha256="0d11e01a281b39880da2efeea892215c1313e5713fca3d100a7fbb72ee312ef9",
        ),
        network_file(
            "pose_guider",
            _HUB,
            "pose_guider.pth",
            sha256="1a8b7c1b4db92980fd977b4fd003c1396bbae9a9cdea00c35d452136d5e4f488",
        ),
        *ENCODERS,
    ),
)
