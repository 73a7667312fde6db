"""Generated clips that are kept: whole or not there, and errors name what the user knows."""

import errno

import pytest
import torch

from animate_anyone.errors import MediaError
from animate_anyone.evaluation.kept import clips
from animate_anyone.evaluation.kept.clips import KeptClips
from animate_anyone.places import cannot_write


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
