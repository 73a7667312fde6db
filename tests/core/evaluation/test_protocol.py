"""Protocols: the shipped ones are valid and match the code; wrong ones are refused."""

import json
from dataclasses import replace

import pytest

from animate_anyone.errors import ConfigError
from animate_anyone.evaluation.metrics.lpips import BACKBONES
from animate_anyone.evaluation.metrics.table import METRICS
from animate_anyone.evaluation.protocol import Protocol, load_protocol
from animate_anyone.evaluation.tables import paper_rows

NAMES = ("mini", "ubc", "tiktok", "mini-kinds", "disco")
# The columns of each test: results of long ago stand beside those of today.
PARTS = "hand_psnr hand_lpips hand_pck face_psnr face_lpips face_pck sharpness motion_error"
REAL = f"ssim psnr psnr_uint8_legacy lpips fvd pck oks pose_error flicker seam_drift {PARTS}"
DRAWN = (
    "psnr ssim psnr_uint8_legacy lpips fvd pck oks pose_error figure_psnr iou flicker seam_drift "
    + PARTS
)


def test_the_tests_of_the_package_hold():
    with pytest.raises(ConfigError, match="known are mini, ubc, tiktok, mini-kinds, disco\\."):
        load_protocol("other")
    for name in NAMES:
        protocol = load_protocol(name)
        assert protocol.lpips.sha256 == BACKBONES[protocol.lpips.net].sha256
        assert {"psnr", "ssim", "psnr_uint8_legacy", "lpips", "fvd", "pck"} <= set(protocol.metrics)
        assert len(protocol.fvd.sha256) == 64
    assert [load_protocol(name).clips for name in NAMES] == [64, 100, 10, 144, 10]


@pytest.mark.parametrize(
    ("name", "columns"), [("mini", DRAWN), ("ubc", REAL), ("tiktok", REAL), ("mini-kinds", DRAWN)]
)
def test_the_figures_of_each_test_and_their_order_are_known(name, columns):
    assert load_protocol(name).metrics == tuple(columns.split())


def test_dots_in_a_record_stand_for_all_other_metrics():
    record = load_protocol("mini").data() | {"metrics": ["iou", "...", "psnr"]}
    metrics = Protocol.from_data(record).metrics
    assert (metrics[0], metrics[-1]) == ("iou", "psnr")
    assert sorted(metrics) == sorted(METRICS)
    assert list(metrics[1:-1]) == [name for name in METRICS if name not in ("iou", "psnr")]


def test_a_record_survives_json():
    for name in NAMES:
        protocol = load_protocol(name)
        assert Protocol.from_data(json.loads(json.dumps(protocol.data()))) == protocol


def test_a_users_own_record_is_read_from_its_file(tmp_path):
    record = load_protocol("ubc").data() | {"frames": 7}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({k: v for k, v in record.items() if k != "name"}))
    assert load_protocol(path) == replace(load_protocol("ubc"), name="mine", frames=7)


def test_the_error_for_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"protocol got 'tikotk'.*Did you mean 'tiktok'"):
        load_protocol("tikotk")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": 3}, "record that is not valid.*'frame'"),
        ({"clips": 0}, "clips got 0"),
        ({"frames": 0}, "frames got 0"),
        ({"fit": "padded"}, "fit got 'padded'.*Did you mean 'pad'"),
        ({"metrics": ["psnr", "lpip"]}, "metrics got 'lpip'.*Did you mean 'lpips'"),
        ({"lpips": {"net": "alexnet", "sha256": "0" * 8}}, "lpips.net got 'alexnet'"),
    ],
    ids=["surplus key", "no clips", "no frames", "fit", "metric", "net"],
)
def test_a_wrong_record_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Protocol.from_data(load_protocol("mini").data() | change)


def test_the_error_for_a_file_that_is_not_json_names_it(tmp_path):
    path = tmp_path / "torn.json"
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"torn\.json, which cannot be read"):
        load_protocol(path)


@pytest.mark.parametrize(
    ("table", "name", "values"),
    [
        ("ubc", "Animate Anyone", (0.931, 38.49, 0.044, 81.6)),
        ("tiktok", "Animate Anyone", (0.718, 29.56, 0.285, 171.9)),
        ("ablation", "CLIP only", (0.897, 36.09, 0.089, 208.5)),
        ("ablation", "ControlNet", (0.892, 35.89, 0.105, 213.9)),
        ("ablation", "CLIP + ControlNet", (0.898, 36.03, 0.086, 205.4)),
        ("ablation", "ReferenceNet", (0.931, 38.49, 0.044, 81.6)),
    ],
)
def test_the_papers_psnr_is_in_the_column_of_the_overflowing_formula(table, name, values):
    row = paper_rows(table)[1][name]
    assert tuple(row) == ("ssim", "psnr_uint8_legacy", "lpips", "fvd")
    assert tuple(row.values()) == values
    assert set(row) <= set(METRICS)
