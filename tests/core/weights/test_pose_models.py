import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from animate_anyone.errors import DownloadError, InputError, WeightsError
from animate_anyone.pose.networks.sessions import SessionPool, open_session
from animate_anyone.weights.hub.download import download, fetch, ignore_progress
from animate_anyone.weights.pose_models import embedded_pose_models, open_pose_pair
from animate_anyone.weights.sets.table import SETS

DWPOSE = SETS["dwpose"].files


@pytest.fixture
def small_pair(monkeypatch):
    """Replace the published files with small ones; return their contents by name."""
    contents = {file.path: file.path.encode() * 9 for file in DWPOSE}
    files = tuple(
        replace(
            file,
            size=len(contents[file.path]),
            sha256=hashlib.sha256(contents[file.path]).hexdigest(),
        )
        for file in DWPOSE
    )
    monkeypatch.setitem(SETS, "dwpose", replace(SETS["dwpose"], files=files))

    def get(file, part, progress):
        assert (file.repository, len(file.revision)) == ("yzd-v/DWPose", 40)
        if file.path not in contents:
            raise OSError("no route")
        content = contents[file.path]
        progress(7, len(content))
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        progress(len(content), len(content))

    monkeypatch.setattr(fetch, "__defaults__", (ignore_progress, get))
    return contents


def test_embedded_pair_is_named_by_its_files(tmp_path):
    names = ("pose_detector.onnx", "pose_estimator.onnx")
    for name in names:
        (tmp_path / name).touch()
    assert embedded_pose_models(tmp_path) == tuple(tmp_path / name for name in names)


def test_missing_embedded_file_is_named(tmp_path):
    (tmp_path / "pose_detector.onnx").touch()
    with pytest.raises(WeightsError, match=r"pose_estimator.onnx, which is missing.*again"):
        embedded_pose_models(tmp_path)


def test_the_embedded_pair_opens_where_no_file_is_named():
    pair = open_pose_pair(provider="cpu", channel_order="moore")
    assert pair.name == "pose_detector.onnx, pose_estimator.onnx"
    assert pair.estimator.channel_order == "moore"


def test_both_files_are_opened_with_the_callers_function():
    asked = []

    def opens(path, provider, *, engine_cache, name):
        asked.append((name, path, provider, engine_cache))
        return open_session(path, "cpu")

    files = embedded_pose_models()
    open_pose_pair(*files, "tensorrt", engine_cache=Path("engines"), opens=opens)
    assert asked == [
        (role, file, "tensorrt", Path("engines"))
        for role, file in zip(("detector", "estimator"), files, strict=True)
    ]


@pytest.mark.parametrize("role", ["detector", "estimator"])
def test_naming_only_one_file_of_a_pair_is_an_error(role):
    other = {"detector": "estimator", "estimator": "detector"}[role]
    with pytest.raises(InputError, match=f"{role} got nothing; detector and estimator must be"):
        open_pose_pair(**{other: embedded_pose_models()[0]})


@pytest.mark.parametrize("role", ["detector", "estimator"])
def test_a_file_that_is_not_there_is_named(role, tmp_path):
    files = dict(zip(("detector", "estimator"), embedded_pose_models(), strict=True))
    with pytest.raises(WeightsError, match=rf"{role} got .*gone\.onnx; there is no such file"):
        open_pose_pair(**files | {role: tmp_path / "gone.onnx"})


def test_swapped_files_are_reported():
    with pytest.raises(WeightsError, match="swap the two files"):
        open_pose_pair(*reversed(embedded_pose_models()), provider="cpu")


def test_public_pair_is_pinned():
    for file in DWPOSE:
        assert re.fullmatch("[0-9a-f]{40}", file.revision)
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert f"/resolve/{file.revision}/" in file.address
    assert sum(file.size for file in DWPOSE) == 351_145_849


def test_pair_is_fetched_with_progress_and_leaves_nothing_else(tmp_path, small_pair):
    told = []
    paths = download("dwpose", tmp_path, lambda *numbers: told.append(numbers))

    assert [path.name for path in paths] == ["yolox_l.onnx", "dw-ll_ucoco_384.onnx"]
    assert [path.read_bytes() for path in paths] == list(small_pair.values())
    sizes = [len(content) for content in small_pair.values()]
    assert told == [(7, sizes[0]), (sizes[0], sizes[0]), (7, sizes[1]), (sizes[1], sizes[1])]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(small_pair)


def test_an_interrupt_passes_through_unchanged(tmp_path, small_pair):
    class InterruptError(Exception):
        pass

    def progress(done, total):
        raise InterruptError

    with pytest.raises(InterruptError):
        download("dwpose", tmp_path, progress)
    assert not (tmp_path / "yolox_l.onnx").exists()


def test_without_network_the_error_names_source_and_target(tmp_path, small_pair):
    small_pair.pop("dw-ll_ucoco_384.onnx")
    with pytest.raises(DownloadError, match="no route") as caught:
        download("dwpose", tmp_path)
    assert "https://huggingface.co/yzd-v/DWPose/resolve/" in str(caught.value)
    assert str(tmp_path / "dw-ll_ucoco_384.onnx") in str(caught.value)
    assert (tmp_path / "yolox_l.onnx").is_file()


def test_wrong_file_is_refused_and_not_kept(tmp_path, small_pair):
    small_pair["yolox_l.onnx"] = b"?" * len(small_pair["yolox_l.onnx"])
    with pytest.raises(DownloadError, match="sha256"):
        download("dwpose", tmp_path)
    assert not (tmp_path / "yolox_l.onnx").exists()


@pytest.mark.parametrize("damaged", ["detector", "estimator"])
@pytest.mark.parametrize("opens", [open_session, SessionPool().get], ids=["alone", "pool"])
def test_a_damaged_file_is_called_by_its_option(tmp_path, damaged, opens):
    files = dict(zip(("detector", "estimator"), embedded_pose_models(), strict=True))
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(files[damaged].read_bytes()[:999])
    files[damaged] = bad
    with pytest.raises(WeightsError, match=rf"^{damaged} got .*bad\.onnx; it is not a complete"):
        open_pose_pair(**files, opens=opens)
