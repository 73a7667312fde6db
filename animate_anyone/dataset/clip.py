"""Preparing one clip: read it, find its usable spans, and write its folder atomically."""

import json
import math
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError, MediaError, WeightsError
from ..json_files import read_record
from ..media.clips import clip_info, frames_of
from ..media.fitting import fit_frame
from ..media.pictures import to_pixels
from ..names.stamps import Stamp, stamp_of_files
from ..places import cannot_write
from ..pose.people.doubt import weigh
from ..pose.skeleton.fit import fit_pose
from .ahead import ahead
from .find import Found
from .manifest import CLIPS, Span, clip_folder, frame_path
from .settings import PrepareConfig
from .spans import Scan, Verdict, cuts_of, find_spans
from .tools import NoKeypointsError, StoredPoses, Tools, stored_path
from .tracks import Track, clean_shots, write_track

CLIP = "clip.json"
UNREADABLE = "unreadable"
NO_KEYPOINTS = "no keypoints"
WORKER_DIED = "worker died"
_TOKEN = 4  # random bytes in the name of a folder that is being written
_PART = re.compile(rf"\.(.+?)(?:\.[0-9a-f]{{{2 * _TOKEN}}})?\.part")  # earlier versions had none
_RETRIED = (UNREADABLE, NO_KEYPOINTS, WORKER_DIED)  # tried again in a later run
_LISTS = ("stamp", "keypoints", "doubts", "notes")  # fields of an outcome
_ENCODED_TOGETHER = 8  # frames


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of preparing a clip."""

    name: str
    stamp: tuple[int, ...]  # of its files; see `names.stamps`
    keypoints: tuple[int, ...] = ()  # stamp of the files of its stored keypoints; (): extracted
    skipped: str = ""  # the reason; "": the clip is usable
    detail: str = ""  # the reason as a sentence
    fps: float = 0.0
    frames: int = 0
    spans: tuple[Span, ...] = ()
    faults: Mapping[str, int] = field(default_factory=dict)  # reason -> frames, or cuts
    doubts: tuple[str, ...] = ()  # why its skeletons may be wrong
    notes: tuple[str, ...] = ()  # what was assumed when the clip was read, or not honoured


@dataclass(frozen=True)
class _Analysis:
    """What is known about a clip before any of it is written."""

    track: Track  # on the clip's own canvas, cleaned
    verdict: Verdict
    fps: float
    notes: tuple[str, ...]  # on how the clip was read


def prepare_clip(found: Found, out: Path, config: PrepareConfig, tools: Tools) -> Outcome:
    """Prepare a clip; its folder appears only when it is complete.

    Problems of this clip are reported in the outcome. Errors of the networks and of writing files
    are raised, since every other clip would fail in the same way.
    """
    stored = tools.poses.folder if isinstance(tools.poses, StoredPoses) else None
    more = {"keypoints": stamp_of_keypoints(stored, found) or ()}
    return _written(
        found, out, lambda part, common: _prepare_into(found, part, config, tools, common | more)
    )


def lost_clip(found: Found, out: Path, reason: str) -> Outcome:
    """Write and return the outcome of a clip whose workers died; a later run tries it again."""
    return _written(
        found, out, lambda _, common: Outcome(**common, skipped=WORKER_DIED, detail=reason)
    )


def _written(found: Found, out: Path, make: Callable[[Path, dict[str, Any]], Outcome]) -> Outcome:
    """Write a clip's folder under another name, and rename it when it is complete.

    The name is this writer's own, since a worker that is taken for dead may still write for a
    moment while another one does its clip again.
    """
    target = clip_folder(out, found.name)
    part = target.with_name(f".{target.name}.{secrets.token_hex(_TOKEN)}.part")
    _remove(target)
    common: dict[str, Any] = {"name": found.name, "stamp": stamp_of(found.path)}
    try:
        part.mkdir(parents=True)
        outcome = make(part, common)
        (part / CLIP).write_text(json.dumps(asdict(outcome), indent=1) + "\n", encoding="utf-8")
        _remove(target)
        part.rename(target)
    except OSError as error:
        raise MediaError(cannot_write(target, error)) from error
    finally:
        _remove(part)
    return outcome


def remove_parts(out: Path, names: Iterable[str]) -> None:
    """Remove what killed workers left of these clips; nobody may be at work on them."""
    folder = out / CLIPS
    paths = folder.iterdir() if folder.is_dir() else ()
    parts = [(path, match[1]) for path in paths if (match := _PART.fullmatch(path.name))]
    if parts:
        ours = {clip_folder(out, name).name for name in names}
        for path, name in parts:
            if name in ours:
                _remove(path)


def read_outcome(folder: Path) -> Outcome:
    """Return the outcome of a clip that was prepared before."""
    values = read_record(folder / CLIP, "clip")
    values["spans"] = tuple(Span(**span) for span in values["spans"])
    lists = {name: tuple(values.get(name, ())) for name in _LISTS}
    return Outcome(**{**values, **lists})


def is_done(found: Found, folder: Path, keypoints: Stamp | None = None) -> bool:
    """Return whether a clip was prepared before and its files have not changed since.

    `keypoints` is the stamp of its stored keypoints, None if there are none.
    """
    outcome = _known(found, folder, keypoints)
    return outcome is not None and outcome.skipped not in _RETRIED


def was_tried(found: Found, folder: Path, keypoints: Stamp | None = None) -> bool:
    """Return whether a clip as it is now has an outcome, be it one that is tried again later."""
    return _known(found, folder, keypoints) is not None


def _known(found: Found, folder: Path, keypoints: Stamp | None) -> Outcome | None:
    """Return the outcome of a clip whose files have not changed since."""
    try:
        outcome = read_outcome(folder)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not _is(outcome.stamp, stamp_of(found.path)):
        return None
    same = keypoints is None or not outcome.keypoints or _is(outcome.keypoints, keypoints)
    return outcome if same else None


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a clip's files."""
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return stamp_of_files(files, path.parent)


