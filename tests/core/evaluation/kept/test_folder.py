"""Folders of a test: long ones, several for one test, and those that someone has edited."""

import json
import tracemalloc
from argparse import Namespace

import numpy as np
import pytest

from animate_anyone.commands.evaluate.results import write_results
from animate_anyone.errors import InputError
from animate_anyone.evaluation.kept.folder import SETTINGS, Settings, merged, open_rows, read_rows
from animate_anyone.evaluation.kept.row import ClipRow, read_row, row_path, write_row
from animate_anyone.evaluation.measure import Measured, gathered
from animate_anyone.evaluation.metrics.table import METRICS
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.evaluation.report import Report

ROW = ClipRow(place=0, name="a", frames=2, figures={"result": {"psnr": 20.0}})


def edited(path, **changes):
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**values, **changes}))


@pytest.mark.parametrize(
    "change", [{"frames": float("inf")}, {"place": 1e400}, {"pieces": {"fvd": float("-inf")}}]
)
def test_an_endless_number_in_a_row_is_damage(tmp_path, change):
    write_row(tmp_path, ROW)
    assert read_row(tmp_path, 0).figures == ROW.figures
    edited(row_path(tmp_path, 0), **change)
    with pytest.raises(InputError, match=r"000000\.json, which is damaged"):
        read_row(tmp_path, 0)


@pytest.mark.parametrize("first", [float("inf"), float("nan"), 10**30, -1, "0"])
def test_a_first_place_that_no_file_can_have_is_damage(tmp_path, first):
    settings = {"version": 1, "same": {}, "names": ["a"], "report": {}}
    edited(tmp_path / SETTINGS, **settings, first=0)
    assert read_rows(tmp_path).missing == [0]
    edited(tmp_path / SETTINGS, first=first)
    with pytest.raises(InputError, match=r"settings\.json, which is damaged"):
        read_rows(tmp_path)


def opened(folder, count):
    names = [f"clip {number}" for number in range(count)]
    return open_rows(folder, Settings(same={}, names=names, first=0, report={}))


def test_names_of_a_long_test_are_kept_once(tmp_path):
    names = [f"clip {number}" for number in range(3000)]
    settings = Settings(same={"a": {}}, names=names, first=0, report={"b": [1]})
    open_rows(tmp_path / "first", settings)
    written = (tmp_path / "first" / SETTINGS).read_text()
    assert written == json.dumps(json.loads(written), indent=1) + "\n"
    assert list(json.loads(written)) == ["version", "same", "first", "names", "report"]
    tracemalloc.start()
    try:
        kept = open_rows(tmp_path / "second", settings)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept.settings.names == kept.begun.names == names
    assert used / len(names) < 45  # bytes, nine of which are the name


def test_a_long_test_takes_little_memory_and_gives_the_same_report(tmp_path):
    count, metrics = 300, list(METRICS)[:6]
    kept = opened(tmp_path, count)
    rows = []
    for place in range(count):
        row = {metric: place / 7 + n for n, metric in enumerate(metrics) if (place + n) % 5}
        if place == 3:
            row[metrics[0]] = float("inf")
        figures = {"result": row} if place % 3 else {"result": row, "copy": dict(row)}
        rows.append(ClipRow(place=place, name=f"clip {place}", frames=place % 4, figures=figures))
        kept.write(rows[-1])
    gathered(kept.rows)
    tracemalloc.start()
    try:
        found = gathered(kept.rows)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used / count < 500  # bytes of a clip with up to twelve figures
    plain = {
        way: Measured(
            {row.name: row.figures[way] for row in rows if way in row.figures},
            frames={row.name: row.frames for row in rows},
        )
        for way in ("result", "copy")
    }
    for way, measured in plain.items():
        assert dict(found[way].clips) == measured.clips
        assert found[way].mean == measured.mean
        assert found[way].count == measured.count
    more = {"changed": {"steps": (1, [2])}, "made": {}, "absent": {}, "instruments": {}}
    reports = [Report(protocol=load_protocol("mini"), rows=each, **more) for each in (found, plain)]
    path = tmp_path / "report.json"
    files = Namespace(markdown=None, figures=path)
    write_results(files, "", reports[0].data(lazily=True), quiet=True)
    assert path.read_text() == json.dumps(reports[1].data(), indent=1) + "\n"


@pytest.mark.parametrize("change", ["nothing", "features", "figures"])
def test_folders_that_share_a_clip_must_agree_on_all_of_it(tmp_path, change):
    feature = np.arange(6.0).reshape(2, 3)
    figures = {"result": {"psnr": 20.0, "ssim": float("nan")}}
    row = ClipRow(
        place=0, name="clip 0", frames=2, figures=figures, pieces={"fvd": 2},
        features={("fvd", ""): feature, ("fvd", "result"): feature + 1},
    )  # fmt: skip
    parts = [opened(tmp_path / name, 1) for name in "ab"]
    parts[0].write(row)
    if change == "features":
        row.features["fvd", "result"][0, 0] += 1
    if change == "figures":
        figures["result"]["psnr"] = 21.0
    parts[1].write(row)
    if change == "nothing":
        assert len(merged(parts)) == 1
        return
    with pytest.raises(InputError, match="different figures"):
        merged(parts)
