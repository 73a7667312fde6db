"""Clips in pieces of any count: each piece begins with the last frames of the one before it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ..diffusion.noise import draw_noise, repeat_noise
from ..diffusion.windows import WindowConfig
from ..errors import InputError
from ..media import fit_picture, to_bytes
from ..protocols import ENCODER, Progress
from ..types import Size
from . import clip
from .checks import check_inputs
from .clip import decode, starting_noise
from .condition import PoseFeatures, ReferenceCondition, ReferencePictures, pictures_of
from .keeping import FrameInputs, composite, kept_background
from .kept import Kept
from .persons import places_of
from .settings import PIXELS_PER_LATENT, Networks, Sampling

MOST_HELD = 8  # frames that two pieces share
USUAL_HELD = 4
_SEED_STEP = 1_000_003  # between the seeds of pieces; the first has the run's own


@dataclass(frozen=True)
class Piece:
    """A part of a clip that is sampled at once."""

    frames: int  # the held ones included
    held: int  # how many of its first frames the piece before has made


@dataclass(frozen=True)
class Made:
    """Finished frames, with what they were made from."""

    frames: np.ndarray  # (f, H, W, 3) uint8 RGB
    poses: Sequence[np.ndarray]  # f pictures of skeletons
    masks: np.ndarray | None  # (f, H, W) uint8: 255 what was made, 0 what stayed; None: all made


@dataclass(frozen=True)
class Beginning:
    """What a clip begins with: frames that are known before sampling."""

    latents: Tensor  # (1, c, n, h, w) clean, in the denoiser's scale
    shown: bool  # whether these frames are part of the result

    @property
    def frames(self) -> int:
        """Return the number of known frames."""
        return self.latents.shape[2]


def plan_pieces(
    frames: int,  # of the whole clip, known first frames included
    length: int | None,  # most frames in a piece; None: the clip is one piece
    held: int = USUAL_HELD,  # frames that neighbouring pieces share
) -> list[Piece]:
    """Return the pieces of a clip, as even in length as possible."""
    if not 1 <= held <= MOST_HELD:
        raise InputError(f"held got {held}; it must be in 1..{MOST_HELD}. Choose {USUAL_HELD}.")
    if length is not None and length < 1:
        raise InputError(f"chunk got {length}; a piece needs 1 frame or more. Choose 96.")
    if length is None or frames <= length:
        return [Piece(frames, 0)]
    if length <= held:
        raise InputError(
            f"chunk got {length} frames with {held} held; each piece must bring new frames. Choose "
            f"a chunk of {held + 1} or more, or hold fewer."
        )
    count = math.ceil((frames - held) / (length - held))
    sampled = frames + (count - 1) * held
    lengths = [sampled // count + (i < sampled % count) for i in range(count)]
    return [Piece(each, held if i else 0) for i, each in enumerate(lengths)]


def check_held(
    held: int,  # known first frames
    frames: int,  # of the piece that begins with them
    windows: WindowConfig,
) -> None:
    """Raise InputError unless a window has room for new frames beside the held ones."""
    room = min(windows.length, frames) - 1
    if held > room:
        raise InputError(
            f"held got {held} frames; the first window has {room + 1}, and needs one new frame or "
            f"more. Hold {max(room, 0)} or fewer, or choose a longer window or clip."
        )
    if held and windows.loop:
        raise InputError(
            "loop got set for a clip that begins with held frames; a clip that goes on does not "
            "return to its beginning. Leave loop out, or continue nothing and use no chunks."
        )


@torch.no_grad()
def encode_beginning(
    models: Networks,
    frames: Tensor,  # (n, 3, H, W), 0..1, at the clip's size
    *,
    shown: bool = False,
) -> Beginning:
    """Return frames as the beginning of a clip."""
    assert models.autoencoder is not None
    encode, decode = models.autoencoder.encode, models.autoencoder.decode
    latents = closer_latents(encode(frames).float(), frames, encode, decode)
    return Beginning(latents.movedim(0, 1)[None], shown)


def closer_latents(
    latents: Tensor,  # (n, c, h, w), encoded from the frames
    frames: Tensor,  # (n, 3, H, W), 0..1
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
) -> Tensor:  # (n, c, h, w)
    """Return latents that decode to frames at least as near to the given ones.

    An autoencoder changes what goes through it. One step towards the latents that it would decode
    to these frames takes off most of that; where it does not, a frame keeps its own latents.
    """
    decoded = decode(latents)
    nearer = 2 * latents - encode(decoded).to(latents)
    better = [
        (decode(one[None]).to(frame) - frame).square().mean()
        < (before.to(frame) - frame).square().mean()
        for one, before, frame in zip(nearer, decoded, frames, strict=True)
    ]
    return torch.where(torch.stack(better).to(latents.device)[:, None, None, None], nearer, latents)


def encode_reference_beginning(
    models: Networks,
    reference: Tensor,  # (1, 3, any H, any W), 0..1
    size: Size,
) -> Beginning:
    """Return the reference picture as the first frame of a clip, which the result shows."""
    return encode_beginning(models, fit_picture(reference, size), shown=True)


def animate_in_pieces(
    models: Networks,
    reference: ReferencePictures,  # as for `animate`
    frames: Iterator[FrameInputs],  # of all frames in order, those of the beginning included
    pieces: Sequence[Piece],
    sampling: Sampling,
    *,
    strengths: Sequence[float] | None = None,  # of the reference pictures; None: all 1
    beginning: Beginning | None = None,
    progress: Progress | None = None,  # called after each window of each step
    let_go: Callable[[str], None] | None = None,  # as for `animate`
    encode: Callable[..., ReferenceCondition] = ReferenceCondition,  # or one that remembers
) -> Iterator[Made]:  # chunk by chunk, without the frames of a beginning that is not shown
    """Return an iterator that samples and decodes a clip piece by piece.

    Only one piece is in memory. A clip of a single piece is exactly that of `animate`. The first
    piece's inputs are read and checked before this returns.
    """
    run = _Pieces(models, frames, pieces, sampling, beginning, progress)
    run.check(reference, strengths)
    return run.made(reference, strengths, let_go or (lambda _: None), encode)


class _Pieces:
    def __init__(
        self,
        models: Networks,
        frames: Iterator[FrameInputs],
        pieces: Sequence[Piece],
        sampling: Sampling,
        beginning: Beginning | None,
        progress: Progress | None,
    ) -> None:
        self._models, self._frames = models, frames
        self._pieces, self._sampling, self._beginning = pieces, sampling, beginning
        self._progress, self._done = progress, 0
        self._first = list(islice(frames, pieces[0].frames))
        if not self._first:
            raise InputError("poses got 0 frames; a clip needs one or more. Choose a longer one.")
        H, W = self._first[0].pose.shape[:2]
        self._size = Size(W, H)

    def check(self, reference: ReferencePictures, strengths: Sequence[float] | None) -> None:
        poses = np.stack([each.pose for each in self._first])
        check_inputs(self._models, reference, poses, self._sampling, strengths)
        if (regions := _regions(self._first)) is not None:
            places_of(regions, len(pictures_of(reference)), strengths)
        held = 0 if self._beginning is None else self._beginning.frames
        check_held(held, self._pieces[0].frames, self._sampling.windows)
        for piece in self._pieces[1:]:
            check_held(piece.held, piece.frames, self._sampling.windows)

    def made(
        self,
        reference: ReferencePictures,
        strengths: Sequence[float] | None,
        let_go: Callable[[str], None],
        encode: Callable[..., ReferenceCondition],
    ) -> Iterator[Made]:
        guided = self._sampling.guidance != 1
        condition = encode(
            *(self._models, reference, self._size),
            guided=guided,
            strengths=strengths,
            persons=_regions(self._first) is not None,
        )
        for name in ("reference_net", "image_encoder"):
            let_go(name)
        if all(each.behind is None for each in self._first):
            let_go(ENCODER)
        inputs, skipped = self._first, 0
        held = None if self._beginning is None else self._beginning.latents
        if self._beginning is not None and not self._beginning.shown:
            skipped = self._beginning.frames
        for number, piece in enumerate(self._pieces):
            if number:
                inputs = [*inputs[-piece.held :], *islice(self._frames, piece.frames - piece.held)]
                if len(inputs) <= piece.held:
                    return  # the source ended before the end that it had announced
            latents = self._sampled(number, inputs, held, condition)
            if number == len(self._pieces) - 1:
                condition = None  # it holds the denoiser
                for name in ("denoiser", "pose_guider", ENCODER):
                    let_go(name)
            else:
                skip = self._pieces[number + 1].held
                held = latents[:, :, -skip:].clone()
            yield from self._decoded(latents[:, :, skipped:], inputs[skipped:])
            skipped = 0 if number == len(self._pieces) - 1 else self._pieces[number + 1].held

    def _sampled(
        self,
        number: int,  # of the piece
        inputs: Sequence[FrameInputs],
        held: Tensor | None,  # (1, c, n, h, w)
        condition: ReferenceCondition | None,
    ) -> Tensor:  # (1, c, f, h, w)
        assert condition is not None
        sampling = replace(self._sampling, seed=_seed(self._sampling.seed, number))
        noise = self._noise(number, len(inputs), sampling)
        kept = kept_background(self._models, inputs)
        if held is not None:
            first = Kept.first_frames(held.to(noise), len(inputs))
            kept = first if kept is None else kept.beneath(first)
        pose = PoseFeatures(self._models.pose_guider, np.stack([each.pose for each in inputs]))
        progress = self._counted(len(self._pieces) - number)
        regions = _regions(inputs)
        places = None if regions is None else places_of(regions)
        return clip.denoise(self._models, condition, pose, noise, sampling, progress, kept, places)

    def _noise(self, number: int, frames: int, sampling: Sampling) -> Tensor:
        """Return a piece's noise; what frames or windows have in common is that of all pieces."""
        preset, size = self._models.preset, self._size
        if not number:
            return starting_noise(preset, frames, size, sampling)
        h, w = size.height // PIXELS_PER_LATENT, size.width // PIXELS_PER_LATENT
        shape = (1, preset.unet.in_channels, frames, h, w)
        generator = torch.Generator().manual_seed(sampling.seed)
        shared = sampling.shared_noise
        noise = draw_noise(shape, generator, shared=0.0)
        if shared:
            first = torch.Generator().manual_seed(self._sampling.seed)
            b, c, _, *plane = shape
            torch.randn((b, c, self._pieces[0].frames, *plane), generator=first)
            common = torch.randn((b, c, 1, *plane), generator=first)
            noise = math.sqrt(shared) * common + math.sqrt(1 - shared) * noise
        if not sampling.repeat_noise:
            return noise
        windows = sampling.windows
        start = starting_noise(preset, self._pieces[0].frames, size, self._sampling)
        length = min(windows.length, frames, start.shape[2])
        noise[:, :, :length] = start[:, :, :length]
        return repeat_noise(noise, windows.length, sampling.seed, overlap=windows.overlap)

    def _counted(self, left: int) -> Progress | None:
        """Return a callback that counts the windows of all pieces; `left` of them remain."""
        if self._progress is None:
            return None
        report, before = self._progress, self._done

        def progress(done: int, total: int) -> None:
            self._done = before + done
            report(self._done, before + total * left)

        return progress

    def _decoded(self, latents: Tensor, inputs: Sequence[FrameInputs]) -> Iterator[Made]:
        done = 0
        for chunk in decode(self._models, latents, self._sampling.frames_per_decode):
            theirs = inputs[done : done + len(chunk)]
            masks = [each.mask for each in theirs if each.mask is not None]
            made = composite(to_bytes(chunk), theirs)
            yield Made(made, [each.pose for each in theirs], np.stack(masks) if masks else None)
            done += len(chunk)


def _regions(inputs: Sequence[FrameInputs]) -> np.ndarray | None:  # (f, p, H, W) bool
    """Return where the persons of all frames are; None if all references show one character."""
    found = [each.regions for each in inputs if each.regions is not None]
    return np.stack(found) if len(found) == len(inputs) else None


def _seed(seed: int, number: int) -> int:
    """Return the seed of a piece; torch takes -2^63 to 2^64 - 1."""
    return seed if not number else (seed + number * _SEED_STEP) % 2**63
