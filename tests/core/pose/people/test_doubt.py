import logging
from dataclasses import replace

import numpy as np
import onnx
import pytest
from core.pose import fake_models as fake

from animate_anyone.drawn.clip import paint_clip, skeletons_of
from animate_anyone.evaluation.pose_reader import PoseReader
from animate_anyone.pose.networks.detector import Detector
from animate_anyone.pose.networks.estimator import Estimator
from animate_anyone.pose.networks.onnx_file import SUBJECTS, read_header
from animate_anyone.pose.networks.sessions import open_session
from animate_anyone.pose.people import extract, pipeline
from animate_anyone.pose.people.doubt import (
    ADVICE,
    DRAWN,
    LEAST_CONFIDENCE,
    MOST_FILLED,
    MOST_WOBBLE,
    Evidence,
    convincing,
    weigh,
)
from animate_anyone.pose.people.pipeline import follow
from animate_anyone.types import Flag, Size
from animate_anyone.weights.pose_models import PosePair, embedded_pose_models

SIZE = Size(96, 96)
GOOD = Evidence(confidence=1.0, filled=0.0, wobble=0.01, outside=0.0)


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(5)
    return skeletons_of(paint_clip(rng, np.arange(6.0), SIZE), SIZE)


def test_true_skeletons_of_a_drawn_figure_are_not_doubtful(truth):
    evidence = weigh(truth)
    assert evidence is not None
    assert (evidence.confidence, evidence.filled) == (1.0, 0.0)
    assert evidence.doubts(drawn=True) == ()


def test_each_measure_sees_its_own_fault(truth):
    body = truth.body
    uncertain = replace(body, confidence=body.confidence * 0.6)
    assert weigh(replace(truth, body=uncertain)).confidence == pytest.approx(0.6)

    flags = np.zeros(body.confidence.shape, np.uint8)
    flags[2:4] = Flag.FILLED
    filled = replace(body, flags=flags)
    assert weigh(replace(truth, body=filled)).filled == pytest.approx(1 / 3, abs=0.01)

    noise = np.random.default_rng(0).normal(0, 6, body.xy.shape)
    assert weigh(replace(truth, body=replace(body, xy=body.xy + noise))).wobble > MOST_WOBBLE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"confidence": LEAST_CONFIDENCE - 0.01}, "mean confidence 0."),
        ({"filled": MOST_FILLED + 0.01}, "of the points filled in"),
        ({"wobble": MOST_WOBBLE + 0.01}, "bones change their length"),
    ],
)
def test_a_pair_that_knows_drawn_figures_says_so_and_points_to_dwpose(change, words):
    doubtful = replace(GOOD, **change)
    (line,) = doubtful.doubts(drawn=True)
    assert words in line
    assert "knows drawn figures only; use DWPose's" in line
    assert doubtful.doubts(drawn=False) == ()


@pytest.mark.parametrize("drawn", [True, False])
def test_points_off_the_canvas_are_told_for_every_pair(truth, drawn):
    assert weigh(truth).outside < 0.1
    moved = {
        part: replace(getattr(truth, part), xy=getattr(truth, part).xy + np.array([90, 0]))
        for part in ("body", "left_hand", "right_hand", "face", "feet")
    }
    (line,) = weigh(replace(truth, **moved)).doubts(drawn=drawn)
    assert "of the points lie off the canvas" in line
    assert replace(GOOD, outside=0.5).doubts(drawn=drawn) == ()


def test_nobody_is_no_evidence(truth):
    parts = {
        part: replace(getattr(truth, part), confidence=getattr(truth, part).confidence * 0)
        for part in ("body", "left_hand", "right_hand", "face", "feet")
    }
    assert weigh(replace(truth, **parts)) is None


def test_the_shipped_pair_says_that_it_knows_drawn_figures():
    assert {read_header(path).subjects for path in embedded_pose_models()} == {DRAWN}


