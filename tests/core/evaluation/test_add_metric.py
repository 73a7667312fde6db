"""A metric needs one entry in METRICS: then it appears wherever figures are shown."""

import json

import numpy as np
import pytest
import torch

from animate_anyone.__main__ import main
from animate_anyone.errors import ConfigError, InputError
from animate_anyone.evaluation.instruments import check_sets
from animate_anyone.evaluation.measure import gathered, measure, measure_clip
from animate_anyone.evaluation.metrics.metric import (
    Case,
    Instruments,
    Metric,
    OfClip,
    OfFrames,
    OfSet,
)
from animate_anyone.evaluation.metrics.table import METRICS, names_without_files
from animate_anyone.evaluation.protocol import load_protocol


def refuse_one(_, lengths) -> None:
    if len(list(lengths)) < 2:
        raise InputError("spread of means got 1 clip; it needs 2. Measure more.")


DARKEST = Metric(
    title="darkest pixel",
    digits=4,
    better="nearer 1",
    measure=OfFrames(lambda result, truth, _: result.amin((1, 2, 3)) - truth.amin((1, 2, 3))),
)
LAST = Metric(
    title="last frame",
    digits=3,
    better="lower",
    needs=("skeletons",),
    condition="Clips must end.",
    measure=OfClip(lambda look: float((look.result[-1] - look.truth[-1]).abs().mean())),
)
SPREAD = Metric(
    title="spread of means",
    digits=2,
    better="lower",
    measure=OfSet(
        features=lambda clip, fps, _: clip.double().mean((1, 2, 3)).numpy()[:, None],
        value=lambda ours, true: float(np.std(ours) - np.std(true)),
        check=refuse_one,
    ),
)


@pytest.fixture
def added(monkeypatch):
    """Add one metric of each kind, each by its entry only."""
    for name, metric in {"darkest": DARKEST, "last": LAST, "spread": SPREAD}.items():
        monkeypatch.setitem(METRICS, name, metric)


@pytest.mark.slow
@pytest.mark.usefixtures("added")
def test_an_added_metric_is_in_rows_tables_and_json_of_the_command(tmp_path, capsys):
    table = tmp_path / "table.json"
    words = ["--pairs", "2", "--steps", "1", "--cfg", "1", "--device", "cpu"]
    assert main(["evaluate", *words, "--figures", str(table)]) == 0
    data, shown = json.loads(table.read_text()), capsys.readouterr().out
    mean, clips = (data["rows"]["result"][key] for key in ("mean", "clips"))

    assert {"darkest", "last", "spread"} <= set(mean)
    assert {"darkest", "last"} <= set(clips["character 0"])
    assert data["rows"]["result"]["spread_clips"] == 2
    assert data["protocol"]["metrics"][-3:] == ["darkest", "last", "spread"]
    assert data["figures"]["last"] == {"title": "last frame", "unit": "", "better": "lower"}
    header, _, row = (line for line in shown.splitlines()[:3])
    assert header.endswith("| darkest pixel | last frame | spread of means |")
    assert f"| {mean['darkest']:.4f} |" in row
    assert "spread of means uses 2 pieces" in shown


@pytest.mark.usefixtures("added")
def test_an_added_metric_is_measured_only_where_what_it_needs_is_known():
    truth = torch.rand(20, 3, 8, 8)
    row = measure(truth / 2, Case(name="a", truth=truth, fps=30.0), Instruments())
    want = (truth / 2).amin((1, 2, 3)) - truth.amin((1, 2, 3))
    assert row["darkest"] == pytest.approx(float(want.mean()))
    assert "last" not in row


@pytest.mark.usefixtures("added")
def test_an_added_metric_of_sets_sees_all_clips_and_may_refuse_too_few():
    results, truths = torch.rand(2, 3, 4, 3, 8, 8)
    tools = Instruments(metrics=("spread",))
    rows = [
        measure_clip([("ours", result)], Case(name=str(i), truth=truth, fps=30.0), tools, i)
        for i, (result, truth) in enumerate(zip(results, truths, strict=True))
    ]
    found = gathered(rows)["ours"]
    ours, true = (np.std(x.double().mean((2, 3, 4)).numpy()) for x in (results, truths))
    assert found.of_set == {"spread": pytest.approx(ours - true)}
    with pytest.raises(InputError, match="spread of means got 1 clip"):
        check_sets(Instruments(), [("a", 4, 30.0)])


@pytest.mark.usefixtures("added")
def test_protocols_and_the_evaluate_node_name_an_added_metric():
    assert load_protocol("ubc").metrics[-3:] == ("darkest", "last", "spread")
    assert {"darkest", "last"} < set(names_without_files())
    assert "spread" not in names_without_files()


def test_the_evaluate_node_shows_what_needs_no_file_poses_last():
    figures = ("psnr", "ssim", "flicker", "sharpness", "pck", "oks", "pose_error")
    parts = ("hand_psnr", "hand_pck", "face_psnr", "face_pck", "motion_error")
    assert names_without_files() == (*figures, *parts)
    more = {"lpips", "hand_lpips", "face_lpips"}
    assert {*names_without_files(lpips=True)} == {*figures, *parts, *more}


def test_a_metric_with_an_unknown_need_is_refused():
    with pytest.raises(ConfigError, match="needs got 'depth'; known are lpips, fvd, pose, skel"):
        Metric(title="x", digits=1, better="lower", needs=("depth",), measure=LAST.measure)
