"""novita-ai AnimateAnyone: Moore's layout with a narrower Pose Guider."""

from dataclasses import replace

from ...config import PoseGuiderConfig
from .moore import MOORE
from .record import WeightSet
from .stable_diffusion import ENCODERS, network_file

_HUB = "novita-ai/AnimateAnyone"

NOVITA = replace(
    MOORE,
    name="novita",
    title="novita-ai AnimateAnyone",
    pose_guider=PoseGuiderConfig(channels=(16, 32, 64, 128)),
)
SET = WeightSet.of(
    NOVITA,
    "hub",
    (
        network_file(
            "denoiser",
            _HUB,
            "denoising_unet.pth",
            sha256="0158527e3a40405a5452c12d9a111c2a948386b47300771b5316750a8f14534e",
        ),
        network_file("reference_net", _HUB, "reference_unet.pth"),
        network_file("motion", _HUB, "motion_module.pth"),
        network_file(
            "pose_guider",
            _HUB,
            "pose_guider.pth",
            size=2_065_454,
            sha256="b4bf7505b63e28fc25e06412127acfd12ae8dcb01539ef70534cf2e4bb75d7ae",
        ),
        *ENCODERS,
    ),
)
