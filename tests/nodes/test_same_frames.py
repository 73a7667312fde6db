"""Files that people bring give the nodes the same frames as the command line."""

import av
import numpy as np
import pytest

from animate_anyone.media import frames_of
from benchmarks.brought.clips import CLIPS

VIDEOS = (".mp4", ".mov", ".webm", ".mkv", ".avi")


@pytest.mark.parametrize("background", ["white", "black"])
def test_a_video_is_read_alike(pack, tmp_path, background):
    from comfy_api.input_impl import VideoFromFile

    read, seen = pack("nodes.clips.read"), 0
    for number, case in enumerate(CLIPS):
        if case.refusal is not None:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        path = case.make(folder)
        if path.is_dir() or path.suffix not in VIDEOS:
            continue
        ours = list(frames_of(path, background))
        with read.driving_clip(None, VideoFromFile(str(path)), background=background) as clip:
            theirs = list(clip.frames)
        assert len(ours) == len(theirs), case.name
        assert all(map(np.array_equal, ours, theirs)), case.name
        assert (clip.size.width, clip.size.height) == ours[0].shape[1::-1], case.name
        seen += 1
    assert seen >= 20, av.__version__
