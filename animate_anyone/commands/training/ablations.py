"""The command `ablations`: the paper's table 3 with small networks, from training to the table."""

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ..options import add_old_name, add_run_steps, add_threads, sentence, set_threads

if TYPE_CHECKING:
    from ...evaluation.kept.row import ClipRow
    from ...training.ablations.settings import AblationSettings

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `ablations`."""
    text = "train and measure the rows of the paper's table 3 with small networks"
    parser = subparsers.add_parser("ablations", help=text, description=sentence(text))
    parser.set_defaults(run=run)
    add = parser.add_argument
    text = "folder of the training runs and figures; an interrupted command resumes"
    add("--folder", type=Path, required=True, help=text)
    add_run_steps(parser, "1000 for every row and seed")
    text = "training steps of the denoiser from which all rows start (default: 1500)"
    add("--pretraining-steps", type=int, help=text)
    text = "trainings of every row, each with a seed of its own (default: 2)"
    add("--seeds", type=int, default=2, help=text)
    text = "files of training examples, each with 100 drawn characters (default: 20)"
    add("--shards", type=int, default=20, help=text)
    add("--pairs", type=int, default=96, help="held-out characters to measure (default: 96)")
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
    """Train and measure what is missing, write and print the table; return the exit code."""
    from ...evaluation.ablation import without_motion
    from ...places import check_folder, owned
    from ...training.ablations.measuring import content_of, measure_row, open_measures
    from ...training.ablations.settings import TITLES
    from ...training.ablations.training import paint_examples, pretrain, row_folder, train_row
    from ...training.recipes import ABLATION, PRETRAINING
    from ...weights.load import load_mini, load_models

    if options.seeds < 1:
        raise InputError(f"--seeds got {options.seeds}; it must be 1 or more.")
    settings, folder = _settings(options), options.folder
    check_folder(folder, name="folder")
    further = {name: load_models(source) for name, source in map(_named, options.models)}
    set_threads(options)
    with owned(folder):
        settings.claim(folder)
        mini = load_mini()
        assert mini.autoencoder is not None
        paint_examples(folder, mini.autoencoder, settings.shards)
        pretrain(folder, replace(PRETRAINING, steps=settings.pretraining_steps), mini)
        instruments = open_measures()
        found: dict[tuple[str, int], list[ClipRow]] = {}
        for seed in range(options.seeds):
            for variant, title in TITLES.items():
                log.info("%s, seed %d: %d steps", title, seed, settings.steps)
                config = replace(ABLATION, variant=variant, seed=seed, steps=settings.steps)
                models = train_row(folder, config, mini)
                figures = row_folder(folder, variant, seed) / "figures"
                found[title, seed] = measure_row(
                    *(figures, models, settings, instruments), baselines=not found
                )
                _write(folder, found, settings, options.seeds, {})
        others = {"aa-mini without temporal layers": without_motion(mini), "aa-mini": mini}
        rows = {}
        for name, models in (others | further).items():
            log.info("measuring %s", name)
            figures = folder / "further" / content_of(models)
            rows[name] = measure_row(figures, models, settings, instruments)
        sys.stdout.write(_write(folder, found, settings, options.seeds, rows))
    return 0


def _settings(options: argparse.Namespace) -> "AblationSettings":
    from ...training.ablations.settings import AblationSettings
    from ...training.recipes import ABLATION, PRETRAINING

    given, steps = options.pretraining_steps, options.steps
    return AblationSettings(
        pretraining_steps=PRETRAINING.steps if given is None else given,
        steps=ABLATION.steps if steps is None else steps,
        shards=options.shards,
        pairs=options.pairs,
        sampling_steps=options.sampling_steps,
    )


def _write(
    folder: Path,
    found: "dict[tuple[str, int], list[ClipRow]]",
    settings: "AblationSettings",
    seeds: int,
    further: "dict[str, list[ClipRow]]",
) -> str:
    """Write table.md and table.json of what is there; return the text."""
    from ...places import whole_file
    from ...training.ablations.report import as_data, as_markdown

    with whole_file(folder / "table.json", name="folder") as part:
        text = json.dumps(as_data(found, settings, seeds, further), indent=1)
        part.write_text(text + "\n", encoding="utf-8")
    table = as_markdown(found, settings, seeds, further) + "\n"
    with whole_file(folder / "table.md", name="folder") as part:
        part.write_text(table, encoding="utf-8")
    return table


def _named(text: str) -> tuple[str, str]:
    """Return name and source of an additional row."""
    name, _, source = text.partition("=")
    if not source:
        raise InputError(f"--models got {text!r}; it must be NAME=SOURCE, as v0=weights/v0.")
    return name, source
