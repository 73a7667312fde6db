"""A place that cannot be written is found before the work, in every command that writes."""

from pathlib import Path

import pytest

from animate_anyone.__main__ import main
from animate_anyone.places import owned

# Inputs that do not exist: the place must be named before one of them is opened.
COMMANDS = {
    "demo": ("demo", "--models=gone", "--out={}/x.mp4"),
    "demo, sheet": ("demo", "--models=gone", "--out={ok}/x.mp4", "--sheet={}/x.png"),
    "convert": ("convert", "gone", "--out={}/x.safetensors"),
    "evaluate": ("evaluate", "--models=gone", "--figures={}/x.json"),
    "evaluate, table": ("evaluate", "--models=gone", "--markdown={}/x.md"),
    "evaluate, clip": ("evaluate", "--result=gone", "--poses=gone", "--figures={}/x.json"),
    "evaluate, rows": ("evaluate", "--models=gone", "--out={}"),
    "evaluate, clips": ("evaluate", "--models=gone", "--keep-clips={}"),
    "extract": ("pose", "extract", "gone", "--out={}/x.json"),
    "retarget": ("pose", "retarget", "gone", "gone", "--out={ok}/x.json", "--overlay={}/x.mp4"),
    "read": ("pose", "read", "gone", "--out={}/x.json"),
    "report": ("pose", "read", "gone", "--out={ok}/x.json", "--report={}/r.json"),
    "stage1": ("train", "stage1", "--folder={}", "--data=gone"),
    "export": ("train", "export", "--folder=gone", "--out={}"),
    "mini": ("mini", "detector", "--folder={}"),
    "mini export": ("mini", "export", "--folder={ok}", "--out={}"),
    "prepare": ("prepare", "--clips=gone", "--out={}"),
    "ablations": ("ablations", "--folder={}"),
    "download": ("download", "dwpose", "--out={}"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path, capsys, words) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "ok").mkdir()
    filled = [each.replace("{ok}", f"{tmp_path}/ok").format(tmp_path / "file") for each in words]
    assert main(filled) == 2
    told = capsys.readouterr().err
    (option,) = (word.split("=")[0].lstrip("-") for word in words if "={}" in word)
    assert f"{option} got {tmp_path / 'file'}" in told
    assert "it cannot be written" in told
    assert list((tmp_path / "ok").iterdir()) == []


@pytest.fixture(scope="module")
def picture_and_poses(tmp_path_factory) -> tuple[Path, Path]:
    from PIL import Image

    folder = tmp_path_factory.mktemp("inputs")
    Image.new("RGB", (64, 64)).save(folder / "r.png")
    (folder / "skeletons").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "skeletons" / "0.png")
    return folder / "r.png", folder / "skeletons"


@pytest.mark.parametrize(
    "words",
    [
        ("--out={}/x.mp4",),
        ("--out=x.mp4", "--sheet={}/x.png"),
        ("--out=x.mp4", "--sheet=x.sheet"),
    ],
)
def test_animate_finds_it_before_sampling(
    tmp_path, picture_and_poses, capsys, words, monkeypatch
) -> None:
    def fail(*_, **__) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr("animate_anyone.weights.load.load_models", fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    inputs = [f"--reference={picture_and_poses[0]}", f"--poses={picture_and_poses[1]}"]
    inputs += ["--driving=skeleton", "--size=64x64"]
    assert main(["animate", *inputs, *(each.format(tmp_path / "file") for each in words)]) == 2
    told = capsys.readouterr().err
    assert f"{words[-1].split('=')[0][2:]} got " in told
    assert "it cannot be written" in told


def test_a_second_prepare_in_a_folder_is_told_of_the_first(
    tmp_path, picture_and_poses, capsys
) -> None:
    with owned(tmp_path):
        words = ["prepare", f"--clips={picture_and_poses[1].parent}", f"--out={tmp_path}"]
        assert main(words) == 2
    assert "in which another process is working" in capsys.readouterr().err
