"""The command `ablations`: the paper's table 3 with small networks, from training to the table."""

import argparse
import json
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path

from ...errors import InputError
from ..options import add_old_name, add_run_steps, add_threads, sentence, set_threads

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `ablations`."""
    text = "train and measure the rows of the paper's table 3 with small networks"
    parser = subparsers.add_parser("ablations", help=text, description=sentence(text))
    parser.set_defaults(run=run)
    add = parser.add_argument
    text = "folder of the training runs; an interrupted command resumes"
    add("--folder", type=Path, required=True, help=text)
    add_run_steps(parser, "600 for every variant")
    text = "files of training examples, each with 100 drawn characters (default: 20)"
    add("--shards", type=int, default=20, help=text)
    text = "held-out characters, of which single frames are measured (default: 64)"
    add("--pairs", type=int, default=64, help=text)
    text = "held-out clips, on which flicker is measured (default: 6)"
    add("--clips", type=int, default=6, help=text)
    add("--frames", type=int, default=24, help="length of these clips (default: 24)")
    text = "sampling steps for measured results (default: 10)"
    add("--sampling-steps", type=int, default=10, help=text)
    add_threads(parser)
    models = add(
        "--models",
        nargs="*",
        default=[],
        metavar="NAME=SOURCE",
        help="additional rows of the table: a name of your choice, and a preset, bundle or folder",
    )
    add_old_name(parser, "--weights", models)


def run(options: argparse.Namespace) -> int:
    """Train the missing variants, measure all, write and print the table; return the exit code."""
    from ...evaluation.ablation import without_motion
    from ...evaluation.tables import compare, compare_data
    from ...places import check_folder, whole_file
    from ...training.ablations import Comparison, measure, paint_examples, train_variants
    from ...training.recipes import ABLATION
    from ...weights.load import load_mini, load_models

    for name in ("pairs", "shards", "frames", "sampling_steps"):
        if getattr(options, name) < 1:
            option = name.replace("_", "-")
            raise InputError(f"--{option} got {getattr(options, name)}; it must be 1 or more.")
    check_folder(options.folder)
    set_threads(options)
    further = {name: load_models(source) for name, source in map(_named, options.models)}
    mini = load_mini()
    assert mini.autoencoder is not None
    config = ABLATION if options.steps is None else replace(ABLATION, steps=options.steps)
    paint_examples(options.folder / "data", mini.autoencoder, options.shards)
    rows = train_variants(options.folder, config, mini.autoencoder)
    rows["aa-mini without temporal layers"] = without_motion(mini)
    rows["aa-mini"] = mini
    rows |= further
    how = Comparison(
        pairs=options.pairs,
        clips=options.clips,
        frames=options.frames,
        steps=options.sampling_steps,
    )
    means, errors = {}, {}
    for name, models in rows.items():
        log.info("measuring %s", name)
        means[name], errors[name] = measure(models, how)
    table = compare(means, errors)
    record = {"measured": asdict(how), "trained": asdict(config), "shards": options.shards}
    with whole_file(options.folder / "table.json") as part:
        text = json.dumps(record | compare_data(means, errors), indent=1)
        part.write_text(text + "\n", encoding="utf-8")
    with whole_file(options.folder / "table.md") as part:
        part.write_text(table + "\n", encoding="utf-8")
    sys.stdout.write(table + "\n")
    return 0


def _named(text: str) -> tuple[str, str]:
    """Return name and source of an additional row."""
    name, _, source = text.partition("=")
    if not source:
        raise InputError(f"--models got {text!r}; it must be NAME=SOURCE, as v0=weights/v0.")
    return name, source
