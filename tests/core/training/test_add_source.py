"""A source of examples is one new file in the folder; then `--data` recognises it."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from animate_anyone.__main__ import main
from animate_anyone.errors import ConfigError, InputError
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.sources.find import source_kinds
from animate_anyone.training.stages import Choices, source_of, surroundings_of
from animate_anyone.weights.sources import MINI_FOLDER

SOURCE = '''
"""Latents of noise, chosen by `--data noise`."""

import torch

from ...evaluation.held_out import held_out_pairs
from .batch import Batch
from .find import SourceKind


class Noise:
    """A source that needs no files."""

    def batch(self, draw, step, rows):
        generator = torch.Generator().manual_seed(draw.seed + step)
        drawn = torch.randn(len(rows), 16, draw.frames + 1, 8, 8, generator=generator)
        return Batch(
            encoded=True,
            reference=drawn[:, :, 0],
            targets=drawn[:, :, 1:],
            poses=torch.zeros(len(rows), draw.frames, 3, 64, 64, dtype=torch.uint8),
            thumbs=torch.zeros(len(rows), 3, 64, 64, dtype=torch.uint8),
            names=tuple(f"noise {row}" for row in rows),
        )


KIND = SourceKind(
    title="noise, for noise",
    recognises=lambda choices: str(choices.data) == "noise",
    opens=lambda choices, config: Noise(),
    pairs=PAIRS,
)
'''


@pytest.fixture
def noise(monkeypatch, tmp_path):
    """Return a function that adds a file to the sources; it is removed after the test."""
    package = import_module("animate_anyone.training.sources")
    folder = tmp_path / "more"
    folder.mkdir()
    name = f"{package.__name__}.noise_source"
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])

    def lay(pairs: str) -> None:
        (folder / "noise_source.py").write_text(SOURCE.replace("PAIRS", pairs))

    yield lay
    sys.modules.pop(name, None)
    vars(package).pop("noise_source", None)


def run(folder: Path, **changes) -> int:
    path = folder / "changes.json"
    usual = {"steps": 1, "examples": 2, "frames": 1, "report_every": 1}
    path.write_text(json.dumps(usual | changes))
    return main(["train", "stage1", f"--folder={folder}", "--data=noise", f"--config={path}"])


@pytest.mark.slow
def test_an_added_file_is_trained_on_from_the_command_line(tmp_path, noise):
    noise("lambda choices, config, size: lambda: held_out_pairs(1, size.frames)")
    assert run(tmp_path) == 0
    (entry,) = (tmp_path / "stage1" / "log.jsonl").read_text().splitlines()
    assert json.loads(entry)["loss"] > 0


@pytest.fixture
def validated(tmp_path):
    """Return the arguments of a run on noise that is validated after each step."""
    vae = MINI_FOLDER / "autoencoder.safetensors"
    config = get_recipe("aa-mini", 1).changed({"validate_every": 1})
    return Choices(folder=tmp_path, data=Path("noise"), vae=vae), config


def test_an_added_file_gives_the_pairs_of_validation(noise, validated):
    noise("lambda choices, config, size: lambda: held_out_pairs(1, size.frames)")
    validate = surroundings_of(*validated).validate
    assert [pair.name for pair in validate.pairs()] == ["character 0"]
    assert validate.pose is None, "only drawn characters are read by aa-mini's pair"


def test_an_added_file_without_pairs_refuses_validation(noise, validated):
    noise("None")
    with pytest.raises(ConfigError, match="validate_every got 1; noise, for noise gives no clips"):
        surroundings_of(*validated)
    choices, config = validated
    assert source_of(choices, config)


def test_the_error_for_unknown_data_lists_the_kinds_of_sources(tmp_path, noise):
    noise("None")
    assert [kind.title for kind in source_kinds()][1] == "noise, for noise"
    choices = Choices(folder=tmp_path, data=tmp_path / "films")
    known = r"films, which .*drawn characters.*; noise, for noise; a folder with manifest\.json"
    with pytest.raises(InputError, match=known):
        source_of(choices, get_recipe("aa-mini", 1))


def test_the_kinds_of_the_package_are_found():
    titles = [kind.title for kind in source_kinds()]
    several = "a folder of several such folders with manifest.json"
    firsts = [title.split(",")[0] for title in titles]
    assert firsts == ["nothing", "a folder with manifest.json", several]
