"""Files that people bring give the nodes the same frames as the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from comfy_hosts import REPOSITORY

# In a process of its own: it imports the core by the name that only the command line uses.
MAKE = """
import json, sys
from pathlib import Path
from benchmarks.brought.clips import CLIPS

made = {}
for number, case in enumerate(CLIPS):
    if case.refusal is None:
        folder = Path(sys.argv[1], str(number))
        folder.mkdir()
        path = case.make(folder)
        if path.suffix in (".mp4", ".mov", ".webm", ".mkv", ".avi"):
            made[case.name] = str(path)
print(json.dumps(made))
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Return the videos of the table of what people bring, by name."""
    words = [sys.executable, "-c", MAKE, str(tmp_path_factory.mktemp("brought"))]
    done = subprocess.run(words, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    return {name: Path(path) for name, path in json.loads(done.stdout).items()}


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
