"""Generated clips that are kept: whole or not there, and errors name what the user knows."""

import errno
import json

import pytest
import torch

from animate_anyone.errors import InputError, MediaError
from animate_anyone.evaluation.kept import clips, folder
from animate_anyone.evaluation.kept.clips import KeptClips, open_clips
from animate_anyone.evaluation.kept.folder import Settings, open_rows
from animate_anyone.places import begin_file, cannot_write


def test_a_full_disk_names_the_folder_of_the_clip(tmp_path, monkeypatch):
    def full(path, picture):
        raise MediaError(cannot_write(path, OSError(errno.ENOSPC, "No space left on device")))

    monkeypatch.setattr(clips, "write_picture", full)
    kept = KeptClips(tmp_path, "png")
    with (
        pytest.raises(MediaError, match=r"keep-clips got .*a b.000000\.png; .*No space left"),
        kept.writer("a b", 30.0) as writer,
    ):
        writer.through(lambda frames: frames)(torch.zeros(1, 3, 8, 8))
    assert not list(tmp_path.iterdir())


def test_of_two_tests_that_begin_a_folder_at_once_one_is_refused(tmp_path, monkeypatch):
    def slower(path, text, name="out"):
        assert begin_file(path, json.dumps({"protocol": "other"}))  # another process meanwhile
        return begin_file(path, text)

    monkeypatch.setattr(clips, "begin_file", slower)
    with pytest.raises(InputError, match=r"holds clips of another test .* kind, protocol;"):
        open_clips(tmp_path, {"protocol": "own"})
    monkeypatch.setattr(folder, "begin_file", slower)
    (tmp_path / "rows").mkdir()
    settings = Settings(same={"protocol": "own"}, names=["a"], first=0, report={})
    with pytest.raises(InputError, match=r"settings\.json, which is damaged"):
        open_rows(tmp_path / "rows", settings)
    assert [path.name for path in tmp_path.glob("*/*")] == ["settings.json"]
