"""The steps of `train` that add something to aa-mini: a LoRA and a ControlNet."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path


def add_steps(steps: argparse._SubParsersAction) -> None:
    """Add both steps."""
    for name, text in (
        ("mini-lora", "aa-mini: train the LoRA that draws in ink"),
        ("mini-control", "aa-mini: train the ControlNet on edges"),
    ):
        step = steps.add_parser(name, help=text)
        step.set_defaults(run=_train)
        step.add_argument("--folder", type=Path, required=True, help="where the run lives")
        step.add_argument(
            "--target", type=Path, required=True, help="folder of aa-mini's files; the new one too"
        )
        step.add_argument("--threads", type=int, default=None, help="of torch; default: its own")
        step.add_argument("--steps", type=int, help="length of the run; default: the recipe's")


def _train(options: argparse.Namespace) -> int:
    import cv2
    import torch

    from ..training.additions.control import EDGES, train_control
    from ..training.additions.lora import INK, train_lora

    cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = options.step == "mini-lora"
    config = INK if chosen else EDGES
    if options.steps is not None:
        config = replace(config, steps=options.steps)
    path = (train_lora if chosen else train_control)(config, options.folder, options.target)
    logging.getLogger(__name__).info("%s %.2f MB", path.name, path.stat().st_size / 1e6)
    return 0
