"""One clip of a character as training data, kept in memory: no folder, no preparation.

Autoencoder and image encoder are frozen, so each frame is encoded once, before training. While the
networks train, the encoders need not be in memory.
"""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange

from ...errors import InputError
from ...media import to_pixels
from ...protocols import Autoencoder, ImageEncoder, Progress
from .batch import Batch, Draw, Extra, refuse_clip_settings
from .extras import CANDIDATES, described_pictures, draw_extras, far_apart

CHUNK_FRAMES = 8  # through the autoencoder at once, at most
CHUNK_PIXELS = CHUNK_FRAMES * 256 * 256  # the same; more would keep a user who cancels waiting


class OwnClip:
    """A `Source` of the frames of one clip.

    A reference is any frame of the clip. In stage 1 targets are other frames, in stage 2
    consecutive frames.
    """

    def __init__(
        self,
        latents: np.ndarray,  # (f, c, h, w) float32, in the denoiser's scale
        tokens: np.ndarray,  # (f, 1, d) float32: the image encoder's output for each frame
        poses: np.ndarray,  # (f, H, W, 3) uint8: drawn skeletons
    ) -> None:
        """Use a clip that is already encoded; see `encoded`."""
        self.latents, self.tokens, self.poses = latents, tokens, poses

    @classmethod
    @torch.no_grad()
    def encoded(
        cls,
        frames: np.ndarray,  # (f, H, W, 3) uint8; H and W multiples of 8
        poses: np.ndarray,  # (f, H, W, 3) uint8: skeletons on black
        autoencoder: Autoencoder,
        image_encoder: ImageEncoder,
        progress: Progress | None = None,  # called with the frames done
    ) -> "OwnClip":
        """Encode each frame once; InputError if frames and poses do not fit each other."""
        check_clip(frames, poses)
        latents, tokens = [], []
        chunk = max(1, min(CHUNK_FRAMES, CHUNK_PIXELS // (frames.shape[1] * frames.shape[2])))
        for start in range(0, len(frames), chunk):
            pixels = to_pixels(frames[start : start + chunk])
            latents.append(autoencoder.encode(pixels).float().cpu().numpy())
            for each in pixels:
                tokens.append(image_encoder.encode(each[None]).float().cpu().numpy())
                if progress is not None:
                    progress(len(tokens), len(frames))
        return cls(np.concatenate(latents), np.concatenate(tokens), poses)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.latents)

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows of a step; InputError if the clip is too short for an example."""
        refuse_clip_settings(draw, "examples of one clip in memory")
        room = len(self) - draw.frames + draw.consecutive
        if room < 1:
            most = len(self) - 1 + draw.consecutive
            raise InputError(
                f"frames got a clip of {len(self)}, of which an example of {draw.frames} cannot "
                f"be drawn. Choose {most} or fewer per example, or give a longer clip."
            )
        for name, rule in (("hand_weight", draw.hands), ("face_weight", draw.faces)):
            if rule is not None:
                raise InputError(
                    f"{name} is above 0; a clip with drawn skeletons has no keypoints to weigh by. "
                    f"Set {name} to 0, or train on a folder made by `prepare`."
                )
        chosen = [self._chosen(draw, room, step, row) for row in rows]
        reference = np.array([first for first, _ in chosen])
        targets = np.stack([numbers for _, numbers in chosen])
        latents, poses = (torch.from_numpy(part[targets]) for part in (self.latents, self.poses))
        return Batch(
            encoded=True,
            reference=torch.from_numpy(self.latents[reference]),
            targets=rearrange(latents, "b f c h w -> b c f h w"),
            poses=rearrange(poses, "b f H W c -> b f c H W"),
            tokens=torch.from_numpy(self.tokens[reference]),
            extras=self._extras(draw, step, rows, chosen),
            names=tuple(f"reference frame {number}" for number in reference),
        )

    def _extras(
        self,
        draw: Draw,
        step: int,
        rows: Sequence[int],
        chosen: Sequence[tuple[int, np.ndarray]],  # of each row: the reference and the targets
    ) -> tuple[Extra, ...]:
        """Return the further references: frames that are no targets, far apart in pose."""
        numbers = np.zeros((len(rows), draw.references - 1), int)
        present = np.zeros(numbers.shape, bool)
        for place, (row, (first, targets)) in enumerate(zip(rows, chosen, strict=True)):
            rng = np.random.default_rng((draw.seed, step, row, 1))
            taken = [first] if draw.consecutive else [first, *targets]
            free = np.setdiff1d(np.arange(len(self)), taken)
            count = draw_extras(rng, draw, len(free))
            free = rng.choice(free, min(len(free), CANDIDATES), replace=False)
            frames = np.array([first, *free], int)
            poses = described_pictures(self.poses[frames])
            found = far_apart(poses, 0, np.arange(1, len(frames)), count)
            numbers[place, :count], present[place, :count] = frames[found], True
        return tuple(
            Extra(
                reference=torch.from_numpy(self.latents[frames]),
                tokens=torch.from_numpy(self.tokens[frames]),
                present=tuple(there.tolist()),
            )
            for frames, there in zip(numbers.T, present.T, strict=True)
            if there.any()
        )

    def _chosen(self, draw: Draw, room: int, step: int, row: int) -> tuple[int, np.ndarray]:
        """Return the number of the reference and those of the targets."""
        rng = np.random.default_rng((draw.seed, step, row))
        if draw.consecutive:
            return int(rng.integers(len(self))), rng.integers(room) + np.arange(draw.frames)
        numbers = rng.choice(len(self), draw.frames + 1, replace=False)
        return int(numbers[0]), numbers[1:]


def check_clip(
    frames: np.ndarray,  # (f, H, W, 3) uint8
    poses: np.ndarray,  # (f, H, W, 3) uint8
) -> None:
    """Raise InputError if frames and skeletons do not fit, are too few, or show no person."""
    if frames.shape != poses.shape:
        raise InputError(
            f"poses got {_described(poses)} and frames {_described(frames)}; each frame needs its "
            "own skeleton, of the same size. Draw the poses that were extracted from these frames, "
            "at their size."
        )
    if len(frames) < 2:
        raise InputError(
            f"frames got a clip of {len(frames)}; an example is a reference and another frame. "
            "Give 2 frames or more, better some dozens."
        )
    if not poses.any():
        raise InputError(
            f"poses got {len(poses)} black pictures, which show no person. Check that the pose "
            "extraction found the character."
        )


def _described(clip: np.ndarray) -> str:
    return f"{len(clip)} of {clip.shape[2]}x{clip.shape[1]} pixels"
