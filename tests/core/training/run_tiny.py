"""Tiny runs of training in processes of their own: to be killed, or to be one of several.

Usage: run_tiny.py RUNS.json

The file holds groups of runs, each run as the parameters of `main`. The runs of a group share a
step; one group follows the other. The exit statuses are printed as JSON. On Linux all runs are
forks of this process, so that torch is imported only once.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.connection import wait
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from animate_anyone.config import MotionConfig, PoseGuiderConfig, Preset, ScheduleConfig, UNetConfig
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.sources.shards import Shards

PRESET = Preset(  # with networks of one level: what a run does is the same with more
    name="tiny",
    title="tiny",
    unet=UNetConfig(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8,),
        attention_levels=(True,),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=16,
        norm_groups=4,
        ff_mult=1,
        motion=MotionConfig(max_frames=6, heads=2, attention_blocks=1, norm_groups=4, ff_mult=1),
    ),
    pose_guider=PoseGuiderConfig(channels=(4, 4, 8, 8), out_channels=8),
    schedule=ScheduleConfig(prediction_type="v_prediction"),
)

# Windows has no SIGKILL; there SIGTERM ends a process at once, and nothing in it can object.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
ENDED = 128 + signal.SIGTERM  # status of a run that ended at the signal, after a checkpoint

FORKS = sys.platform == "linux"  # elsewhere a fork of a process with torch may crash


def main(
    folder: str,
    data: str,
    config: str,  # a file
    die_at: int = -1,  # whole steps, after which the run dies in the backward pass; -1: never
    end_at: int = -1,  # whole steps, after which SIGTERM comes in the backward pass
    threads: int | None = None,
    variables: dict[str, str] | None = None,  # of the environment
) -> None:
    """Train; the run goes on where an earlier one in this folder stopped."""
    os.environ.update(variables or {})
    settings = TrainingConfig.read(Path(config))
    # Even if the number stays: once it is set, MKL no longer takes fewer threads as it likes.
    torch.set_num_threads(threads or torch.get_num_threads())
    trainer = Trainer(settings, Path(folder), PRESET, Surroundings())

    if end_at >= 0:
        os.setsid()

    def die(_gradient: Tensor) -> None:
        if trainer.step == end_at:  # to the processes that read examples too
            subprocess.run(["kill", "-TERM", "--", f"-{os.getpgid(0)}"], check=False)
        if trainer.step == die_at:
            os.kill(os.getpid(), KILL)

    next(iter(trainer.parameters.values())).register_hook(die)
    trainer.run(Shards(Path(data), consecutive=settings.stage == 2))


def exit_statuses(runs: list[dict]) -> list[int | None]:
    """Do these runs beside each other; if one fails, end the others, which would wait for it."""
    context = multiprocessing.get_context("fork" if FORKS else "spawn")
    processes = [context.Process(target=main, kwargs=run) for run in runs]
    for process in processes:
        process.start()
    while left := [process for process in processes if process.is_alive()]:
        wait([process.sentinel for process in left])
        if any(process.exitcode not in (None, 0, ENDED) for process in processes):
            for process in left:
                process.terminate()
    return [process.exitcode for process in processes]


if __name__ == "__main__":
    if FORKS:  # what a run imports on its way, and takes longer than the run
        import accelerate
        import torch._dynamo
        import torch.utils.tensorboard

        del accelerate
    groups = json.loads(Path(sys.argv[1]).read_text())
    sys.stdout.write(json.dumps([exit_statuses(runs) for runs in groups]))