def stamp_of_keypoints(
    folder: Path | None,  # of stored keypoints
    found: Found,
) -> Stamp | None:
    """Return the stamp of the files of a clip's stored keypoints; None if there are none."""
    path = folder and stored_path(folder, found)
    return stamp_of(path) if path else None


def _is(known: tuple[int, ...], stamp: Stamp) -> bool:
    """Return whether a kept stamp is this one; earlier versions kept three parts of it."""
    return bool(known) and stamp[: len(known)] == known


def _prepare_into(
    found: Found, part: Path, config: PrepareConfig, tools: Tools, common: dict[str, Any]
) -> Outcome:
    try:
        analysis = _analyse(found, config, tools)
    except NoKeypointsError as error:
        return Outcome(**common, skipped=NO_KEYPOINTS, detail=str(error))
    except (InputError, MediaError) as error:
        return Outcome(**common, skipped=UNREADABLE, detail=str(error))
    verdict, frames = analysis.verdict, len(analysis.track.crowded)
    common |= {"fps": analysis.fps, "frames": frames, "faults": verdict.faults}
    common["notes"] = analysis.notes
    if evidence := weigh(analysis.track.pose):
        common["doubts"] = evidence.doubts(drawn=analysis.track.drawn)
    if not verdict.spans:
        detail = (
            f"the longest run of usable frames has {verdict.longest} of {frames}; "
            f"{config.min_frames} are needed"
        )
        return Outcome(**common, skipped=verdict.reason, detail=detail)
    write_track(part / "keypoints.npz", analysis.track)
    try:
        _write_frames(found.path, part, analysis, config, tools)
    except _UnreadableError as error:
        _empty(part)
        return Outcome(**common, skipped=UNREADABLE, detail=str(error))
    return Outcome(**common, spans=verdict.spans)


def _analyse(found: Found, config: PrepareConfig, tools: Tools) -> _Analysis:
    """Read a clip once, and return its main person and usable frames."""
    info = clip_info(found.path)
    fps = float(info.fps or config.fps)
    scan = Scan()
    track = tools.poses.read(found, scan.watch(ahead(frames_of(info))), fps)
    cuts = cuts_of(track.pose, np.stack(scan.means), fps)
    pose = clean_shots(track.pose, cuts, fps)
    on_canvas = fit_pose(pose, config.size, config.fit)
    verdict = find_spans(on_canvas, track.crowded, cuts, config.min_frames)
    notes = (*info.remarks(len(track.crowded)), *track.notes)
    return _Analysis(replace(track, pose=pose), verdict, fps, notes)


class _UnreadableError(Exception):
    """A clip that could be read once cannot be read again."""


