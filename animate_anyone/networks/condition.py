"""The denoiser's conditions: the image token, the references, the pose.

Sampling, training, command line and nodes all use these functions, so that a row without the
picture is the same everywhere: guidance's unconditional row, and in training a row whose condition
is dropped. Its token is zero and it does not attend to the reference, but it has the pose (paper,
section 3.2). All functions are differentiable.

Several reference pictures stand beside each other: ReferenceNet runs once for each, with the
picture's own token, and a frame's queries attend to the tokens of all. A picture of strength s
counts s times: the softmax gets log(s) added to the scores of its keys. The denoiser's token is
the first picture's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import InputError
from .beside import Person
from .unet import PreparedCondition, UNet

MOST_REFERENCES = 8  # pictures of one character


class ReferenceNetwork(Protocol):
    """The interface of ReferenceNet and of its replacements in the variants of table 3."""

    def reference_features(
        self,
        latents: Tensor,  # (r, c, h, w), in the denoiser's scale
        context: Tensor,  # (r, n, d) image tokens
    ) -> Sequence[Tensor]:  # r rows each
        ...


@dataclass(frozen=True)
class References:
    """ReferenceNet's features of one or more pictures, and how much each picture counts."""

    features: tuple[Tensor, ...]  # per transformer block: (r, tokens of all pictures, c)
    # Per block (1 or r, tokens): the log of the strengths. None: all pictures count in full.
    bias: tuple[Tensor, ...] | None = None
    persons: tuple[Person, ...] | None = None  # None: all pictures show one character


@dataclass(frozen=True)
class Conditions:
    """The conditions of some clips, the same at every step."""

    prepared: PreparedCondition
    pose: Tensor  # (b, c, f, h, w)
    tokens: Tensor  # (b, n, d), zero in rows that do not see the picture


def prepare_condition(
    denoiser: UNet,
    tokens: Tensor,  # (b, n, d) image tokens, or (1, n, d) for all rows
    features: References | Sequence[Tensor] | None,  # 1 row, or one per row that attends
    attends: Sequence[bool],  # (b,) whether the row has the picture
) -> PreparedCondition:
    """Return the denoiser's keys and values for rows with and without the picture.

    They depend on the denoiser's present weights: prepare again after the weights have changed.
    """
    seen = seen_tokens(tokens, attends)
    if isinstance(features, References):
        if features.persons:
            more = {"bias": features.bias, "persons": features.persons}
            return denoiser.prepare(seen, features.features, attends, **more)
        if features.bias:
            return denoiser.prepare(seen, features.features, attends, features.bias)
        features = features.features
    return denoiser.prepare(seen, features, attends)


def seen_tokens(
    tokens: Tensor,  # (b or 1, n, d)
    attends: Sequence[bool],  # (b,)
) -> Tensor:  # (b, n, d)
    """Return the image tokens that the rows see: zeros in those that do not see the picture."""
    return tokens * tokens.new_tensor(attends)[:, None, None]


def seen_features(
    reference_net: ReferenceNetwork,
    latents: Tensor,  # (b, c, h, w), in the denoiser's scale
    tokens: Tensor,  # (b, n, d) image tokens
    attends: Sequence[bool],  # (b,)
) -> Sequence[Tensor] | None:  # one row for each that attends; None where none does
    """Return ReferenceNet's features, computed only for the rows that attend to them."""
    # Indexing by a list of numbers needs no synchronisation with the device, a mask would.
    rows = [row for row, answer in enumerate(attends) if answer]
    if not rows:
        return None
    return reference_net.reference_features(latents[rows], tokens[rows])


def seen_references(
    reference_net: ReferenceNetwork,
    latents: Sequence[Tensor],  # one per picture: (b, c, h, w), in the denoiser's scale
    tokens: Sequence[Tensor],  # one per picture: (b, n, d), the picture's own
    attends: Sequence[bool],  # (b,)
    strengths: Sequence[Sequence[float]] | None = None,  # (b, pictures), 0 or more; None: all 1
) -> References | None:  # one row for each that attends; None where none does
    """Return the features of several pictures per row, computed one picture after another.

    A row leaves out the pictures of strength 0, so that rows may have different numbers of
    pictures: the latents there are not used. Gradients reach the pictures that a row sees.
    """
    rows = [row for row, answer in enumerate(attends) if answer]
    if not rows:
        return None
    chosen = [[1.0] * len(latents) if strengths is None else strengths[row] for row in rows]
    for each in chosen:
        check_strengths(each, len(latents))
    numbers = [j for j in range(len(latents)) if any(each[j] for each in chosen)]
    pictures = []
    for j in numbers:
        used = [i for i, each in enumerate(chosen) if each[j]]
        there = [rows[i] for i in used]
        features = reference_net.reference_features(latents[j][there], tokens[j][there])
        pictures.append([_on_rows(part, used, len(rows)) for part in features])
    return join_references(pictures, [[each[j] for j in numbers] for each in chosen])


def join_references(
    pictures: Sequence[Sequence[Tensor]],  # per picture, per block: (1 or r, tokens, c)
    strengths: Sequence[float] | Sequence[Sequence[float]] | None = None,  # None: all 1
) -> References:
    """Return the features of several pictures as those of one reference.

    Strengths are a number per picture, or a list of them for each row. Pictures of strength 0 in
    all rows are left out, so their features are not looked at. A single picture of strength 1 is
    returned as it is.
    """
    by_row = [[1.0] * len(pictures)] if strengths is None else _rows_of(strengths)
    for row in by_row:
        check_strengths(row, len(pictures))
    kept = [i for i in range(len(pictures)) if any(row[i] for row in by_row)]
    pictures = [pictures[i] for i in kept]
    by_row = [[row[i] for i in kept] for row in by_row]
    in_full = all(value == 1 for row in by_row for value in row)
    if len(pictures) == 1 and in_full:
        return References(tuple(pictures[0]))
    _check_alike(pictures)
    blocks = [*zip(*pictures, strict=True)]
    features = tuple(torch.cat(parts, dim=1) for parts in blocks)
    return References(features, None if in_full else tuple(_bias(by_row, p) for p in blocks))


