"""The worker of `animate --jobs`: networks that are loaded once, and clips made with them."""

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...jobs.records import Order, Record
from ...jobs.running import Made, run_job
from ..following import Follower, no_progress_bar
from ..making import Clip
from .settings import Settings

if TYPE_CHECKING:
    import torch

    from ...animate import ReferenceCondition
    from ...config import Preset
    from ...pose.networks.sessions import PoseSession
    from ...weights.load import Models
    from ...weights.lora import AddedLoras

_LOGGERS = logging.getLogger(__name__.split(".")[0])  # all of this package


@dataclass(frozen=True)
class MakeAnimator:
    """Makes the worker of a process; holds what is the same for all jobs."""

    models: tuple[str, ...]  # paths; empty: those of `preset`
    preset: str | None
    device: str
    dtype: str
    provider: str
    engine_cache: str | None

    def __call__(self) -> "Animator":
        """Return a worker whose networks are loaded at its first job."""
        return Animator(self)

    def into(self, options: argparse.Namespace) -> argparse.Namespace:
        """Set what is the same for all jobs in the options of one clip."""
        options.models = [Path(path) for path in self.models] or None
        options.preset, options.device, options.dtype = self.preset, self.device, self.dtype
        options.provider, options.sheet, options.dry_run = self.provider, None, False
        options.engine_cache = None if self.engine_cache is None else Path(self.engine_cache)
        return options


class Animator:
    """Makes the clips of jobs, one after another, with networks that stay loaded."""

    def __init__(self, about: MakeAnimator) -> None:
        from .command import parser

        self._about = about
        self._settings = Settings(parser())
        self._encoded: tuple[Any, ReferenceCondition, list[str]] | None = None
        self._open = lru_cache(2)(_open_session)  # sessions of pose networks

    def __call__(self, order: Order) -> Record:
        """Make the clip of a job, and return its record; errors of the weights end the run."""
        _ = self._loaded
        return run_job(order, self._make)

    def _make(self, order: Order) -> Made:
        options = self._about.into(self._settings.options(order.settings))
        with _log_lines() as lines:
            self._loras.change(options.lora)
            follower = Follower(options, self._open, no_progress_bar)
            clip = Clip(options, self._loaded[1], follower)
            clip.write(
                order.result,
                lambda: self._loaded[0],
                self._machine[0],
                keep_models=True,
                encode=self._encoding(lines),
                show=no_progress_bar,
            )
        return Made(tuple(lines), clip.frames_hash.hexdigest(), clip.sampling_seconds)

    @cached_property
    def _machine(self) -> "tuple[torch.device, torch.dtype]":
        from ..options import machine_from

        return machine_from(self._options)

    @cached_property
    def _loaded(self) -> "tuple[Models, Preset]":
        from ...weights.load import load_models
        from ..animate import source_of

        device, dtype = self._machine
        more = {"preset": self._about.preset, "dtype": dtype, "device": device}
        with _log_lines():
            models = load_models(source_of(self._options), **more)
        return models, models.preset

    @cached_property
    def _loras(self) -> "AddedLoras":
        from ...weights.lora import AddedLoras

        return AddedLoras(self._loaded[0].denoiser)

    @cached_property
    def _options(self) -> argparse.Namespace:
        return self._about.into(self._settings.options({}))

    def _encoding(self, lines: list[str]) -> "Callable[..., ReferenceCondition]":
        """Return what encodes references, unless the job before had the same ones at this size."""

        def encode(
            models: "Models",
            pictures: "list[torch.Tensor]",
            size: object,
            **how: Any,  # noqa: ANN401  (as `ReferenceCondition` takes it)
        ) -> "ReferenceCondition":
            from ...animate import ReferenceCondition

            key = (tuple(map(_content, pictures)), size, repr(sorted(how.items())))
            if self._encoded is not None and self._encoded[0] == key:
                lines.extend(self._encoded[2])  # what was said of these pictures
                return self._encoded[1]
            self._encoded, before = None, len(lines)
            condition = ReferenceCondition(models, pictures, size, **how)  # type: ignore[arg-type]
            self._encoded = key, condition, lines[before:]
            return condition

        return encode


def _content(picture: "torch.Tensor") -> str:
    """Return a hash of a picture as it is encoded."""
    return f"{tuple(picture.shape)} {sha256(picture.cpu().numpy().tobytes()).hexdigest()}"


def _open_session(
    path: Path,
    provider: str,
    **more: Any,  # noqa: ANN401  (as `open_session` takes it)
) -> "PoseSession":
    from ...pose.networks.sessions import open_session

    return open_session(path, provider, **more)


@contextmanager
def _log_lines() -> Iterator[list[str]]:
    """Collect what the package says while a job runs, for its record, instead of showing it."""
    handler = _Lines()
    shown, level = _LOGGERS.propagate, _LOGGERS.level
    _LOGGERS.addHandler(handler)
    _LOGGERS.propagate = False
    _LOGGERS.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        _LOGGERS.setLevel(level)
        _LOGGERS.propagate = shown
        _LOGGERS.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())
