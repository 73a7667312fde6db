"""What a data set will take on the disk, told before anything is prepared."""

import logging
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
from core.dataset.clips_material import SIZE, StoredTools, write_character, write_clip

from animate_anyone.dataset import space
from animate_anyone.dataset.find import find_clips
from animate_anyone.dataset.prepare import prepare
from animate_anyone.dataset.settings import PrepareConfig
from animate_anyone.types import Size

CONFIG = PrepareConfig(size=SIZE, min_frames=6, poses="kept keypoints", cached={})


@pytest.fixture
def places(tmp_path):
    """Return folders of clips, of their keypoints, and of the data set."""
    for name in ("clips", "poses"):
        (tmp_path / name).mkdir()
    for seed, name in enumerate("abc"):
        write_character(tmp_path / "clips", name, seed, 8)
    return tmp_path / "clips", tmp_path / "poses", tmp_path / "set"


def test_the_estimate_is_near_what_is_written(places, caplog):
    caplog.set_level(logging.INFO)
    clips, poses, out = places
    (clips / "broken.mp4").write_bytes(b"no video")  # left out of the estimate
    cached = replace(CONFIG, cached={"latents": "a", "tokens": "b"})

    def told_of(config):
        told = space.estimate_space(find_clips(clips), config)
        assert told is not None
        return told

    told = told_of(cached)
    assert (told.clips, told.looked_at, told.frames) == (4, 3, 32)
    prepare(clips, out, CONFIG, StoredTools(poses))
    assert "4 clips of about 32 frames will take up to 0.00 GB" in caplog.text
    written = sum(path.stat().st_size for path in out.rglob("frames/*"))
    expected = told_of(CONFIG).bytes - 32 * space._KEYPOINTS
    assert expected == pytest.approx(written * 4 / 3, rel=0.1)  # one of four is broken
    more = told.bytes - told_of(CONFIG).bytes
    assert more == pytest.approx(32 * (64 * 8 + 1536), rel=0.01)
    (clips / "broken.mp4").unlink()
    caplog.clear()
    prepare(clips, out, CONFIG, StoredTools(poses))
    assert "will take" not in caplog.text  # nothing is left to prepare


def test_a_disk_that_is_too_small_is_told(places, monkeypatch, caplog):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: usage(1000))
    clips, poses, out = places
    with caplog.at_level(logging.WARNING):
        prepare(clips, out, CONFIG, StoredTools(poses))
    assert "That is not enough: free some space, or choose a smaller --size" in caplog.text


def test_only_some_of_many_clips_are_opened(tmp_path, monkeypatch):
    write_clip(tmp_path, "one", np.zeros((2, 64, 64, 3), np.uint8))
    found = list(find_clips(tmp_path)) * 1000
    opened = []
    real = space.clip_info
    monkeypatch.setattr(space, "clip_info", lambda path: opened.append(path) or real(path))
    told = space.estimate_space(found, replace(CONFIG, size=Size(8, 8)))
    assert told is not None
    assert (told.clips, told.frames, len(opened)) == (1000, 2000, space.LOOKED_AT)
