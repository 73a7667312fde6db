"""`evaluate` that goes on: kept rows, parts and their merge, kept clips, refused folders."""

import json
import pickle
import shutil
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from animate_anyone.__main__ import main
from animate_anyone.commands.evaluate import command
from animate_anyone.engines.engine import Inline, Lost
from animate_anyone.errors import MediaError
from animate_anyone.evaluation import instruments, report
from animate_anyone.evaluation.kept import folder
from animate_anyone.evaluation.metrics.lpips import LpipsNetwork
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.media import clip_info, frames_of, write_picture
from animate_anyone.places import owned
from animate_anyone.weights import load
from metric_networks import write_fvd_network

CLIPS, FRAMES, SIDE = 3, 5, 32


def protocol_file(folder: Path, usual: str, **changes: object) -> Path:
    """Write a small protocol with FVD, and its network beside it."""
    record: dict[str, Any] = load_protocol(usual).data()
    record |= {"clips": CLIPS, "width": SIDE, "height": SIDE, "frames": FRAMES}
    record |= {"metrics": ["psnr", "ssim", "fvd"], **changes}
    del record["name"]
    network = write_fvd_network(folder / "i3d.pt")
    record["fvd"] |= {"frames": 2, "size": 8, "sha256": network}
    path = folder / f"small-{usual}.json"
    path.write_text(json.dumps(record))
    return path


@pytest.fixture(scope="module")
def drawn(tiny_bundle, tmp_path_factory):
    """Return the words of a small test of drawn characters, and its figures by one process."""
    folder = tmp_path_factory.mktemp("drawn")
    words = ["evaluate", "--protocol", str(protocol_file(folder, "mini"))]
    words += ["--models", str(tiny_bundle), "--steps", "1", "--cfg", "1", "--device", "cpu"]
    words += ["--fvd-network", str(folder / "i3d.pt")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "load_models", lru_cache(load.load_models))
        yield words, figures_of(words, folder)


def figures_of(words: list[str], folder: Path, code: int = 0) -> dict:
    path = folder / "figures.json"
    path.unlink(missing_ok=True)
    assert main([*words, "--figures", str(path)]) == code
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def counted(monkeypatch):
    """Count the measured pairs; with a limit, measuring is interrupted there."""
    places: list[int] = []
    limit = [1000]
    usual = report.measure_pair

    def measure_pair(*args, place, **more):
        if len(places) == limit[0]:
            raise KeyboardInterrupt
        places.append(place)
        return usual(*args, place=place, **more)

    monkeypatch.setattr(report, "measure_pair", measure_pair)
    return places, limit


@pytest.mark.slow
def test_parts_of_a_test_are_the_test(drawn, tmp_path, capsys):
    words, whole = drawn
    parts = [str(tmp_path / name) for name in "ab"]
    for number, part in enumerate(parts, 1):
        assert figures_of([*words, "--shard", f"{number}/2", "--out", part], tmp_path) == {}
    told = capsys.readouterr().out
    assert "2 of 3 clips are measured" in told
    assert "Missing: 1 (character 1)" in told
    assert figures_of(["evaluate", "--merge", *parts], tmp_path) == whole
    assert whole["rows"]["result"]["mean"]["fvd"] > 0
    assert whole["made"]["seeds"] == [0, 1, 2]
    assert "| result |" in capsys.readouterr().out


def test_the_last_part_in_a_folder_makes_the_table(drawn, tmp_path, capsys):
    words, whole = drawn
    words = [*words, "--out", str(tmp_path / "rows")]
    assert main([*words, "--shard", "2/2"]) == 0
    assert "| result |" not in capsys.readouterr().out
    assert figures_of([*words, "--shard", "1/2"], tmp_path) == whole
    assert json.loads((tmp_path / "rows/report.json").read_text()) == whole
    assert (tmp_path / "rows/report.md").read_text() == capsys.readouterr().out


def test_a_test_goes_on_where_it_was(drawn, tmp_path, counted):
    words, whole = drawn
    words, (places, limit) = [*words, "--out", str(tmp_path / "rows")], counted
    limit[0] = 2
    assert figures_of(words, tmp_path, code=130) == {}
    limit[0] = 1000
    assert figures_of(words, tmp_path) == whole
    assert places == [0, 1, 2]
    assert figures_of(words, tmp_path) == whole
    assert places == [0, 1, 2]


