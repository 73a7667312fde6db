"""All cases, by group, in the order of the table in docs/."""

from .case import Case
from .clips import CLIPS
from .keypoints import KEYPOINTS
from .odd.containers import CONTAINERS
from .odd.folders import FOLDERS
from .odd.moving import MOVING
from .odd.stills import STILLS
from .pictures import PICTURES

GROUPS: dict[str, tuple[Case, ...]] = {
    "Clips and pictures": (*CLIPS, *PICTURES, *CONTAINERS, *MOVING, *STILLS, *FOLDERS),
    "Keypoint files": KEYPOINTS,
}
