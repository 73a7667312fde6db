"""Preparing a data set from a folder of clips; each clip is prepared once, and atomically."""

import multiprocessing
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import torch

from .. import opencv as cv2
from ..errors import InputError, MediaError
from ..protocols import Progress
from ..shards import WHOLE, Shard, owned_by_shard
from .clip import Outcome, is_done, prepare_clip, read_outcome, was_tried
from .find import Found, find_clips
from .manifest import ClipEntry, Manifest, clip_folder
from .report import write_report
from .settings import PrepareConfig, check_settings
from .splits import Split
from .tools import Tools


def prepare(
    clips: Path,  # folder of the original clips
    out: Path,  # folder of the data set; clips that were prepared before are kept
    config: PrepareConfig,
    make_tools: Callable[[], Tools],  # hashable; with several workers also picklable
    *,
    split: Split | None = None,
    workers: int = 1,  # processes
    progress: Progress | None = None,  # in clips; may raise to stop
) -> tuple[Manifest, list[Outcome]]:
    """Prepare all clips that were not prepared before, then write manifest and report.

    A clip that cannot be used is reported and does not stop the run. A run that was stopped resumes
    at the next call. Raises ConfigError if `out` was prepared with other settings, and InputError
    while another process prepares it.
    """
    clips, out = Path(clips), Path(out)
    _check_places(clips, out)
    with owned_by_shard(out, WHOLE):
        found = find_clips(clips)
        _prepare(found, out, config, make_tools, workers, progress)
        return _finish(clips, found, out, config, split)


def prepare_shard(
    clips: Path,
    out: Path,  # the same folder for all shards
    config: PrepareConfig,
    make_tools: Callable[[], Tools],
    shard: Shard,
    *,
    split: Split | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Manifest, list[Outcome]] | None:
    """Prepare every n-th clip as `prepare` does; the shard that ends last writes the manifest.

    Returns None while clips of other shards are missing. The files are those of one process.
    """
    clips, out = Path(clips), Path(out)
    _check_places(clips, out)
    with owned_by_shard(out, shard):
        found = find_clips(clips)
        _prepare(shard.spread(found), out, config, make_tools, workers, progress)
        if not all(was_tried(each, clip_folder(out, each.name)) for each in found):
            return None
        return _finish(clips, found, out, config, split)


def _check_places(clips: Path, out: Path) -> None:
    if clips.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"out got {out}, which lies in {clips}; choose a place outside of it.")


def _prepare(
    found: Sequence[Found],
    out: Path,
    config: PrepareConfig,
    make_tools: Callable[[], Tools],
    workers: int,
    progress: Progress | None,
) -> None:
    """Prepare those of the clips that are not done, which no other process works on."""
    check_settings(out, config)
    pending = [each for each in found if not is_done(each, clip_folder(out, each.name))]
    done = len(found) - len(pending)
    with closing(_run(pending, out, config, make_tools, workers)) as run:
        for count, _ in enumerate(run, done + 1):
            if progress is not None:
                progress(count, len(found))


def _finish(
    clips: Path, found: Sequence[Found], out: Path, config: PrepareConfig, split: Split | None
) -> tuple[Manifest, list[Outcome]]:
    """Write manifest and report from what is known of every clip."""
    outcomes = [read_outcome(clip_folder(out, each.name)) for each in found]
    manifest = _manifest(clips, config, found, outcomes, split)
    write_report(out, manifest, outcomes, split)
    manifest.write(out)
    return manifest, outcomes


def _run(
    clips: Sequence[Found],
    out: Path,
    config: PrepareConfig,
    make_tools: Callable[[], Tools],
    workers: int,
) -> Generator[Outcome, None, None]:
    """Prepare clips, and yield the outcome of each."""
    if workers <= 1 or len(clips) <= 1:
        tools = make_tools() if clips else None
        for found in clips:
            assert tools is not None
            yield prepare_clip(found, out, config, tools)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _limit_threads, (workers,)) as pool:
        jobs = [pool.submit(_job, found, out, config, make_tools) for found in clips]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool as error:
            raise MediaError(
                f"workers got {workers}; one of them was killed, perhaps for lack of memory. Run "
                "the command again with fewer workers: finished clips are kept."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _limit_threads(workers: int) -> None:
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))
    cv2.setNumThreads(1)


def _job(
    found: Found, out: Path, config: PrepareConfig, make_tools: Callable[[], Tools]
) -> Outcome:
    return prepare_clip(found, out, config, _tools(make_tools))


@lru_cache(1)
def _tools(make_tools: Callable[[], Tools]) -> Tools:
    """Load the tools once per process."""
    return make_tools()


def _manifest(
    clips: Path,
    config: PrepareConfig,
    found: Iterable[Found],
    outcomes: Iterable[Outcome],
    split: Split | None,
) -> Manifest:
    entries = tuple(
        ClipEntry(
            name=each.name,
            file=each.path.relative_to(clips).as_posix(),
            split=split.part(each.name) if split else "",
            fps=outcome.fps,
            frames=outcome.frames,
            spans=outcome.spans,
        )
        for each, outcome in zip(found, outcomes, strict=True)
        if not outcome.skipped
    )
    return Manifest(
        size=config.size,
        fit=config.fit,
        source=str(clips.resolve()),
        pictures=config.pictures,
        min_frames=config.min_frames,
        poses=config.poses,
        cached=dict(config.cached),
        clips=entries,
    )
