"""MusePose: Moore's networks with longer windows and other betas."""

from dataclasses import replace

from ...config import MotionConfig, ScheduleConfig
from .moore import MOORE
from .record import WeightSet
from .stable_diffusion import ENCODERS, SD15_UNET, network_file

_HUB = "TMElyralab/MusePose"

MUSEPOSE = replace(
    MOORE,
    name="musepose",
    title="MusePose",
    unet=replace(SD15_UNET, motion=MotionConfig(max_frames=128)),
    schedule=ScheduleConfig(beta_schedule="scaled_linear"),
    licence="non-commercial research only",
)
SET = WeightSet.of(
    MUSEPOSE,
    "hub",
    (
        network_file(
            "denoiser",
            _HUB,
            "MusePose/denoising_unet.pth",
            size=3_402_758_813,
            sha256="3851e59b6c6106219e5197730747e5c3f26a1582e807e08e2b23fa879c435b36",
        ),
        network_file(
            "reference_net",
            _HUB,
            "MusePose/reference_unet.pth",
            size=3_440_402_647,
            sha256="e80019162d586dac73e5e67e47c9d456c4a78292a127bb3de844ae47aff558c9",
        ),
        network_file(
            "motion",
            _HUB,
            "MusePose/motion_module.pth",
            size=916_202_377,
            sha256="8427f8b660647834d6cbfcce7400ce7f48119c823ef6aad470a6d3a5b3720fd2",
        ),
        network_file(
            "pose_guider",
            _HUB,
            "MusePose/pose_guider.pth",
            sha256="162c43ec616965e1df65ff818aec42acd0d699310e95939b74cbd70b56396234",
        ),
        *ENCODERS,
    ),
)
