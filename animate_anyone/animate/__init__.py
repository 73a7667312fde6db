"""The paper's figure 2: a reference picture and pose pictures become the frames of a clip."""

from ..networks.condition import check_strengths
from .checks import check_inputs, check_plan, snap_size, too_few_steps
from .clip import animate, decode, denoise, starting_noise
from .condition import PoseFeatures, ReferenceCondition, ReferencePictures, tell_small
from .settings import Networks, Sampling, sampling_of

__all__ = [
    "Networks",
    "PoseFeatures",
    "ReferenceCondition",
    "ReferencePictures",
    "Sampling",
    "animate",
    "check_inputs",
    "check_plan",
    "check_strengths",
    "decode",
    "denoise",
    "sampling_of",
    "snap_size",
    "starting_noise",
    "tell_small",
    "too_few_steps",
]
