"""The command `evaluate` on a clip of one's own, and what it refuses."""

import json
from pathlib import Path

import pytest

from animate_anyone.__main__ import main

INPUTS = Path(__file__).resolve().parents[3] / "workflows/inputs"


def test_a_skeleton_clip_moves_where_it_moves_itself(tmp_path):
    clip, table = str(INPUTS / "motion.mp4"), tmp_path / "table.json"
    assert main(["evaluate", "--result", clip, "--poses", clip, "--json", str(table)]) == 0
    assert json.loads(table.read_text())["skeleton_covered"] > 0.99


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pairs", "0"], "--pairs got 0"),
        (["--frames", "0"], "--frames 0"),
        (["--first", "-1"], "--first -1"),
        (["--result", "motion.mp4"], "--poses belong together"),
        (["--result", "motion.mp4", "--poses", "driving.mp4"], "a video of a person"),
    ],
    ids=["no pairs", "no frames", "before the first", "no poses", "poses not extracted"],
)
def test_what_cannot_be_measured_is_refused(monkeypatch, capsys, words, message):
    monkeypatch.chdir(INPUTS)
    assert main(["evaluate", *words]) == 2
    assert message in capsys.readouterr().err