def join_persons(
    references: Sequence[References],  # of each person, 1 row each
    tokens: Sequence[Tensor],  # of each person: (1, 1, d)
) -> References:
    """Return the pictures of several persons as one reference, in which each has its own.

    The denoiser then needs to know which places belong to whom: `with_places` of the condition.
    """
    _check_alike([one.features for one in references])
    blocks = [*zip(*(one.features for one in references), strict=True)]
    features = tuple(torch.cat(parts, dim=1) for parts in blocks)
    ends = [[*accumulate(part.shape[1] for part in parts)] for parts in blocks]
    persons = [
        Person(token, tuple(slice(e[i - 1] if i else 0, e[i]) for e in ends))
        for i, token in enumerate(tokens)
    ]
    bias = None
    if any(one.bias is not None for one in references):
        each = [
            one.bias or [f.new_zeros(1, f.shape[1]) for f in one.features] for one in references
        ]
        bias = tuple(torch.cat([*parts], dim=1) for parts in zip(*each, strict=True))
    return References(features, bias, tuple(persons))


def check_strengths(
    strengths: Sequence[float],
    pictures: int,
    name: str = "strengths",  # of the input, for the error text
) -> None:
    """Raise InputError unless there is a strength of 0 or more for each of 1 to 8 pictures."""
    if not 1 <= pictures <= MOST_REFERENCES:
        raise InputError(
            f"reference got {pictures} pictures; one to {MOST_REFERENCES} pictures of a character "
            "can be used. Choose those that differ most."
        )
    if len(strengths) != pictures:
        raise InputError(
            f"{name} got {len(strengths)} values for {pictures} reference pictures; each picture "
            "has one. Give as many, or none, which means 1 for each."
        )
    shown = ", ".join(f"{value:g}" for value in strengths)
    if not all(math.isfinite(value) and value >= 0 for value in strengths):
        raise InputError(
            f"{name} got {shown}; each must be a finite number of 0 or more. 1 is the usual "
            "strength, 0 leaves the picture out."
        )
    if not any(strengths):
        raise InputError(
            f"{name} got {shown}; 0 leaves a picture out, and none would be left. Set one or more "
            "above 0."
        )


def pose_at_strength(
    features: Tensor,  # (b, c, f, h, w), of the Pose Guider
    strength: float,  # 0 or more
) -> Tensor | None:
    """Return scaled pose features; unchanged at 1, None at 0."""
    if strength == 1:
        return features
    return features * strength if strength else None


def pose_features(
    pose_guider: nn.Module,
    pictures: Tensor,  # (b, f, 3, H, W) of skeletons, 0..1
) -> Tensor:  # (b, c, f, h, w)
    """Return the Pose Guider's features of clips in the denoiser's layout."""
    frames = rearrange(pictures, "b f c H W -> (b f) c H W")
    return as_clips(pose_guider(frames), len(pictures))


def as_clips(
    features: Tensor,  # (b*f, c, h, w), of the Pose Guider
    clips: int = 1,  # b
) -> Tensor:  # (b, c, f, h, w), a view
    """Return features of single frames reshaped to clips."""
    return rearrange(features, "(b f) c h w -> b c f h w", b=clips)


def _on_rows(
    features: Tensor,  # (len(used), n, c)
    used: Sequence[int],  # the rows that they belong to
    rows: int,
) -> Tensor:  # (rows, n, c), zero elsewhere
    if len(used) == rows:
        return features
    index = torch.tensor(used, device=features.device)
    return features.new_zeros(rows, *features.shape[1:]).index_copy(0, index, features)


def _rows_of(strengths: Sequence[float] | Sequence[Sequence[float]]) -> list[list[float]]:
    """Return strengths as a list for each row; one list serves all rows."""
    if any(isinstance(value, Sequence) for value in strengths):
        return [list(row) for row in strengths if isinstance(row, Sequence)]
    return [[value for value in strengths if not isinstance(value, Sequence)]]


def _bias(
    strengths: Sequence[Sequence[float]],  # (1 or r, pictures)
    parts: Sequence[Tensor],  # per picture: (r, tokens, c)
) -> Tensor:  # (1 or r, tokens of all)
    logs = torch.tensor(strengths, dtype=torch.float32).log()
    columns = [logs[:, [j]].expand(-1, part.shape[1]) for j, part in enumerate(parts)]
    return torch.cat(columns, dim=1).to(parts[0].device)


def _check_alike(pictures: Sequence[Sequence[Tensor]]) -> None:
    """Raise InputError if pictures that shall stand beside each other do not fit together."""
    shapes = [[(part.ndim, part.shape[-1]) for part in picture] for picture in pictures]
    if any(ndim != 3 for ndim, _ in shapes[0]):
        raise InputError(
            f"reference got {len(pictures)} pictures with strengths; this variant of the networks "
            "takes one picture, in full. Choose one of them."
        )
    for number, shape in enumerate(shapes, start=1):
        if shape != shapes[0]:
            raise InputError(
                f"reference got features of {[c for _, c in shape]} channels for picture {number} "
                f"and of {[c for _, c in shapes[0]]} for picture 1; all must come from one "
                "ReferenceNet. Encode the pictures with the same weights."
            )
