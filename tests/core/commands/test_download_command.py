import hashlib
from dataclasses import replace

import pytest

from animate_anyone.__main__ import main
from animate_anyone.weights.hub.download import fetch, ignore_progress
from animate_anyone.weights.sets.record import HubFile
from animate_anyone.weights.sets.table import SETS


@pytest.fixture
def hub(monkeypatch):
    """Replace the published pair by two small files; return the content that the hub serves."""
    content = {"bytes": b"network"}
    files = tuple(
        HubFile(
            role=name.removesuffix(".onnx"),
            repository="someone/pose",
            path=name,
            to=name,
            size=7,
            sha256=hashlib.sha256(b"network").hexdigest(),
        )
        for name in ("detector.onnx", "estimator.onnx")
    )

    def get(file, part, progress):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content["bytes"])
        progress(4, 7)
        progress(7, 7)

    monkeypatch.setitem(SETS, "dwpose", replace(SETS["dwpose"], files=files))
    monkeypatch.setattr(fetch, "__defaults__", (ignore_progress, get))
    return content


@pytest.mark.parametrize("flag", ["--out", "--folder", "--to"])
def test_pose_pair_is_downloaded_and_its_options_are_shown(hub, tmp_path, caplog, flag):
    caplog.set_level("INFO")
    assert main(["download", "dwpose", flag, str(tmp_path)]) == 0

    assert sorted(path.name for path in tmp_path.iterdir()) == ["detector.onnx", "estimator.onnx"]
    assert f"--detector {tmp_path / 'detector.onnx'} --estimator" in caplog.text


def test_wrong_file_is_reported_with_manual_steps(hub, tmp_path, capsys):
    hub["bytes"] = b"NETWORK"
    assert main(["download", "dwpose", "--out", str(tmp_path)]) == 2

    told = capsys.readouterr().err
    assert "expected is" in told
    assert f"save it as {tmp_path / 'detector.onnx'}" in told
