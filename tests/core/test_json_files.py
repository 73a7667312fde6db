import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from animate_anyone.errors import ConfigError, InputError, WeightsError
from animate_anyone.json_files import json_parts, read_record, read_whole

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (DEEP, "its lists are nested too deeply"),
        ("[1, 2]", "whose content is a list; it must be a record"),
        ("{", "which cannot be read as JSON"),
        ("\xe9", "which cannot be read as JSON"),
    ],
    ids=["deep", "list", "cut off", "Latin-1"],
)
def test_what_is_no_record_is_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "x.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=rf"config got .*x\.json, .*{words}"):
        read_record(tmp_path / "x.json", "config", raises=ConfigError)


def test_missing_files_long_names_and_pipes_are_refused_in_words(tmp_path: Path) -> None:
    for name in ("gone.json", "n" * 300, "a\0b"):
        with pytest.raises(WeightsError, match=r"split got .*; cannot read it: "):
            read_whole(tmp_path / name, "split", raises=WeightsError)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match="it is a device or a pipe, not a file"):
            read_whole(tmp_path / "pipe", "split")


def test_a_file_of_more_than_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 * 10**9)
    with pytest.raises(InputError, match=r"it has 2,000 MB; 1,074 are the most"):
        read_whole(tmp_path / "large", "keypoints")


@pytest.mark.parametrize("content", [DEEP, "[]", '"text"'], ids=["deep", "list", "text"])
def test_every_reader_of_settings_uses_words(tmp_path: Path, content: str) -> None:
    from animate_anyone.dataset.manifest import ClipDataset
    from animate_anyone.dataset.splits import read_split
    from animate_anyone.errors import AnimateAnyoneError
    from animate_anyone.evaluation.protocol import load_protocol
    from animate_anyone.training.config import read_changes
    from animate_anyone.training.loop.checkpoints import CheckpointFolder
    from animate_anyone.weights.presets import preset_from_metadata
    from animate_anyone.weights.sources import sidecar

    path = tmp_path / "manifest.json"
    path.write_text(content)
    (tmp_path / "step-00000001").mkdir()
    (tmp_path / "step-00000001" / "checkpoint.json").write_text(content)
    for read in (
        lambda: read_split([path]),
        lambda: load_protocol(path),
        lambda: read_changes(path),
        lambda: sidecar(tmp_path / "manifest.safetensors"),
        lambda: ClipDataset.open(tmp_path),
        lambda: preset_from_metadata({"config": content}),
        lambda: CheckpointFolder(tmp_path, 1).newest(),
    ):
        with pytest.raises(AnimateAnyoneError):
            read()


class Lazily(Sequence):
    def __init__(self, *values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


@pytest.mark.parametrize("lists", [list, Lazily], ids=["lists", "lazy lists"])
def test_json_is_written_part_by_part_as_it_would_be_at_once(lists):
    def record(some):
        inner = {"b": some(1, "two", None), "c": {}, "d": some(), "e": (1.5, [2])}
        return {"a": MappingProxyType(inner), "ä": some({"f": 1}, some(2, 3))}

    given = record(lists) if lists is Lazily else record(lambda *values: list(values))
    plain = record(lambda *values: list(values))
    plain["a"] = dict(plain["a"])
    assert "".join(json_parts(given)) == json.dumps(plain, indent=1)
