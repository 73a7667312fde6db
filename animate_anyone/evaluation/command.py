"""The command `evaluate`: the held-out test, printed as a table and written as JSON."""

import argparse
import json
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `evaluate`."""
    parser = subparsers.add_parser(
        "evaluate", help="measure aa-mini on held-out characters and motions"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--models", default="aa-mini", help="preset, bundle or folder")
    parser.add_argument("--pairs", type=int, default=64, help="characters, each in one motion")
    parser.add_argument("--frames", type=int, default=1, help="length of each clip")
    parser.add_argument("--steps", type=int, default=None, help="sampling steps")
    parser.add_argument("--cfg", type=float, default=None, help="guidance scale; 1 is none")
    parser.add_argument(
        "--without-motion", action="store_true", help="leave the temporal layers out"
    )
    parser.add_argument("--json", type=Path, help="write the table here too")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    from dataclasses import replace

    from tqdm import tqdm

    from ..animate import sampling_of
    from ..weights.load import load_models
    from .report import as_markdown, evaluate

    models = load_models(options.models)
    if options.without_motion:
        from .ablation import without_motion

        models = without_motion(models)
    sampling = sampling_of(models.preset)
    changes = {"steps": options.steps, "guidance": options.cfg}
    sampling = replace(sampling, **{k: v for k, v in changes.items() if v is not None})
    with tqdm(total=options.pairs, unit="pair") as bar:
        table = evaluate(
            models,
            sampling,
            pairs=options.pairs,
            frames=options.frames,
            progress=lambda done, total: bar.update(done - bar.n) and None,
        )
    print(as_markdown(table))
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0
