import json

import numpy as np
import pytest

from animate_anyone.__main__ import main
from animate_anyone.media import clip_info, frames_of, read_picture, to_bytes
from animate_anyone.types import Size
from animate_anyone.weights import pose_models

ENDS = ("mp4", "png", "webp", "json", "driving.mp4", "overlay.mp4")


def test_demo_goes_from_a_video_to_a_clip_a_sheet_and_a_report(tiny_bundle, tmp_path):
    out = tmp_path / "new" / "demo.mp4"
    words = ["demo", f"--models={tiny_bundle}", f"--out={out}", "--device=cpu", "--provider=cpu"]
    assert main([*words, "--frames=3", "--steps=1"]) == 0

    left = {path.name for path in out.parent.iterdir()}
    assert left == {f"demo.{end}" for end in ENDS}
    for name, size in (("demo", 128), ("demo.driving", 128), ("demo.overlay", 384)):
        info = clip_info(out.with_name(f"{name}.mp4"))
        assert (info.frames, info.size) == (3, Size(size, size))
    moving = list(frames_of(out.with_suffix(".webp")))
    assert [frame.shape for frame in moving] == [(256, 4 * 256, 3)] * 3
    assert np.abs(moving[0].astype(int) - moving[2])[:, 256:512].max() > 50  # the driver moves
    sheet = to_bytes(read_picture(out.with_suffix(".png")))[0]
    assert sheet.shape[0] == 5 * (256 + 2)
    driving, skeleton, truth = (sheet[258 * row :][:256, -256:] for row in (1, 2, 4))
    assert np.median(skeleton) == 0
    assert skeleton.max() > 200
    assert np.abs(truth.astype(int) - driving).mean() > 10  # another character

    report = json.loads(out.with_suffix(".json").read_text())
    assert report["driving"]["found"]
    assert report["reference"]["found"]
    assert (report["driving"]["extract"]["frames"], report["retargeting"]["mode"]) == (3, "limb")


@pytest.mark.slow
def test_driving_video_shows_the_named_driver(tiny_bundle, tmp_path):
    clips = []
    for driver in (3, 4):
        out = tmp_path / f"{driver}.mp4"
        words = ["demo", f"--models={tiny_bundle}", f"--out={out}", f"--driver={driver}"]
        assert main([*words, "--frames=1", "--steps=1", "--device=cpu"]) == 0
        clips.append(next(frames_of(tmp_path / f"{driver}.driving.mp4")).astype(int))
    assert np.abs(clips[0] - clips[1]).mean() > 10


def test_demo_refuses_no_frames(tiny_bundle, tmp_path, capsys):
    words = ["demo", f"--models={tiny_bundle}", f"--out={tmp_path / 'demo.mp4'}"]

    assert main([*words, "--frames=0", "--device=cpu"]) == 2
    assert "poses got 0 frames" in capsys.readouterr().err


def test_missing_pose_network_is_named(tiny_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pose_models.embedded_pose_models, "__defaults__", (tmp_path,))
    words = ["demo", f"--models={tiny_bundle}", f"--out={tmp_path / 'demo.mp4'}"]

    assert main([*words, "--frames=2", "--steps=1", "--device=cpu"]) == 2
    assert "pose_detector.onnx, which is missing; it is part of this package" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "demo.mp4").exists()
