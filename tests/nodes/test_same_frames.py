"""Files that people bring give the nodes the same frames as the command line."""

import sys

import numpy as np
import pytest

VIDEOS = (".mp4", ".mov", ".webm", ".mkv", ".avi")


@pytest.fixture(scope="module")
def videos(pack, core, tmp_path_factory):
    """Return the videos of the table of what people bring, by name."""
    with pytest.MonkeyPatch.context() as patch:
        # The table knows the core by the name that only the command line uses.
        for part in ("errors", "media", "types"):
            patch.setitem(sys.modules, f"animate_anyone.{part}", core(part))
        cases = pack("benchmarks.brought.clips").CLIPS
    made = {}
    for case in cases:
        if case.refusal is None:
            path = case.make(tmp_path_factory.mktemp("brought"))
            if path.suffix in VIDEOS:
                made[case.name] = path
    return made


@pytest.mark.parametrize("background", ["white", "black"])
def test_a_video_is_read_alike(pack, core, videos, background):
    from comfy_api.input_impl import VideoFromFile

    assert len(videos) >= 20
    for name, path in videos.items():
        ours = list(core("media").frames_of(path, background))
        video = VideoFromFile(str(path))
        with pack("nodes.clips.read").driving_clip(None, video, background=background) as clip:
            theirs = list(clip.frames)
        assert len(ours) == len(theirs), name
        assert all(map(np.array_equal, ours, theirs)), name
        assert (clip.size.width, clip.size.height) == ours[0].shape[1::-1], name
