"""Convert published weight files into one bundle."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..config import Preset
from ..errors import WeightsError
from ..places import check_place
from .bundle import write_bundle
from .load import resolve_preset
from .sources import open_parts

logger = logging.getLogger(__name__)

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def convert(
    inputs: Sequence[Path],  # files, or one folder
    out: Path,
    *,
    named: Mapping[str, Path] | None = None,  # files by slot; see `WeightPaths`
    dtype: str = "fp16",  # see `DTYPES`
    preset: str | None = None,
    licence: str | None = None,
) -> Preset:
    """Write a weight set into one bundle; return the preset stored in it."""
    named = dict(named or {})
    if any(
        path.exists() and out.exists() and path.samefile(out) for path in [*inputs, *named.values()]
    ):
        raise WeightsError(f"out got {out}, which is one of the inputs; choose another name.")
    check_place(out, raises=WeightsError)
    parts = open_parts(inputs, named)
    found = resolve_preset(parts, preset)
    if licence:
        found = replace(found, licence=licence)
    write_bundle(parts, found, out, DTYPES[dtype])
    size = out.stat().st_size / 1e6
    logger.info("Wrote %s: %s, %.1f MB, licence: %s", out, found.title, size, found.licence)
    return found
