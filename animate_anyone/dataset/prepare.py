"""Preparing a data set from a folder of clips; each clip is prepared once, and atomically."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from ..engines.engine import Engine, Inline, Lost
from ..engines.machine import refuse_machine
from ..errors import InputError
from ..names.stamps import Stamp
from ..protocols import Progress
from ..shards import WHOLE, Shard, owned_by_shard
from .clip import (
    Outcome,
    is_done,
    lost_clip,
    prepare_clip,
    read_outcome,
    remove_parts,
    stamp_of_keypoints,
    was_tried,
)
from .find import Clips, Found, find_clips
from .manifest import ClipEntry, Manifest, clip_folder
from .report import Tally, write_report
from .settings import PrepareConfig, check_settings
from .space import tell_space
from .splits import Split
from .tools import Tools


def prepare(
    clips: Path,  # folder of the original clips
    out: Path,  # folder of the data set; clips that were prepared before are kept
    config: PrepareConfig,
    make_tools: Callable[[], Tools],  # hashable; for an engine other than this process picklable
    *,
    split: Split | None = None,
    engine: Engine | None = None,  # None: this process
    progress: Progress | None = None,  # in clips; may raise to stop
    keypoints: Path | None = None,  # folder of stored ones: a clip whose own changed is made again
) -> tuple[Manifest, Sequence[Outcome]]:
    """Prepare all clips that were not prepared before, then write manifest and report.

    A clip that cannot be used is reported and does not stop the run. A run that was stopped resumes
    at the next call. The clips of what is returned are read from the data set when they are asked
    for. Raises ConfigError if `out` was prepared with other settings, and InputError while another
    process prepares it.
    """
    clips, out = Path(clips).absolute(), Path(out)
    _check_places(clips, out)
    with owned_by_shard(out, WHOLE):
        found = find_clips(clips)
        _prepare(found, out, config, make_tools, engine, progress, keypoints)
        return _finish(clips, found, out, config, split)


def prepare_shard(
    clips: Path,
    out: Path,  # the same folder for all shards
    config: PrepareConfig,
    make_tools: Callable[[], Tools],
    shard: Shard,
    *,
    split: Split | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    keypoints: Path | None = None,
) -> tuple[Manifest, Sequence[Outcome]] | None:
    """Prepare every n-th clip as `prepare` does; the shard that ends last writes the manifest.

    Returns None while clips of other shards are missing. The files are those of one process.
    """
    clips, out = Path(clips).absolute(), Path(out)
    _check_places(clips, out)
    with owned_by_shard(out, shard):
        found = find_clips(clips)
        mine = shard.spread(found)
        assert isinstance(mine, Clips)
        _prepare(mine, out, config, make_tools, engine, progress, keypoints)
        if not all(_as_now(was_tried, each, out, keypoints) for each in found):
            return None
        return _finish(clips, found, out, config, split)


def _check_places(clips: Path, out: Path) -> None:
    if clips.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"out got {out}, which lies in {clips}; choose a place outside of it.")


def _prepare(
    found: Clips,
    out: Path,
    config: PrepareConfig,
    make_tools: Callable[[], Tools],
    engine: Engine | None,
    progress: Progress | None,
    keypoints: Path | None,
) -> None:
    """Prepare those of the clips that are not done, which no other process works on."""
    check_settings(out, config)
    pending = found.only(lambda each: not _as_now(is_done, each, out, keypoints))
    tell_space(out, pending, config)
    done = len(found) - len(pending)
    make = MakePreparer(out.absolute(), config, make_tools)
    remove_parts(out, (each.name for each in pending))
    with closing((engine or Inline()).run(make, pending)) as run:  # type: ignore[type-var]
        for count, (clip, outcome) in enumerate(run, done + 1):
            if isinstance(outcome, Lost):
                lost_clip(clip, out, str(outcome))
            if progress is not None:
                progress(count, len(found))
    remove_parts(out, (each.name for each in pending))


def _as_now(
    check: Callable[[Found, Path, Stamp | None], bool],
    found: Found,
    out: Path,
    keypoints: Path | None,
) -> bool:
    """Return what a check says of a clip and its stored keypoints as they are now."""
    return check(found, clip_folder(out, found.name), stamp_of_keypoints(keypoints, found))


@dataclass(frozen=True)
class MakePreparer:
    """Makes the worker of a process: it prepares a `Found` and returns its `Outcome`."""

    out: Path
    config: PrepareConfig = field(hash=False)  # it holds a dictionary
    make_tools: Callable[[], Tools]

    def __call__(self) -> Callable[[Found], Outcome]:
        """Load the tools and return the worker."""
        tools = self.make_tools()

        def work(found: Found) -> Outcome:
            try:
                return prepare_clip(found, self.out, self.config, tools)
            except Exception as error:
                refuse_machine(error)
                raise

        return work


class Outcomes(Sequence[Outcome]):
    """The outcomes of clips, each read from the data set when it is asked for."""

    def __init__(self, out: Path, found: Sequence[Found]) -> None:
        """Use a data set that has an outcome of each of these clips."""
        self._out, self.found = out, found

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> list[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | list[Outcome]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return read_outcome(clip_folder(self._out, self.found[index].name))


class _Entries(Sequence[ClipEntry]):
    """The entries of the usable clips, each made from its outcome when it is asked for."""

    def __init__(self, clips: Path, outcomes: Outcomes, tally: Tally) -> None:
        self._clips, self._outcomes, self._tally = clips, outcomes, tally

    def __len__(self) -> int:
        return len(self._tally.usable)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return NotImplemented
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, index: int) -> ClipEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[ClipEntry]: ...
    def __getitem__(self, index: int | slice) -> ClipEntry | list[ClipEntry]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place, split = self._tally.usable[index], self._tally.split
        found, outcome = self._outcomes.found[place], self._outcomes[place]
        return ClipEntry(
            name=found.name,
            file=found.path.relative_to(self._clips).as_posix(),
            split=split.part(found.name) if split else "",
            fps=outcome.fps,
            frames=outcome.frames,
            spans=outcome.spans,
        )


def _finish(
    clips: Path, found: Sequence[Found], out: Path, config: PrepareConfig, split: Split | None
) -> tuple[Manifest, Sequence[Outcome]]:
    """Write manifest and report from what is known of every clip."""
    outcomes, tally = Outcomes(out, found), Tally(split)
    for outcome in outcomes:
        tally.add(outcome)
    manifest = Manifest(
        size=config.size,
        fit=config.fit,
        source=str(clips.resolve()),
        pictures=config.pictures,
        min_frames=config.min_frames,
        poses=config.poses,
        cached=dict(config.cached),
        clips=_Entries(clips, outcomes, tally),
    )
    write_report(out, manifest, tally, found, outcomes)
    manifest.write(out)
    return manifest, outcomes
