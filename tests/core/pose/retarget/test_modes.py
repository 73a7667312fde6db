"""Adding an entry to MODES is enough to offer, describe and use a mode everywhere."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from animate_anyone.__main__ import main
from animate_anyone.errors import InputError
from animate_anyone.pose.files.keypoints import read_keypoints, write_keypoints
from animate_anyone.pose.retarget.modes import MODES, Mode
from animate_anyone.pose.retarget.retarget import RetargetConfig, retarget
from benchmarks.skeletons import NEUTRAL, REFERENCE_VIEW, film, make_body, reshape

ROOT = Path(__file__).resolve().parents[4]
BODY = make_body(np.random.default_rng(3))
DRIVER = film(BODY, [NEUTRAL] * 3, REFERENCE_VIEW)
REFERENCE = film(reshape(BODY, legs=0.7, arms=0.8), [NEUTRAL], REFERENCE_VIEW)
TEXTS = (
    "docs/retargeting.md",
    "web/docs/AnimateAnyone_RetargetPose/en.md",
    "web/docs/AnimateAnyone_RetargetPose/zh.md",
    "locales/zh/nodeDefs.json",
)


def like_the_torso(measured, strength):
    """Give every bone the torso's ratio."""
    ratio = measured.ratios["spine"]
    return replace(
        measured,
        ratios=dict.fromkeys(measured.ratios, ratio),
        sources=dict.fromkeys(measured.sources, "torso"),
    )


@pytest.fixture
def torso(monkeypatch):
    """Return a mode that is added to the table during a test."""
    mode = Mode(summary="all bones like the torso", scales=like_the_torso)
    monkeypatch.setitem(MODES, "torso", mode)
    return mode


@pytest.mark.usefixtures("torso")
def test_an_entry_decides_the_lengths_and_the_report():
    _, report = retarget(DRIVER, REFERENCE, RetargetConfig(mode="torso"))
    limb = retarget(DRIVER, REFERENCE)[1]
    spine = next(bone.ratio for bone in limb.bones if bone.bone == "spine")
    assert report.data()["mode"] == "torso"
    assert {(bone.ratio, bone.source) for bone in report.bones} == {(spine, "torso")}
    assert report.text().startswith("mode torso, ")
    with pytest.raises(InputError, match="must be one of none, uniform, limb, torso"):
        RetargetConfig(mode="bones")


@pytest.mark.usefixtures("torso")
@pytest.mark.parametrize("words", [["pose", "retarget"], ["animate"], ["demo"]])
def test_an_entry_is_offered_and_described_by_every_command(words, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--retarget {none,uniform,limb,torso}" in text
    assert "torso: all bones like the torso" in text


@pytest.mark.usefixtures("torso")
def test_an_entry_can_be_chosen_on_the_command_line(tmp_path, capsys):
    paths = [tmp_path / name for name in ("driver.json", "reference.json", "out.json")]
    write_keypoints(paths[0], DRIVER)
    write_keypoints(paths[1], REFERENCE)
    words = ["pose", "retarget", str(paths[0]), str(paths[1]), f"--out={paths[2]}"]
    assert main([*words, "--mode=torso"]) == 0
    assert "mode torso" in capsys.readouterr().out
    expected, _ = retarget(
        read_keypoints(paths[0]), read_keypoints(paths[1]), RetargetConfig(mode="torso")
    )
    np.testing.assert_allclose(read_keypoints(paths[2]).body.xy, expected.body.xy, atol=0.01)


def test_an_entry_without_scales_only_fits_the_canvas(monkeypatch):
    monkeypatch.setitem(MODES, "still", Mode(summary="", scales=None))
    config = RetargetConfig(mode="still")
    assert not config.compares
    result, report = retarget(DRIVER, REFERENCE, config)
    assert np.array_equal(result.body.xy, DRIVER.body.xy)
    assert (report.mode, report.bones) == ("still", ())


def not_described(path, modes=MODES):
    """Return the modes that a text does not describe."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".json"):
        words = json.loads(text)["AnimateAnyone_RetargetPose"]["inputs"]["mode"]["tooltip"]
    else:
        words = next(line for line in text.splitlines() if line.startswith("| `mode`"))
    return [mode for mode in modes if not re.search(rf"\b{mode}`?[:\uff1a]", words)]


@pytest.mark.parametrize("path", TEXTS)
def test_every_text_about_the_modes_describes_all_of_them(path):
    assert not not_described(path), (
        f"{path} must describe mode {not_described(path)} where it describes the modes"
    )


@pytest.mark.usefixtures("torso")
@pytest.mark.parametrize("path", TEXTS)
def test_a_new_mode_is_reported_as_missing_in_every_text(path):
    assert not_described(path) == ["torso"]
