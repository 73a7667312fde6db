"""Keypoint files: what extractors, editors and data sets write."""

from .case import Case
from .keypoint_layouts import LAYOUT_CASES
from .keypoint_makers import MAKER_CASES
from .keypoint_numbers import NUMBER_CASES
from .odd.people import PEOPLE
from .odd.units import UNITS

KEYPOINTS: tuple[Case, ...] = (*LAYOUT_CASES, *MAKER_CASES, *NUMBER_CASES, *UNITS, *PEOPLE)
