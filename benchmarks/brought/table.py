"""All cases, by group, in the order of the table in docs/."""

from .case import Case
from .clips import CLIPS
from .keypoints import KEYPOINTS
from .pictures import PICTURES

GROUPS: dict[str, tuple[Case, ...]] = {
    "Clips and pictures": CLIPS + PICTURES,
    "Keypoint files": KEYPOINTS,
}
