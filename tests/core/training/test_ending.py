"""A run that is asked to end by SIGTERM ends after its step, with a checkpoint."""

import signal
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.checkpoints import CheckpointFolder
from animate_anyone.training.loop.due import Ending
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.sources.batch import Batch

CONFIG = TrainingConfig(
    steps=4, examples=2, frames=2, warm_up=1, save_every=9, report_every=1, mixed_precision="no",
    average_decay=0.9, train_image_encoder=False,
)  # fmt: skip
STATUS = 143


class Source:
    """Random latents; a signal comes while it makes those of a step."""

    def __init__(self, at=-1, times=1):
        self.at, self.times = at, times

    def batch(self, draw, step, rows):
        if step == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGTERM)
        rng, count = np.random.default_rng((step, *rows)), len(rows)
        shapes = {"reference": (count, 4, 4, 4), "targets": (count, 4, draw.frames, 4, 4)}
        shapes["tokens"] = (count, 1, 16)
        values: dict[str, Any] = {
            k: torch.from_numpy(rng.normal(size=s)).float() for k, s in shapes.items()
        }
        poses = torch.zeros(count, draw.frames, 3, 32, 32, dtype=torch.uint8)
        return Batch(encoded=True, poses=poses, **values)


@pytest.fixture(autouse=True)
def usual():
    """Let SIGTERM end the process, as at the start of a command."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, before)


def train(preset, folder, source, **around):
    trainer = Trainer(CONFIG, folder, preset, Surroundings(cpu=True, **around))
    trainer.run(source)


def newest(folder):
    found = CheckpointFolder(folder / "stage1" / "checkpoints", 2).newest()
    assert found is not None
    return found[0]


@pytest.mark.parametrize("times", [1, 2], ids=["once", "passed on by a launcher too"])
def test_a_run_ends_after_its_step_and_goes_on_as_if_it_had_not(tmp_path, small, caplog, times):
    with pytest.raises(SystemExit) as ended, caplog.at_level("INFO"):
        train(small.preset, tmp_path / "ended", Source(at=1, times=times))
    assert ended.value.code == STATUS
    assert newest(tmp_path / "ended").name == "step-00000002"
    told = f"stopped by SIGTERM after step 2 of 4, which {tmp_path / 'ended' / 'stage1'} keeps. Run"
    assert told in caplog.text
    train(small.preset, tmp_path / "ended", Source())
    train(small.preset, tmp_path / "whole", Source())
    for name in ("model.safetensors", "average.safetensors"):
        first, second = (load_file(newest(tmp_path / run) / name) for run in ("ended", "whole"))
        assert all(torch.equal(first[key], second[key]) for key in first | second)


def test_a_run_that_is_in_its_last_step_is_done(tmp_path, small):
    train(small.preset, tmp_path, Source(at=3))
    assert newest(tmp_path).name == "step-00000004"


def test_a_signal_that_comes_before_the_checkpoint_counts_for_this_step(tmp_path, small):
    def told(step, of):
        if step == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit):
        train(small.preset, tmp_path, Source(), progress=told)
    assert newest(tmp_path).name == "step-00000001"


def test_signals_of_others_and_threads_are_left_alone():
    with Ending():
        ours = signal.getsignal(signal.SIGTERM)
        seen = []

        def look():
            with Ending():
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        with Ending():  # the outer one stands for somebody else
            seen.append(signal.getsignal(signal.SIGTERM))
        assert seen == [ours, ours]
        assert signal.getsignal(signal.SIGTERM) == ours


SECOND = """
import signal, time
from animate_anyone.training.loop import due
with due.Ending() as ending:
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert ending.asked
    due._SAME = 0.0
    time.sleep(0.05)
    signal.raise_signal(signal.SIGTERM)
    print("still here")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no status of a signal")
def test_a_later_second_signal_ends_the_process_at_once():
    run = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGTERM, "", "")
