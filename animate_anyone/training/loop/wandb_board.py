"""The log of a run in Weights & Biases, if wandb is installed and a project is named."""

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import PackageError
from ...places import whole_file

ID = "wandb_id"  # file in the stage's folder: a run that is resumed goes on there too


def check_wandb(project: str) -> None:
    """Raise PackageError if a project is named and wandb is not installed."""
    if project and find_spec("wandb") is None:
        raise PackageError(
            f"wandb got the project {project!r}, but the package wandb is not installed; install "
            "it (pip install wandb), or leave the project out: the log is in log.jsonl too."
        )


class WandbBoard:
    """Numbers, pictures and clips by step in a project of Weights & Biases.

    Steps that a killed run repeats are shown as they were first logged.
    """

    def __init__(
        self,
        project: str,
        folder: Path,  # of the stage
        config: Mapping[str, Any],  # values for JSON
    ) -> None:
        """Begin the run of this folder, or go on with it."""
        import wandb

        path = folder / ID
        if not path.exists():
            with whole_file(path, name="folder") as part:
                part.write_text(secrets.token_hex(8), encoding="utf-8")
        self._wandb = wandb
        self._run = wandb.init(
            project=project,
            id=path.read_text(encoding="utf-8").strip(),
            name=f"{folder.absolute().parent.name} {folder.name}",
            dir=str(folder),
            resume="allow",
            config=dict(config),
        )

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Show figures of a step."""
        self._run.log(dict(values), step=step)

    def file(
        self,
        step: int,
        name: str,
        path: Path,  # a PNG, or a GIF that moves
    ) -> None:
        """Show a picture or a clip."""
        clip = path.suffix == ".gif"
        shown = self._wandb.Video(str(path), format="gif") if clip else self._wandb.Image(str(path))
        self._run.log({name: shown}, step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
