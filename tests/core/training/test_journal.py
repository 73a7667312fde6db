"""Clips in the log of a run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animate_anyone.errors import TrainingError
from animate_anyone.training.loop.journal import Journal


def test_a_clip_moves_in_its_file_and_on_the_board(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    journal = Journal(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 12, 3), np.uint8)
    journal.clip(7, "walk", frames, 12.0)
    journal.close()
    file = (tmp_path / "samples" / "walk-00000007.gif").read_bytes()
    assert file.startswith(b"GIF89a")
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    (shown,) = board.Images("walk")
    assert (shown.step, shown.width, shown.height) == (7, 12, 16)
    assert shown.encoded_image_string == file


def test_a_gif_of_any_speed_lasts_as_long_as_its_clip(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    journal = Journal(tmp_path)
    journal.clip(1, "walk", frames, 30.0)
    journal.close()
    lasts = []
    with Image.open(tmp_path / "samples" / "walk-00000001.gif") as gif:
        for number in range(gif.n_frames):
            gif.seek(number)
            lasts.append(gif.info["duration"])
    assert sum(lasts) == 1000
    assert set(lasts) == {30, 40}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to test")
def test_a_full_disk_at_the_first_line_is_told_with_the_file(tmp_path):
    journal = Journal(tmp_path)
    journal.path.symlink_to("/dev/full")
    words = r"log .*log\.jsonl cannot be written at step 3 .*No space left.*Free disk space"
    with pytest.raises(TrainingError, match=words):
        journal.numbers(3, {"loss": 0.5})