@pytest.mark.slow
def test_rows_without_a_folder_of_their_own_are_in_one_for_now(
    drawn, tmp_path, monkeypatch, counted, capsys
):
    words, whole = drawn
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept, usual = [], folder.write_row

    def write_row(place, row):
        usual(place, row)
        kept.append(len(list(place.glob("rows/*.json"))))

    monkeypatch.setattr(folder, "write_row", write_row)
    assert figures_of(words, tmp_path) == whole
    assert kept == [1, 2, 3]
    counted[1][0] = 4
    assert figures_of(words, tmp_path, code=130) == {}

    def full(place, row):
        raise MediaError(f"out got {place}; the disk is full.")

    monkeypatch.setattr(folder, "write_row", full)
    counted[1][0] = 1000
    assert figures_of(words, tmp_path, code=2) == {}
    assert "--out names a folder on another disk" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_noise_of_a_clip_does_not_depend_on_where_the_test_begins(drawn, tmp_path):
    words, whole = drawn
    part = figures_of([*words, "--first", "1", "--pairs", "2"], tmp_path)
    for name, row in part["rows"]["result"]["clips"].items():
        assert row == whole["rows"]["result"]["clips"][name]
    assert part["made"]["seeds"] == [1, 2]


def test_generated_clips_are_kept_and_measured_again(drawn, tmp_path, counted):
    words, whole = drawn
    clips, rows = tmp_path / "clips", ["--out", str(tmp_path / "rows")]
    assert main([*words, *rows]) == 0
    keep = ["--keep-clips", str(clips), "--keep-as", "png"]
    assert figures_of([*words, *rows, *keep], tmp_path) == whole
    assert counted[0] == [0, 1, 2] * 2  # all of them again, since their clips were not there
    names = [f"character {number}" for number in range(CLIPS)]
    assert sorted(path.name for path in clips.iterdir()) == [*names, "made.json"]
    shutil.rmtree(clips / names[1])
    counted[0].clear()
    assert figures_of([*words, *rows, *keep], tmp_path) == whole
    assert counted[0] == [1]
    assert len(list(frames_of(clips / names[1]))) == FRAMES

    again = ["--protocol", str(protocol_file(tmp_path, "tiktok", resize="pil 8 bit"))]
    again += ["--results", str(clips), "--truth", str(clips)]
    assert set(figures_of(["evaluate", *again], tmp_path)["compared"]) == set(names)


