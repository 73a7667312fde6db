import json

import numpy as np
import pytest

from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import skeletons_of
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import paint
from animate_anyone.pose.files.writing import write_keypoints
from animate_anyone.types import Size
from benchmarks.sides import PARTS, main, measured


@pytest.fixture(scope="module")
def clip():
    rng = np.random.default_rng(3)
    character, motion = make_character(rng), make_motion(rng)
    size = Size(128, 128)
    return skeletons_of([paint(character, motion.angles(frame), size) for frame in range(12)], size)


@pytest.mark.parametrize("part", PARTS)
def test_all_exchanges_are_counted(clip, part):
    nothing = measured(clip, part, lambda one: one)
    assert nothing["wrong"] == nothing["exchanged"] > 0
    assert nothing["spoiled"] == 0
    found = measured(clip, part)
    assert found["exchanged"] == nothing["exchanged"]
    assert found["wrong"] < 0.3 * found["exchanged"]


def test_the_command_prints_each_part(clip, tmp_path, capsys):
    write_keypoints(tmp_path / "k.json", clip)
    assert main([str(tmp_path / "k.json"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [*PARTS, "as it is"]
    assert found["as it is"] == {"spoiled": 0}
    assert main([str(tmp_path / "k.json")]) == 0
    assert "| lower legs | " in capsys.readouterr().out