@pytest.mark.parametrize("subjects", ["", DRAWN])
def test_reports_tell_doubts_of_a_pair_that_says_what_it_knows(
    tmp_path, caplog, monkeypatch, subjects
):
    monkeypatch.setattr(extract, "convincing", lambda boxes, *_: boxes > 0)
    paths = fake.seeking_detector(tmp_path / "d.onnx", box=(50, 70)), tmp_path / "e.onnx"
    fake.colour_estimator(paths[1])
    model = onnx.load(paths[1])
    onnx.helper.set_model_props(model, {"made_by": "us", SUBJECTS: subjects})
    onnx.save(model, paths[1])
    detector, estimator = (open_session(path, "cpu") for path in paths)
    pair = PosePair(Detector(detector), Estimator(estimator))
    assert estimator.header.subjects == subjects

    frames = [
        fake.picture((240, 320), {0: (x, 80), 5: (x + 20, 110), 6: (x - 19, 110)}, [(x, 120)])
        for x in range(90, 110, 4)
    ]
    del frames[2]
    frames.insert(2, np.zeros_like(frames[0]))  # the points in this frame are filled in
    report = follow(frames, *pair)[1]
    assert bool(report.doubts) == bool(subjects)
    assert ("warning: these skeletons are doubtful" in report.text()) == bool(subjects)
    assert report.data()["doubts"] == report.doubts

    with caplog.at_level(logging.WARNING):
        PoseReader(pair).read(np.stack(frames[:2]))
    assert not caplog.messages  # nothing is filled in these frames


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("sure", [True, False])
def test_the_report_says_once_what_the_pair_knows_however_sure_it_is(
    tmp_path, monkeypatch, drawn, sure
):
    monkeypatch.setattr(pipeline, "knows_only_drawn", lambda *_: drawn)
    monkeypatch.setattr(pipeline, "weigh", lambda _: GOOD if sure else replace(GOOD, wobble=0.2))
    paths = fake.seeking_detector(tmp_path / "d.onnx", box=(50, 70)), tmp_path / "e.onnx"
    fake.colour_estimator(paths[1])
    detector, estimator = (open_session(path, "cpu") for path in paths)
    pair = Detector(detector), Estimator(estimator)
    report = follow([fake.picture((240, 320), {0: (90, 80)}, [(90, 120)])], *pair)[1]
    assert report.text().count(ADVICE) == drawn
    assert (f"note: {ADVICE}" in report.text()) == (drawn and sure)
    assert report.data()["drawn"] == drawn
    nobody = follow([np.zeros((240, 320, 3), np.uint8)], *pair)[1]
    assert f"note: {ADVICE}" not in nobody.text()


@pytest.mark.parametrize("subjects", ["", DRAWN])
def test_uncertain_people_are_left_out_and_counted_only_where_drawn_figures_are_known(
    tmp_path, subjects
):
    paths = fake.seeking_detector(tmp_path / "d.onnx", box=(50, 70)), tmp_path / "e.onnx"
    fake.colour_estimator(paths[1])
    model = onnx.load(paths[0])
    onnx.helper.set_model_props(model, {SUBJECTS: subjects})
    onnx.save(model, paths[0])
    detector, estimator = (open_session(path, "cpu") for path in paths)
    frame = fake.picture((240, 320), {0: (90, 80)}, [(90, 120)])  # one joint of 17
    report = follow([frame], Detector(detector), Estimator(estimator))[1]
    assert report.found != bool(subjects)
    assert report.extract.unconvincing == bool(subjects)
    assert ("1 detections were left out" in report.text()) == bool(subjects)


def test_both_scores_must_be_high_for_a_person():
    boxes, body = np.array([0.9, 0.9, 0.4, 0.4]), np.array([0.9, 0.2, 0.9, 0.2])
    assert convincing(boxes, body, 0.3).tolist() == [True, False, True, False]
