"""Whole evaluations: of pairs through small networks, as JSON, as Markdown, beside the paper."""

import json
from dataclasses import replace

import pytest
import torch

from animate_anyone.animate import sampling_of
from animate_anyone.evaluation.held_out import held_out_pairs
from animate_anyone.evaluation.measure import Measured
from animate_anyone.evaluation.metrics.frames import psnr
from animate_anyone.evaluation.metrics.metric import Instruments
from animate_anyone.evaluation.metrics.table import METRICS, cell
from animate_anyone.evaluation.pairs import generate
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.evaluation.report import CEILING, COPY, RESULT, Report, evaluate, unmeasured
from animate_anyone.evaluation.tables import as_markdown, compare, compare_data
from animate_anyone.types import Size


def report_of(rows, protocol="mini", **changes) -> Report:
    fields = {"changed": {}, "made": {}, "absent": {}, "instruments": {}, **changes}
    return Report(protocol=load_protocol(protocol), rows=rows, **fields)


def cells_of(markdown: str) -> dict[str, dict[str, str]]:
    """Return the first table of a text by row and column."""
    lines = [line.split(" | ") for line in markdown.splitlines() if line.startswith("|")]
    header, _, *rows = [[each.strip("| ") for each in line] for line in lines]
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def test_pairs_are_measured_by_clip_with_their_baselines(small):
    models, sampling = small.models(), sampling_of(small.preset)
    pairs = list(held_out_pairs(2, 3, Size(64, 64)))
    done: list[int] = []
    rows = evaluate(models, sampling, pairs, progress=done.append)

    assert list(rows) == [RESULT, COPY, CEILING]
    assert list(rows[RESULT].clips) == ["character 0", "character 1"]
    assert done == [1, 2]
    clip = generate(models, pairs[1], replace(sampling, seed=1))
    want = float(psnr(clip, pairs[1].truth).mean())
    assert rows[RESULT].clips["character 1"]["psnr"] == pytest.approx(want)
    assert rows[CEILING].mean["psnr"] > rows[COPY].mean["psnr"]
    assert {"figure_psnr", "iou", "flicker"} <= set(rows[RESULT].mean)


def test_clips_are_compared_at_the_size_of_the_protocol(small):
    models, sampling = small.models(), sampling_of(small.preset)
    (pair,) = held_out_pairs(1, 1, Size(64, 64))
    rows = evaluate(models, sampling, [pair], Instruments(size=Size(32, 32)), baselines=False)
    small = torch.nn.functional.interpolate(
        torch.cat([generate(models, pair, sampling), pair.truth]),
        (32, 32),
        mode="bicubic",
        antialias=True,
    ).clamp(0, 1)
    assert list(rows) == [RESULT]
    assert rows[RESULT].mean["psnr"] == pytest.approx(float(psnr(small[:1], small[1:])), rel=1e-4)
    assert "iou" not in rows[RESULT].mean


def test_clips_longer_than_a_window_have_seams(small):
    models, sampling = small.models(), sampling_of(small.preset)
    (pair,) = held_out_pairs(1, 9, Size(64, 64))
    sampling = replace(sampling, windows=replace(sampling.windows, length=6, overlap=2))
    rows = evaluate(models, sampling, [pair], baselines=False)
    assert rows[RESULT].mean["seam_drift"] > 0


ROWS = {
    "result": Measured(
        {"a": {"psnr": 21.0, "ssim": 0.5, "pck": 1.0}, "b": {"psnr": 22.5, "ssim": 0.75}},
        {"fvd": 123.456},
    ),
    "copy of the reference": Measured({"a": {"psnr": 18.0, "ssim": 0.25}}),
}


def test_json_holds_every_figure_the_record_and_what_it_takes_to_repeat_it():
    made = {"models": "aa-mini", "seeds": [0, 1]}
    report = report_of(ROWS, made=made, changed={"frames": (1, 24)}, absent={"lpips": "no file"})
    data = json.loads(json.dumps(report.data(), allow_nan=False))
    assert data["rows"]["result"]["clips"] == ROWS["result"].clips
    assert data["rows"]["result"]["mean"] == pytest.approx(ROWS["result"].mean)
    assert data["rows"]["result"]["standard_error"] == ROWS["result"].standard_error
    assert data["rows"]["result"]["clips_measured"] == {"psnr": 2, "ssim": 2, "pck": 1}
    assert data["protocol"]["fvd"]["sha256"] == load_protocol("mini").fvd.sha256
    assert data["changed"] == {"frames": {"protocol": 1, "here": 24}}
    assert data["made"] == made
    assert data["absent"] == {"lpips": "no file"}
    assert torch.__version__.startswith(data["versions"]["torch"])