@pytest.mark.slow
def test_kept_videos_have_the_clips_rate_and_their_folder_is_theirs(drawn, tmp_path, capsys):
    words, _ = drawn
    words = [*words, "--pairs", "2", "--keep-clips", str(tmp_path / "clips")]
    assert main(words) == 0
    info = clip_info(tmp_path / "clips/character 1.mp4")
    assert (info.frames, float(info.fps or 0)) == (FRAMES, 30)
    assert main([*words, "--steps", "2"]) == 2
    assert "which holds clips of another test (they differ in sampling" in capsys.readouterr().err
    words[-1] = str(tmp_path / "rows/clips")
    for _ in range(2):  # a folder below that of the figures, new and there
        assert main([*words, "--out", str(tmp_path / "rows")]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    assert main([*words[:-1], str(tmp_path / "other")]) == 2
    assert "keep-clips got" in (told := capsys.readouterr().err)
    assert "holds other things (notes.txt)" in told


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the words of a small test of finished clips, and the folder of the clips."""
    folder = tmp_path_factory.mktemp("finished")
    rng = np.random.default_rng(0)
    for side in ("mine", "true"):
        for name in ("one", "two", "three"):
            frames = rng.integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
            for number, frame in enumerate(frames):
                write_picture(folder / side / name / f"{number}.png", frame)
    words = ["evaluate", "--protocol", str(protocol_file(folder, "tiktok"))]
    words += ["--results", str(folder / "mine"), "--truth", str(folder / "true")]
    return [*words, "--fvd-network", str(folder / "i3d.pt")], folder


def test_finished_clips_are_measured_in_parts_too(finished, tmp_path, capsys, caplog):
    words, _ = finished
    whole = figures_of(words, tmp_path)
    for number in (1, 2, 3):
        part = [*words, "--shard", f"{number}/3", "--out", str(tmp_path / str(number))]
        assert main(part) == 0
    parts = [str(tmp_path / str(number)) for number in (3, 1, 2)]
    capsys.readouterr()
    assert figures_of(["evaluate", "--merge", *parts], tmp_path) == whole
    assert figures_of(["evaluate", "--merge", *parts, *parts], tmp_path) == whole
    assert main(["evaluate", "--merge", *parts[:2]]) == 2
    told = capsys.readouterr().err
    assert "1 of 3 clips are missing: " in told
    assert "begun with other packages" not in told + caplog.text
    settings = tmp_path / "1" / "settings.json"
    values = json.loads(settings.read_text())
    values["report"]["versions"]["torch"] = "0.1"
    settings.write_text(json.dumps(values))
    assert figures_of(["evaluate", "--merge", *parts], tmp_path) == whole
    assert "torch 0.1 there and" in caplog.text


def test_other_settings_and_other_clips_are_refused(finished, tmp_path, capsys):
    words, folder = finished
    mine = tmp_path / "mine"
    shutil.copytree(folder / "mine", mine)
    words = [mine.as_posix() if word == str(folder / "mine") else word for word in words]
    kept = [*words, "--out", str(tmp_path / "rows")]
    assert main(kept) == 0
    for change, told in (
        (["--frames", "4"], "protocol frames is 5 there and 4 here"),
        (["--pairs", "2"], "it has 3 clips there and 2 here"),
        (["--first", "1"], "first is 0 there and 1 here"),
    ):
        assert main([*kept, *change]) == 2
        assert told in capsys.readouterr().err
    without = [word for word in kept if "i3d" not in word and word != "--fvd-network"]
    assert main(without) == 2
    assert "networks of metrics FVD is True there and False here" in capsys.readouterr().err
    write_picture(mine / "two" / "3.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    assert main(kept) == 2
    told = capsys.readouterr().err
    assert "holds figures of another test: clips two is" in told
    assert "Choose another folder" in told
    assert main([*words, "--out", str(tmp_path / "more")]) == 0
    assert main(["evaluate", "--merge", str(tmp_path / "rows"), str(tmp_path / "more")]) == 2
    assert "are of different tests: clips two" in capsys.readouterr().err


def test_damaged_and_changed_rows_are_named(finished, tmp_path, capsys):
    words, _ = finished
    kept = [*words, "--out", str(tmp_path / "rows")]
    assert main(kept) == 0
    shutil.copytree(tmp_path / "rows", tmp_path / "copy")
    merge = ["evaluate", "--merge", str(tmp_path / "rows"), str(tmp_path / "copy")]
    assert main(merge) == 0
    row = tmp_path / "copy/rows/000001.json"
    row.write_text(row.read_text().replace('"psnr": ', '"psnr": 1'))
    assert main(merge) == 2
    assert "clip three has different figures" in capsys.readouterr().err
    row.write_text("{")
    assert main(merge) == 2
    assert "000001.json" in capsys.readouterr().err
    (tmp_path / "rows/rows/000001.npz").write_bytes(b"torn")
    assert main(kept) == 2
    assert "Delete this file and 000001.json" in capsys.readouterr().err
    (tmp_path / "rows/rows/000001.json").unlink()
    assert main(kept) == 0


def test_a_folder_of_other_things_and_one_in_use_are_refused(finished, tmp_path, capsys):
    words, folder = finished
    assert main([*words, "--out", str(folder)]) == 2
    assert "which holds other things (i3d.pt, mine, " in capsys.readouterr().err
    rows = tmp_path / "rows"
    with owned(rows, name=".lock-1-of-2"):
        assert main([*words, "--out", str(rows), "--shard", "1/2"]) == 2
        assert "another process is working" in capsys.readouterr().err
        assert main([*words, "--out", str(rows), "--shard", "2/2"]) == 0
    assert main(["evaluate", "--merge", str(tmp_path)]) == 2
    assert "there is no settings.json in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shard", "1/2"], "--shard got 1/2 without --out"),
        (["--keep-as", "png"], "--keep-as was given without --keep-clips"),
        (["--results", "a", "--truth", "b", "--keep-clips", "c"], "--keep-clips was given with"),
        (["--merge", "a", "--steps", "3", "--data", "b"], "--merge was given with --data, --steps"),
        (["--merge", "a", "--out", "b"], "--merge was given with --out"),
        (["--out", "a", "--keep-clips", "a"], "got the same folder"),
        (["--result", "a", "--poses", "b", "--out", "c"], "of which nothing is kept"),
    ],
)
def test_options_that_contradict_each_other_are_refused(monkeypatch, tmp_path, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_parts_that_are_none_are_refused(capsys, shard):
    with pytest.raises(SystemExit):
        main(["evaluate", "--shard", shard])
    assert "shard got" in capsys.readouterr().err


def test_the_former_name_of_figures_still_works(finished, tmp_path, caplog):
    words, _ = finished
    assert main([*words, "--json", str(tmp_path / "figures.json")]) == 0
    assert "rows" in json.loads((tmp_path / "figures.json").read_text())
    assert "--json is now called --figures" in caplog.text


@pytest.mark.slow
def test_workers_give_the_rows_of_one_process(drawn, tmp_path, monkeypatch):
    words, whole = drawn
    made = []

    class Sent:
        """Sends its worker as to another process, and works backwards."""

        workers = 1

        def run(self, make, work):
            sent = pickle.loads(pickle.dumps(make))
            made.append((sent == make, hash(sent) == hash(make)))
            worker = sent()
            for item in reversed(list(work)):
                yield item, worker(pickle.loads(pickle.dumps(item)))

    monkeypatch.setattr(command, "engine_of", lambda *_: Sent())
    for more in ([], ["--out", str(tmp_path / "rows")]):
        assert figures_of([*words, *more], tmp_path) == whole
    assert made == [(True, True)] * 2


@pytest.mark.slow
def test_clips_whose_workers_died_are_named_and_the_others_kept(
    drawn, tmp_path, monkeypatch, capsys
):
    words, whole = drawn
    kept = [*words, "--out", str(tmp_path / "rows")]

    class Dying:
        workers = 1

        def run(self, make, work):
            worker = make()
            for item in work:
                yield item, Lost(3) if item[0] == 1 else worker(item)

    with monkeypatch.context() as patch:
        patch.setattr(command, "engine_of", lambda *_: Dying())
        assert main(kept) == 2
    assert "could not measure 1 of 3 clips (character 1)" in capsys.readouterr().err
    assert len(list((tmp_path / "rows" / "rows").glob("*.json"))) == 2
    assert figures_of(kept, tmp_path) == whole


def test_a_worker_with_other_networks_is_refused(drawn, monkeypatch, capsys):
    words, _ = drawn

    class Elsewhere:
        workers = 1

        def run(self, make, work):
            other = make.make.networks.replace("float32", "float16")
            yield from Inline().run(replace(make, make=replace(make.make, networks=other)), work)

    monkeypatch.setattr(command, "engine_of", lambda *_: Elsewhere())
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "dtype: float16 there, float32 here" in said
    assert "Give --device and --dtype" in said


@pytest.mark.slow
def test_another_network_of_lpips_is_refused_and_its_files_are_named(
    tiny_bundle, tmp_path, monkeypatch, capsys
):
    words = ["evaluate", "--pairs=1", "--protocol"]
    words += [str(protocol_file(tmp_path, "mini", metrics=["lpips"])), "--models", str(tiny_bundle)]
    words += ["--steps=1", "--cfg=1", "--device=cpu", f"--out={tmp_path / 'rows'}"]

    def network(value, source):
        layers = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))
        torch.nn.init.constant_(layers[0].weight, value)
        torch.nn.init.zeros_(layers[0].bias)
        return LpipsNetwork(layers, {0: torch.ones(1, 2, 1, 1)}, source=source)

    def begin(value, source):
        monkeypatch.setattr(instruments, "installed_lpips", lambda *_: network(value, source))
        return main(words)

    assert begin(0.5, "first.pth") == 0
    assert begin(0.5, "its copy") == 0  # the same weights give the same figures
    assert begin(0.4, "other.ckpt") == 2
    assert "(first.pth there, other.ckpt here)" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--workers=2", "--ray=local"])
def test_one_clip_has_no_workers(option, capsys):
    assert main(["evaluate", "--result=a.mp4", "--poses=a.json", option]) == 2
    assert "which no workers can share" in capsys.readouterr().err
