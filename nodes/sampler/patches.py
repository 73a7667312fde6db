"""Patches of other nodes: functions that they put into Stable Diffusion's UNet.

They are called where the host's UNet calls them, with the same arguments: frames stand in the
batch, blocks have the same numbers. What has no place here, and what changed nothing, is told in
the log after the run, by name.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...animate_anyone.config import UNetConfig
from ...animate_anyone.errors import InputError
from ...animate_anyone.protocols import TransformerPatches

log = logging.getLogger(__name__)

PATCH_RECORD = "animate_anyone_patches"  # key in the host's transformer options
BLOCKS = frozenset(
    {
        "emb_patch",
        "input_block_patch",
        "input_block_patch_after_skip",
        "middle_block_after_patch",
        "output_block_patch",
    }
)
TRANSFORMERS = frozenset(
    {
        "attn1_patch",
        "attn1_output_patch",
        "middle_patch",
        "attn2_patch",
        "attn2_output_patch",
    }
)
ATTENTIONS = ("attn1", "attn2")
Place = tuple[str, int]  # kind and number of a block
Patch = Callable[..., Any]


def name_of(patch: Any) -> str:
    """Return the node that a patch comes from, as far as the function's name tells, and its file.

    FreeU's function gives "FreeU (comfy_extras.nodes_freelunch)".
    """
    while hasattr(patch, "func"):  # functools.partial
        patch = patch.func
    owner = patch if hasattr(patch, "__qualname__") else type(patch)
    return f"{owner.__qualname__.split('.')[0]} ({owner.__module__})"


@dataclass
class PatchRecord:
    """What patches did in one sampling run."""

    acted: dict[str, bool] = field(default_factory=dict)  # by name of the patch
    without_place: dict[str, str] = field(default_factory=dict)  # what has no place, by name
    without_strengths: set[str] = field(default_factory=set)  # replace attention, by name

    def call(
        self,
        patch: Patch,
        values: tuple[Tensor, ...],  # what the patch may change
        options: Mapping[str, Any],
        name: str = "",  # where the function does not tell it
    ) -> tuple[Tensor, ...]:
        """Return the values as the patch gives them back; notice whether it changes them."""
        name = name or name_of(patch)
        # Compared only until the patch has changed something. Some change their input in place.
        before = None if self.acted.get(name) else [value.clone() for value in values]
        result = patch(*values, options)
        result = result if isinstance(result, tuple | list) else (result,)
        if before is not None:
            pairs = zip(before, result, strict=True)
            same = all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)
            self.acted[name] = not same
        return tuple(result)

    def tell(self) -> None:
        """Log which patches had no place or no effect in the run."""
        for name, what in self.without_place.items():
            log.warning("%s: %s, so it changes nothing there. Take it out.", name, what)
        for name in sorted(self.without_strengths):
            log.warning(
                "%s replaces attention in some blocks; there all reference pictures count in full, "
                "whatever their strengths. Take it out, or set the strengths to 1 or 0.",
                name,
            )
        for name, acted in self.acted.items():
            if not acted and name not in self.without_place:
                log.warning(
                    "%s changed nothing in this run: everywhere it returned what it was given. Its "
                    "settings do not fit this model, picture size or schedule; change them, or "
                    "take it out.",
                    name,
                )


@dataclass(frozen=True)
class CallInputs:
    """The inputs of one call of the denoiser that patches may read."""

    x: Tensor  # (b*f, c, h, w)
    timesteps: Tensor  # (b*f,)
    context: Tensor  # (b*f, n, d)
    residuals: list[Tensor | None]  # T2I-Adapter's, last block first; (b*f, c, h, w)


class HostPatches:
    """The patches in the host's transformer options, for one call; `Patches` of the core."""

    def __init__(
        self,
        options: dict[str, Any],  # of this call: patches find their place in it, as in the host
        inputs: CallInputs,
        config: UNetConfig,
        places: Mapping[Place, int],  # channels of the transformers, by block
    ) -> None:
        self.options, self.inputs, self.config, self.places = options, inputs, config, places
        self.patches: Mapping[str, list[Patch]] = options.get("patches") or {}
        self.replace: Mapping[str, Mapping[Any, Patch]] = options.get("patches_replace") or {}
        self.record: PatchRecord = options.get(PATCH_RECORD) or PatchRecord()
        self.embedding: Tensor | None = None
        self.in_transformers = bool(TRANSFORMERS & set(self.patches)) or any(
            self.replace.get(name) for name in ATTENTIONS
        )
        options.update(original_shape=list(inputs.x.shape), transformer_index=0)
        self._find_strangers()

    def time(self, x: Tensor) -> Tensor:
        """Return the embedding of the time after `emb_patch`."""
        width = self.config.block_out_channels[0]
        for patch in self.patches.get("emb_patch", ()):

            def embed(emb: Tensor, options: Any, patch: Patch = patch) -> Tensor:
                return patch(emb, width, options)

            (x,) = self.record.call(embed, (x,), self.options, name_of(patch))
        self.embedding = x
        return x

    def input_block(self, number: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return a block's features for the skip connection, and for the next block."""
        self.options["block"] = ("input", number)
        residuals = self.inputs.residuals
        if number < len(residuals) and (residual := residuals[-1 - number]) is not None:
            if residual.shape[1:] != x.shape[1:]:
                raise InputError(
                    f"T2I-Adapter got features of shape {tuple(x.shape[1:])}, its own have "
                    f"{tuple(residual.shape[1:])}; they must agree. Use an adapter for Stable "
                    "Diffusion 1.5 with the public weights, and no patch that resizes features."
                )
            x = x + residual.to(x)
        (skip,) = self._changed("input_block_patch", (x,))
        (x,) = self._changed("input_block_patch_after_skip", (skip,))
        return skip, x

    def middle_block(self, x: Tensor) -> Tensor:
        """Return the middle block's features after `middle_block_after_patch`."""
        self.options["block"] = ("middle", 0)
        for patch in self.patches.get("middle_block_after_patch", ()):
            (x,) = self.record.call(self._by_names(patch), (x,), self.options, name_of(patch))
        return x

    def output_block(self, number: int, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the skip connection that a block joins."""
        self.options["block"] = ("output", number)
        x, skip = self._changed("output_block_patch", (x, skip))
        return x, skip

    def transformer(self, kind: str, number: int, index: int) -> TransformerPatches | None:
        """Return the patches of a transformer; None if no patch concerns transformers."""
        place = (kind, number)
        self.options.update(block=place, block_index=0, transformer_index=index)
        patches = None
        if self.in_transformers:
            patches = HostTransformerPatches(self, place)
        # The host counts on after each transformer; patches between blocks see the next number.
        self.options["transformer_index"] = index + 1
        return patches

    def _changed(self, name: str, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for patch in self.patches.get(name, ()):
            values = self.record.call(patch, values, self.options)
        return values

    def _by_names(self, patch: Patch) -> Patch:
        def call(h: Tensor, options: Mapping[str, Any]) -> Tensor:
            seen = {"h": h, "x": self.inputs.x, "emb": self.embedding, "y": None}
            seen |= {"context": self.inputs.context, "timesteps": self.inputs.timesteps}
            return patch(seen | {"transformer_options": options})["h"]

        return call

    def _find_strangers(self) -> None:
        """Remember what asks for places that this network does not have."""
        tell = self.record.without_place.setdefault
        for kind, patches in self.patches.items():
            if kind not in BLOCKS | TRANSFORMERS:
                for patch in patches:
                    # Some hold pairs of a class of the host's layers and a function for it.
                    function = patch[-1] if isinstance(patch, tuple | list) else patch
                    tell(name_of(function), f"this model has no place for its {kind}")
        for kind, replaced in self.replace.items():
            for key, patch in replaced.items():
                if kind not in ATTENTIONS:
                    tell(name_of(patch), f"this model has no blocks of the kind {kind!r}")
                elif tuple(key[:2]) not in self.places or (*key[2:], 0)[0] != 0:
                    tell(
                        name_of(patch),
                        f"this model has no transformer in block {tuple(key)} (it has them in "
                        f"{', '.join(f'{name} {number}' for name, number in self.places)})",
                    )


class HostTransformerPatches:
    """The host's patches of one transformer; `TransformerPatches` of the core."""

    def __init__(self, call: HostPatches, place: Place) -> None:
        self.patches, self.record = call.patches, call.record
        self.clips = call.options.get("cond_or_uncond", (0,))
        self.replacements = {
            name: found
            for name in ATTENTIONS
            if (found := _replacement(call.replace.get(name, {}), place)) is not None
        }
        options = call.options.items()
        self.extra = {k: v for k, v in options if k not in ("patches", "patches_replace")}
        heads = call.config.heads
        self.extra |= {"n_heads": heads, "dim_head": call.places[place] // heads}
        self.extra["attn_precision"] = None

    def changes(self, name: str) -> bool:
        """Return whether inputs or computation of an attention are patched."""
        return bool(self.patches.get(f"{name}_patch")) or name in self.replacements

    def inputs(
        self, name: str, query: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what queries, keys and values are projected from."""
        query, key, value = self._changed(f"{name}_patch", (query, key, value))
        return query, key, value

    def attend(
        self,
        name: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        rows: slice,
        bias: Tensor | None = None,
    ) -> Tensor | None:
        """Return the result of a replaced attention, (b*f, n, c); None: it is not replaced.

        In attn1 keys and values of the reference stand behind the frame's own. Rows with and
        without the reference have different numbers of keys, so they come in calls of their own,
        whose `cond_or_uncond` names these rows alone. A replacement gets no bias: the strengths
        of reference pictures do not reach it, which the record tells.
        """
        patch = self.replacements.get(name)
        if patch is None:
            return None
        self.record.acted[name_of(patch)] = True
        if bias is not None:
            self.record.without_strengths.add(name_of(patch))
        return patch(query, key, value, self._extra_of(rows))

    def output(self, name: str, x: Tensor) -> Tensor:
        """Return the projected result of an attention."""
        return self._changed(f"{name}_output_patch", (x,))[0]

    def between(self, x: Tensor) -> Tensor:
        """Return the features between both attentions."""
        return self._changed("middle_patch", (x,))[0]

    def _changed(self, name: str, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for patch in self.patches.get(name, ()):
            values = self.record.call(patch, values, self.extra)
        return values

    def _extra_of(self, rows: slice) -> dict[str, Any]:
        total = len(self.clips)
        if rows == slice(0, total):
            return self.extra
        extra = dict(self.extra)
        for key in ("cond_or_uncond", "uuids"):
            if key in extra:
                extra[key] = list(extra[key])[rows]
        shape = self.extra["original_shape"]
        frames = shape[0] // total
        return extra | {"original_shape": [frames * (rows.stop - rows.start), *shape[1:]]}


def _replacement(patches: Mapping[Any, Patch], place: Place) -> Patch | None:
    return patches.get((*place, 0), patches.get(place))


def prepare_patches(options: dict[str, Any], frames: int) -> None:
    """Adapt or refuse, before a run, what works on one picture only; `options` are the model's.

    RenormCFG compares one number of the whole batch, so it is called for each frame.
    SelfAttentionGuidance remembers the attention of the last call, which in windows is that of
    other frames.
    """
    combine = options.get("sampler_cfg_function")
    if combine is not None and frames > 1 and name_of(combine).startswith("RenormCFG "):
        options["sampler_cfg_function"] = _frame_by_frame(combine, frames)
    handler = options.get("context_handler")
    if handler is None or frames <= handler.context_length:
        return
    for patch in _replacements(options.get("transformer_options", {})):
        if name_of(patch).startswith("SelfAttentionGuidance "):
            raise InputError(
                f"SelfAttentionGuidance got a clip of {frames} frames in windows of "
                f"{handler.context_length}; it remembers the attention of one window only. Take "
                "it out, or sample a clip that fits one window."
            )


def _replacements(options: Mapping[str, Any]) -> Iterator[Patch]:
    for patches in options.get("patches_replace", {}).values():
        yield from patches.values()


def _frame_by_frame(
    combine: Patch,  # from the host's record of both halves' predictions, to their combination
    frames: int,
) -> Patch:
    def combined(args: Mapping[str, Any]) -> Tensor:
        def frame(value: Any, number: int) -> Any:
            per_frame = isinstance(value, Tensor) and value.ndim and len(value) == frames
            return value[number : number + 1] if per_frame else value

        return torch.cat(
            [
                combine({key: frame(value, number) for key, value in args.items()})
                for number in range(frames)
            ]
        )

    return combined
