"""Layouts that only files have, faces of all layouts, and layouts by names."""

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.skeleton.faces import FACES
from animate_anyone.pose.skeleton.joints import BODY_JOINTS, PART_JOINTS
from animate_anyone.pose.skeleton.layouts import FILE_LAYOUTS, LAYOUTS, file_layouts, layouts_of
from animate_anyone.pose.skeleton.names import FEET_JOINTS, named_layout
from animate_anyone.types import Size


@pytest.mark.parametrize("layout", FILE_LAYOUTS, ids=lambda layout: layout.name)
def test_layouts_use_no_keypoint_twice_in_a_part(layout):
    for part in PART_JOINTS:
        single = [joint for joint in getattr(layout, part) if isinstance(joint, int)]
        assert len(set(single)) == len(single)
    assert layout in layouts_of(layout.keypoints)
    assert f"{layout.keypoints}: " in file_layouts()


def test_layouts_of_networks_are_those_of_files_too():
    for count, layout in LAYOUTS.items():
        assert layout in layouts_of(count)
    assert layouts_of(16) == ()


def test_faces_are_68_different_points_of_each_layout():
    for count, points in FACES.items():
        assert len(points) == len(set(points)) == PART_JOINTS["face"]
        assert max(points) < count


def test_names_are_read_in_any_spelling_and_order():
    names = [name for name in BODY_JOINTS if name != "neck"][::-1] + list(FEET_JOINTS)
    spelled = [name.replace("left_", "L-").replace("right_", "Right ") for name in names]
    layout = named_layout(spelled)
    xy = np.stack([np.arange(23.0), np.zeros(23)], -1)[None, None]
    clip = layout.to_clip(Size(9, 9), xy, np.ones((1, 1, 23)))
    for joint, name in enumerate(BODY_JOINTS):
        if name != "neck":
            assert clip.body.xy[0, 0, joint, 0] == names.index(name)
    shoulders = [names.index("left_shoulder"), names.index("right_shoulder")]
    assert clip.body.xy[0, 0, 1, 0] == np.mean(shoulders)
    assert clip.feet.xy[0, 0, :, 0].tolist() == list(range(17, 23))


def test_names_of_no_person_raise_with_the_missing_ones():
    with pytest.raises(InputError, match=r"got the names nose, tail; .* left_shoulder, right_sh"):
        named_layout(["nose", "tail"])


def test_feet_are_ankles_where_nothing_else_is_called_so():
    names = ["root", "spine", "thorax", "head"]
    names += [f"{side}_{joint}" for side in ("left", "right") for joint in (
        "shoulder", "elbow", "wrist", "hip", "knee", "foot"
    )]  # fmt: skip
    assert named_layout(names).body[10] == names.index("right_foot")
    both = [*names, "left_ankle", "right_ankle"]
    assert named_layout(both).body[10] == both.index("right_ankle")