def test_figures_that_are_no_numbers_are_null_in_json():
    rows = {"result": Measured({"a": {"seam_drift": float("inf"), "psnr": 20.0}})}
    text = json.dumps(report_of(rows).data(), allow_nan=False)
    assert json.loads(text)["rows"]["result"]["clips"]["a"] == {"seam_drift": None, "psnr": 20.0}


def test_the_table_shows_the_means_of_the_json():
    report = report_of(ROWS)
    shown, data = cells_of(as_markdown(report)), report.data()
    assert list(shown) == list(ROWS)
    for way, row in data["rows"].items():
        for name, metric in METRICS.items():
            assert shown[way].get(metric.title, "") == cell(name, row["mean"])


def test_the_papers_row_is_in_the_table_and_marked():
    text = as_markdown(report_of(ROWS, "ubc"))
    theirs = cells_of(text)["Animate Anyone (paper, Table 1, UBC Fashion): not comparable"]
    assert theirs["SSIM"] == "0.931"
    assert theirs["PSNR"] == ""
    assert theirs[METRICS["psnr_uint8_legacy"].title] == "38.49"
    assert theirs["FVD"] == "81.6"
    assert "arXiv 2311.17117" in text
    assert "overflows" in text.split("Paper:")[1]
    assert "paper" not in as_markdown(report_of(ROWS, "mini"))


def test_markdown_says_what_differs_from_the_protocol_and_what_is_missing():
    absent = {"lpips": "Fetch it.", "pck": "Name a pair.", "oks": "Name a pair."}
    report = report_of(ROWS, changed={"clips": (64, 2)}, absent=absent, made={"seeds": [0, 1, 2]})
    text = as_markdown(report)
    assert "- clips: 2 (protocol: 64)" in text
    assert "Not measured: LPIPS. Fetch it." in text
    assert "Not measured: PCK, OKS. Name a pair." in text
    assert "- seeds: 0 to 2" in text
    assert "PCK of result: over 1 of 2 clips." in text


def test_fvd_is_reported_with_its_number_of_pieces():
    rows = {"result": Measured({"a": {"psnr": 20.0}}, {"fvd": 3.0}, pieces={"fvd": 7})}
    assert "FVD uses 7 pieces" in as_markdown(report_of(rows))
    assert "FVD goes" not in as_markdown(report_of(ROWS))


def test_metrics_without_clips_and_without_networks_have_different_reasons():
    why = unmeasured(ROWS, load_protocol("mini"))
    assert "2 frames" in why["flicker"]
    assert "window" in why["seam_drift"]
    assert "silhouette" in why["iou"]
    assert not {"psnr", "ssim", "pck", "fvd"} & set(why)


def test_models_are_compared_with_the_row_of_table_3_of_their_name():
    rows = {
        "CLIP only": {"psnr": 17.0, "ssim": 0.7},
        "ReferenceNet": {"psnr": 25.0, "ssim": 0.9, "flicker": 2.0},
        "ReferenceNet without temporal layers": {"psnr": 24.5, "ssim": 0.89, "flicker": 4.0},
    }
    text = compare(rows, {"CLIP only": {"psnr": 0.25}})
    shown = cells_of(text)
    assert list(shown) == list(rows)
    assert shown["CLIP only"]["PSNR"] == "17.00 ± 0.25"
    assert shown["CLIP only"]["paper: FVD"] == "208.5"
    assert shown["ReferenceNet"]["paper: SSIM"] == "0.931"
    assert shown["ReferenceNet"]["flicker"] == "2.00"
    assert shown["ReferenceNet without temporal layers"]["paper: SSIM"] == ""
    assert "Table 3" in text
    assert "arXiv 2311.17117" in text
    assert json.loads(json.dumps(compare_data(rows)))["rows"] == rows