def _write_frames(
    path: Path, part: Path, analysis: _Analysis, config: PrepareConfig, tools: Tools
) -> None:
    """Write the frames of all spans, and the caches."""
    (part / "frames").mkdir()
    caches = _Caches(part, len(analysis.track.crowded), tools)
    wanted = {n for span in analysis.verdict.spans for n in range(span.start, span.stop)}
    for number, frame in enumerate(ahead(_reread(path))):
        if number not in wanted:
            continue
        wanted.remove(number)
        picture = fit_frame(frame, config.size, config.fit)
        path_there = frame_path(part, number, config.pictures)
        write_frame(Image.fromarray(picture), path_there, config.pictures)
        caches.add(number, picture)
    if wanted:
        raise _UnreadableError(f"{path}: {len(wanted)} frames were missing when it was read again")
    caches.close()


def write_frame(
    picture: Image.Image,
    file: Path | BinaryIO,
    kind: str,  # png or jpg
) -> None:
    """Write a frame of a data set; OSError that tells of a full disk."""
    content = BytesIO()  # written to a file, a JPEG's error would not say why
    if kind == "png":
        # Three times as fast as the default, 10 % larger.
        picture.save(content, "PNG", compress_level=1)
    else:
        picture.save(content, "JPEG", quality=95, subsampling=0)
    if isinstance(file, Path):
        file.write_bytes(content.getbuffer())
    else:
        file.write(content.getbuffer())


def _reread(path: Path) -> Iterator[np.ndarray]:
    try:
        yield from frames_of(path)
    except (InputError, MediaError) as error:
        raise _UnreadableError(str(error)) from error


class _Caches:
    """Encodes a clip's latents and tokens, a few frames at a time, and writes them."""

    def __init__(self, part: Path, frames: int, tools: Tools) -> None:
        self._part, self._frames, self._tools = part, frames, tools
        self._files: dict[str, _RowFile] = {}
        self._numbers: list[int] = []
        self._pictures: list[np.ndarray] = []

    def add(self, number: int, picture: np.ndarray) -> None:
        """Add the next frame, (H, W, 3) uint8."""
        self._numbers.append(number)
        self._pictures.append(picture)
        if len(self._numbers) == _ENCODED_TOGETHER:
            self._encode()

    def close(self) -> None:
        """Encode and write the remaining frames."""
        if self._numbers:
            self._encode()

    @torch.no_grad()
    def _encode(self) -> None:
        tools = self._tools
        if tools.autoencoder or tools.image_encoder:
            pixels = to_pixels(np.stack(self._pictures)).to(tools.device)
            if tools.autoencoder:
                self._put("latents", tools.autoencoder.encode(pixels))
            if tools.image_encoder:
                encoder = tools.image_encoder
                tokens = [encoder.encode(picture[None]) for picture in pixels]
                self._put("tokens", torch.cat(tokens))
        self._numbers, self._pictures = [], []

    def _put(self, cache: str, values: Tensor) -> None:
        rows = values.to("cpu", torch.float16).numpy()
        if not np.isfinite(rows).all():
            raise WeightsError(
                f"{cache} got values beyond half precision from the encoder, which cannot be "
                "used in training. Check its weights, or leave this cache out."
            )
        if cache not in self._files:
            path = self._part / f"{cache}.npy"
            self._files[cache] = _RowFile(path, (self._frames, *rows.shape[1:]))
        self._files[cache].write(self._numbers, rows)


class _RowFile:
    """A .npy file of float16 that is written row by row; OSError when the disk is full.

    Rows that are never written take no space on most file systems. A memory map would do the same,
    but on a full disk it kills the process without an error message.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path = path
        self._row = 2 * math.prod(shape[1:])  # bytes
        facts = {"descr": "<f2", "fortran_order": False, "shape": shape}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, facts)
            self._start = file.tell()
            file.truncate(self._start + shape[0] * self._row)

    def write(self, numbers: Sequence[int], rows: np.ndarray) -> None:
        """Write rows (n, ...) float16 at these row numbers."""
        with self._path.open("r+b") as file:
            for number, row in zip(numbers, rows, strict=True):
                file.seek(self._start + number * self._row)
                file.write(row.tobytes())


def _empty(folder: Path) -> None:
    _remove(folder)
    folder.mkdir()


def _remove(folder: Path) -> None:
    """Remove a folder if it exists."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise MediaError(cannot_write(folder, error)) from error
