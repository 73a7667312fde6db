"""`python -m animate_anyone convert`: published files in, one bundle out."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from ..config import PRESETS, Preset
from ..errors import WeightsError
from .bundle import write_bundle
from .load import resolve_preset
from .sources import WeightPaths, open_parts

logger = logging.getLogger(__name__)

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command `convert`."""
    parser = commands.add_parser("convert", help="put the files of a weight set into one file")
    parser.add_argument(
        "inputs", nargs="*", type=Path, help="weight files, or one folder; sorted by their contents"
    )
    for field in fields(WeightPaths):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=Path,
            metavar="FILE",
            help="name this file yourself, where contents cannot decide",
        )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.add_argument("--dtype", choices=DTYPES, default="fp16", help="of the weights (fp16)")
    parser.add_argument("--preset", choices=PRESETS, help="instead of the one that shapes tell")
    parser.add_argument("--licence", help="to be stored, instead of the preset's")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert as the command line says; return the exit code."""
    slots = {field.name: getattr(arguments, field.name) for field in fields(WeightPaths)}
    convert(
        arguments.inputs,
        arguments.out,
        named={slot: path for slot, path in slots.items() if path is not None},
        dtype=DTYPES[arguments.dtype],
        preset=arguments.preset,
        licence=arguments.licence,
    )
    return 0


def convert(
    inputs: Sequence[Path],  # files, or one folder
    out: Path,
    *,
    named: Mapping[str, Path] | None = None,  # files by slot; see `WeightPaths`
    dtype: torch.dtype = torch.float16,
    preset: str | None = None,
    licence: str | None = None,
) -> Preset:
    """Write a weight set into one bundle and return the preset that the bundle carries."""
    named = dict(named or {})
    if any(
        path.exists() and out.exists() and path.samefile(out) for path in [*inputs, *named.values()]
    ):
        raise WeightsError(f"out got {out}, which is one of the inputs; choose another name.")
    parts = open_parts(inputs, named)
    found = resolve_preset(parts, preset)
    if licence:
        found = replace(found, licence=licence)
    write_bundle(parts, found, out, dtype)
    size = out.stat().st_size / 1e6
    logger.info("Wrote %s: %s, %.1f MB, licence: %s", out, found.title, size, found.licence)
    return found
