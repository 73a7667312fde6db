"""Starting weights of a training: published weights, loaded into existing networks.

Paper, sections 3.2 and 3.3: both UNets start from Stable Diffusion, the temporal layers from
AnimateDiff, the Pose Guider from Gaussian weights that end in zeros. Every function checks names
and shapes of all tensors before it changes the first one. Tensors are copied in place, so that
optimisers and averages keep their references to the parameters.
"""

from .bundle import from_bundle
from .pose_guider import from_controlnet_hint, gaussian_pose_guider
from .stable_diffusion import from_stable_diffusion
from .temporal import from_animatediff

__all__ = [
    "from_animatediff",
    "from_bundle",
    "from_controlnet_hint",
    "from_stable_diffusion",
    "gaussian_pose_guider",
]
