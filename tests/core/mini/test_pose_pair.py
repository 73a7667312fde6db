"""The pose pair of aa-mini: scenes, training, exported files, and the shipped ones."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from animate_anyone.__main__ import main
from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import paint
from animate_anyone.errors import ConfigError, InputError, WeightsError
from animate_anyone.evaluation.held_out import HELD_OUT
from animate_anyone.mini.loop import Run
from animate_anyone.mini.pose_pair import batches, export, losses, start, training
from animate_anyone.mini.pose_pair.held_out import held_out_scenes, matches, overlaps, score_pair
from animate_anyone.mini.pose_pair.painting.looks import model_body
from animate_anyone.mini.pose_pair.painting.mannequin import paint_mannequin
from animate_anyone.mini.pose_pair.painting.models import paint_model
from animate_anyone.mini.pose_pair.painting.scenery import make_scenery
from animate_anyone.mini.pose_pair.scenes import (
    make_scene,
    read_scenes,
    rich_scene,
    studio_scene,
    write_scenes,
)
from animate_anyone.mini.pose_pair.wholebody import MIRROR, POINT_GROUPS
from animate_anyone.pose.networks.detector import decode_cells, grid_cells
from animate_anyone.pose.networks.estimator import crop, crop_windows
from animate_anyone.training.loop.checkpoints import save_checkpoint
from animate_anyone.types import Size
from animate_anyone.weights.sources import MINI_FOLDER

COUNT = 16  # scenes, among them some with nobody, one person and two
TINY_DETECTOR = replace(
    training.DETECTOR, steps=4, batch=2, size=(64, 64), widths=(4, 4, 8, 8, 8), warm_up=1,
    mixed_precision=False, report_every=2, save_every=2,
)  # fmt: skip
TINY_ESTIMATOR = replace(TINY_DETECTOR, size=(64, 32), weights=training.ESTIMATOR.weights)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    write_scenes(folder / "scenes-00000", seed=0, count=COUNT)
    return folder


@pytest.fixture(scope="module")
def scenes(folder):
    scenes = read_scenes(folder)
    assert set((scenes["boxes"][..., 2] > 0).sum(1)) == {0, 1, 2}
    return scenes


# Scenes.


def test_scenes_depend_only_on_the_seed(folder, scenes, tmp_path):
    write_scenes(tmp_path / "scenes-00000", seed=0, count=COUNT)
    again = read_scenes(tmp_path)
    assert all(np.array_equal(again[name], scenes[name]) for name in scenes)


def test_scenes_hold_none_one_or_two_people():
    counts = [len(make_scene(np.random.default_rng(seed)).boxes) for seed in range(16)]
    assert set(counts) == {0, 1, 2}


def test_visible_points_lie_in_the_picture_and_near_the_box(scenes):
    people = np.argwhere(scenes["boxes"][..., 2] > 0)
    for index, person in people:
        visible = scenes["visible"][index, person]
        xy, box = scenes["xy"][index, person][visible], scenes["boxes"][index, person]
        assert (xy > -1).all()
        assert (xy < scenes["sizes"][index] + 1).all()
        reach = 0.1 * (box[2:] - box[:2]).max()
        body = xy[: visible[POINT_GROUPS["body"]].sum()]
        assert (body > box[:2] - reach).all()
        assert (body < box[2:] + reach).all()


@pytest.mark.parametrize(("maker", "count"), [(rich_scene, 8), (studio_scene, 24)])
def test_scenes_like_photographs_hold_none_one_or_two_people_whose_points_lie_on_them(maker, count):
    found = [maker(np.random.default_rng((5, seed))) for seed in range(count)]
    assert {len(scene.boxes) for scene in found} == {0, 1, 2}
    for scene in found:
        extent = scene.picture.shape[1::-1]
        for box, xy, visible in zip(scene.boxes, scene.xy, scene.visible, strict=True):
            assert (xy[visible] >= 0).all()
            assert (xy[visible] < extent).all()
            reach = 0.1 * (box[2:] - box[:2]).max()
            body = xy[POINT_GROUPS["body"]][visible[POINT_GROUPS["body"]]]
            assert (body > box[:2] - reach).all()
            assert (body < box[2:] + reach).all()


def test_a_mannequin_covers_the_joints_of_its_character():
    rng = np.random.default_rng(4)
    character, angles = make_character(rng, close_up=False), make_motion(rng).angles(7.0)
    painting = paint_mannequin(rng, character, angles, Size(128, 128))
    np.testing.assert_allclose(
        painting.joints, paint(character, angles, Size(128, 128)).joints, atol=1e-9
    )
    at = np.round(painting.joints[painting.visible]).astype(int)
    assert (painting.mask[at[:, 1], at[:, 0]] > 0).all()


def test_a_model_covers_its_joints():
    size, covered = Size(192, 256), []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        painting = paint_model(rng, size, height=0.7, ground=0.9, centre=0.5)
        assert painting.picture.shape == (256, 192, 3)
        body = painting.joints[:14][painting.visible[:14]]  # ears may lie beside a slim head
        at = np.round(body).astype(int)
        covered.append((painting.mask[at[:, 1], at[:, 0]] > 0).all())
    assert all(covered)


def test_models_have_the_proportions_of_people():
    for seed in range(20):
        body = model_body(np.random.default_rng(seed))
        legs = body.thigh + body.shin
        assert 2 * body.head + body.neck + body.torso + legs == pytest.approx(1, abs=0.04)
        assert 6 < 1 / (2 * body.head) < 9.5  # heads high
        assert 1.3 < legs / body.torso < 1.85


def test_scenery_depends_only_on_the_seed_and_differs():
    pictures = [make_scenery(np.random.default_rng(seed), Size(64, 48)) for seed in (0, 0, 1)]
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_mirrored_points_swap_left_and_right():
    assert MIRROR[5] == 6  # shoulders
    assert MIRROR[POINT_GROUPS["feet"]].tolist() == [20, 21, 22, 17, 18, 19]
    assert MIRROR[23] == 39  # ends of the jaw line
    assert MIRROR[23 + 36] == 23 + 45  # outer corners of the eyes
    assert MIRROR[23 + 30] == 23 + 30  # tip of the nose
    assert MIRROR[91] == 112  # wrists


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(InputError, match="pose-data"):
        read_scenes(tmp_path)


def test_the_command_paints_what_is_missing(folder, tmp_path):
    command = ["mini", "pose-data", "--folder", str(tmp_path), "--shards", "1"]
    command += ["--scenes", str(COUNT)]
    assert main(command) == 0
    painted = tmp_path / "scenes-00000" / "pictures.npy"
    assert painted.read_bytes() == (folder / "scenes-00000" / "pictures.npy").read_bytes()
    before = painted.stat().st_mtime_ns
    assert main(command) == 0
    assert painted.stat().st_mtime_ns == before


# Batches.


def test_training_crops_are_those_of_the_estimator():
    frame = np.random.default_rng(0).integers(0, 256, (160, 100, 3), np.uint8)
    box = np.array([10.0, 20.0, 50.0, 140.0])
    warped = cv2.warpAffine(frame, batches.crop_matrix(box, (128, 96)), (96, 128))
    ours = batches.normalised(warped).transpose(2, 0, 1)
    np.testing.assert_allclose(ours, crop(frame, crop_windows(box, 96, 128)[0], 96, 128), atol=1e-5)


def test_points_move_with_their_crop(scenes, monkeypatch):
    monkeypatch.setattr(batches, "EMPTY", 0.0)
    crops, xy, visible = batches.estimator_batch(
        scenes, np.random.default_rng(0), batch=8, size=(128, 96)
    )
    assert crops.shape == (8, 3, 128, 96)
    assert visible.any(1).all()
    assert (xy[visible] >= 0).all()
    assert (xy[visible] < torch.tensor([96, 128])).all()


def test_no_point_is_visible_in_a_crop_without_a_person(scenes, monkeypatch):
    monkeypatch.setattr(batches, "EMPTY", 1.0)
    crops, _, visible = batches.estimator_batch(
        scenes, np.random.default_rng(0), batch=4, size=(64, 32)
    )
    assert not visible.any()
    assert crops.isfinite().all()


def test_letterboxed_boxes_stay_in_the_picture(scenes):
    images, boxes = batches.detector_batch(scenes, np.random.default_rng(0), batch=16, size=64)
    assert images.shape == (16, 3, 64, 64)
    assert images.min() >= 0
    assert images.max() <= 255
    assert (boxes >= 0).all()
    assert (boxes <= 64).all()
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


# Errors.


def test_cells_that_must_find_a_box_decode_to_it_as_the_detector_reads_them():
    boxes = torch.tensor([[[20.0, 30.0, 90.0, 150.0], [100.0, 10.0, 130.0, 40.0]]])
    grid, stride = losses.cells(160)
    person = losses.assign(boxes, grid, stride)[0]
    assert set(person.tolist()) == {-1, 0, 1}
    rows = torch.zeros(1, len(grid), 85)
    for cell in torch.nonzero(person >= 0)[:, 0]:
        left, top, right, bottom = boxes[0, person[cell]]
        centre = torch.stack([left + right, top + bottom]) / 2
        rows[0, cell, :2] = centre / stride[cell] - grid[cell]
        rows[0, cell, 2:4] = torch.log(torch.stack([right - left, bottom - top]) / stride[cell])
        rows[0, cell, 4:6] = 1
    ours = losses.decode_boxes(rows, grid, stride)[0][person >= 0]
    torch.testing.assert_close(ours, boxes[0, person[person >= 0]], atol=1e-3, rtol=0)
    theirs = decode_cells(rows[0].numpy(), grid_cells(160, 160), 0.5)
    np.testing.assert_allclose(np.sort(theirs.boxes, 0), np.sort(ours.numpy(), 0), atol=1e-3)


def test_generalised_iou_is_one_for_the_same_box_and_falls_with_distance():
    box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    values = [float(losses.generalised_iou(box, box + shift)) for shift in (0.0, 1.0, 4.0, 8.0)]
    assert values[0] == pytest.approx(1)
    assert values[1] == pytest.approx(1 / 7 - 2 / 9)
    assert values == sorted(values, reverse=True)


def test_place_error_is_least_at_the_point_and_ignores_hidden_ones():
    xy = torch.tensor([[[10.0, 20.0]]]).repeat(1, 133, 1)
    visible = torch.ones(1, 133, dtype=torch.bool)
    visible[:, 3] = False
    bins = [torch.arange(64.0), torch.arange(128.0)]

    def place(x: float) -> torch.Tensor:
        logits = [-((b - 2 * at) ** 2) / 8 for b, at in zip(bins, (x, 20.0), strict=True)]
        tiled = [value.repeat(1, 133, 1) for value in logits]
        tiled[0][:, 3] = 100 * torch.rand(64)  # whatever a hidden point has, no matter where
        return losses.keypoint_error((*tiled, torch.zeros(1, 133)), xy, visible)[0]

    assert place(10.0) < place(11.0) < place(14.0)


def test_overlaps_are_shares_of_the_union():
    box = np.array([0.0, 0, 2, 2])
    others = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(overlaps(box, others), [1, 1 / 3, 0])


def test_no_box_counts_for_two_people():
    people = np.array([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]])
    assert matches(people, np.array([[0.0, 0, 10, 9], [0, 0, 10, 10]])) == {0: 1, 1: 0}
    assert matches(people, people[1:2]) == {1: 0}
    assert matches(people, np.zeros((0, 4))) == {}
    assert matches(np.zeros((0, 4)), np.zeros((0, 4))) == {}


# Training.


@pytest.mark.parametrize(
    ("train", "config", "name"),
    [
        (training.train_detector, TINY_DETECTOR, "detector"),
        (training.train_estimator, TINY_ESTIMATOR, "estimator"),
    ],
)
def test_an_interrupted_run_ends_with_the_same_networks(
    train, config, name, scenes, tmp_path, monkeypatch
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    straight = train(config, whole, scenes).state_dict()
    untrained = getattr(training, f"build_{name}")(config).state_dict()
    assert any(not torch.equal(straight[key], untrained[key]) for key in straight)

    def stop(run, values):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            train(replace(config, save_every=1, report_every=3), parts, scenes)
    resumed = train(config, parts, scenes).state_dict()
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)
    assert len((whole / f"{name}.jsonl").read_text().splitlines()) == 2


def test_a_size_that_the_strides_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match="multiples of 32"):
        replace(TINY_ESTIMATOR, size=(60, 32))


# Export.


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    """Add noise to all weights, so that every layer, batch norms included, has an effect."""
    generator = torch.Generator().manual_seed(1)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value += 0.02 * torch.randn(value.shape, generator=generator)
    return network.eval()


def test_folding_does_not_change_the_outputs():
    network = randomised(training.build_estimator(TINY_ESTIMATOR))
    crops = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        for ours, theirs in zip(export.deployed(network)(crops), network(crops), strict=True):
            assert float((ours - theirs).abs().max()) < 0.02  # weights of half precision


def test_written_detector_gives_what_the_network_gives(tmp_path):
    network = export.deployed(randomised(training.build_detector(TINY_DETECTOR)))
    export.write_detector(network, tmp_path / "detector.onnx", size=64)
    images = torch.rand(1, 3, 64, 64) * 255
    (ours,) = session(tmp_path / "detector.onnx").run(None, {"images": images.numpy()})
    assert ours.shape == (1, 84, 85)
    np.testing.assert_allclose(ours, network(images), atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_written_estimator_gives_what_the_network_gives(tmp_path, count):
    network = export.deployed(randomised(training.build_estimator(TINY_ESTIMATOR)))
    export.write_estimator(network, tmp_path / "estimator.onnx")
    crops = torch.randn(count, 3, 64, 32)
    outputs = session(tmp_path / "estimator.onnx").run(None, {"input": crops.numpy()})
    assert [values.shape for values in outputs] == [(count, 133, 64), (count, 133, 128)]
    for ours, theirs in zip(outputs, network(crops), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_export_of_an_untrained_pair_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"detector\.pt"):
        export.export_pair(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["network", "tensors"])
def test_checkpoints_of_early_versions_or_other_settings_are_refused(tmp_path, name):
    state = training.build_detector(TINY_DETECTOR).state_dict()  # "network": the old entry
    save_checkpoint(tmp_path / "detector.pt", {name: state, "step": 4})
    match = r"detector\.pt does not hold this detector \(.*train the detector again in a new folder"
    with pytest.raises(WeightsError, match=match):
        export.export_pair(tmp_path, tmp_path / "files")
    assert not (tmp_path / "files").exists()


# Starting from an exported file.


@pytest.mark.parametrize("name", ["detector", "estimator"])
def test_a_started_network_gives_what_the_exported_file_gives(tmp_path, name):
    config = TINY_DETECTOR if name == "detector" else TINY_ESTIMATOR
    build = getattr(training, f"build_{name}")
    trained = export.deployed(randomised(build(config)))
    path, examples = tmp_path / "network.onnx", torch.randn(3, 3, *config.size)
    if name == "detector":
        export.write_detector(trained, path, size=config.size[0])
    else:
        export.write_estimator(trained, path)
    started = build(replace(config, seed=9))
    start.start_from(started, path, examples)
    with torch.no_grad():
        results = started(examples[:1]), trained(examples[:1])
        pairs = zip(*results, strict=True) if name == "estimator" else [results]
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
        if name == "detector":  # the norms pass the examples unchanged while they train, too
            trained_rows, rows = trained.rows(examples), started.train().rows(examples)
            np.testing.assert_allclose(rows, trained_rows, atol=1e-3)
    other = training.build_detector(replace(TINY_DETECTOR, widths=(4, 4, 8, 8, 16)))
    with pytest.raises(WeightsError, match="does not hold this network"):
        start.start_from(other, path, torch.randn(1, 3, 64, 64))


def test_the_command_starts_from_exported_files(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "DETECTOR", TINY_DETECTOR)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scenes-00000").symlink_to(folder / "scenes-00000")
    network = export.deployed(randomised(training.build_detector(TINY_DETECTOR)))
    export.write_detector(network, tmp_path / "pose_detector.onnx", size=64)
    command = ["mini", "detector", "--folder", str(tmp_path / "run"), "--steps", "1"]
    assert main([*command, "--start", str(tmp_path)]) == 0
    assert (tmp_path / "run" / "detector.pt").exists()


# The files that ship.


def test_the_command_reports_both_tests(caplog):
    caplog.set_level("INFO")
    assert main(["mini", "pose-test", "--folder", str(MINI_FOLDER), "--count", "3"]) == 0
    lines = caplog.messages
    assert {"one figure", "any place and number"} <= set(lines)
    assert sum(line.startswith("body   right within 0.1 torso") for line in lines) == 2


DETECTOR, ESTIMATOR = MINI_FOLDER / "pose_detector.onnx", MINI_FOLDER / "pose_estimator.onnx"


def arrays(values):
    return [(value.name, value.type, value.shape) for value in values]


def test_shipped_files_are_small():
    assert DETECTOR.stat().st_size + ESTIMATOR.stat().st_size <= 4_000_000


def test_shipped_detector_has_the_tensors_of_yolox():
    network = session(DETECTOR)
    assert arrays(network.get_inputs()) == [("images", "tensor(float)", [1, 3, 160, 160])]
    assert arrays(network.get_outputs()) == [("output", "tensor(float)", [1, 525, 85])]
    (output,) = network.run(None, {"images": np.full((1, 3, 160, 160), 114, np.float32)})
    assert ((output[..., 4:] >= 0) & (output[..., 4:] <= 1)).all()
    assert (output[..., 6:] == 0).all()  # people are all it finds
    assert (output[..., 4] * output[..., 5] < 0.3).all()  # and nobody in plain grey


def test_shipped_estimator_has_the_tensors_of_dwpose():
    network = session(ESTIMATOR)
    assert arrays(network.get_inputs()) == [("input", "tensor(float)", ["batch", 3, 128, 96])]
    assert arrays(network.get_outputs()) == [
        ("simcc_x", "tensor(float)", ["batch", 133, 192]),
        ("simcc_y", "tensor(float)", ["batch", 133, 256]),
    ]
    heights = network.run(None, {"input": np.zeros((2, 3, 128, 96), np.float32)})
    assert [values.shape for values in heights] == [(2, 133, 192), (2, 133, 256)]
    assert all(((values >= 0) & (values <= 1)).all() for values in heights)


@pytest.mark.parametrize(("path", "name"), [(DETECTOR, "images"), (ESTIMATOR, "input")])
def test_opencv_runs_the_shipped_files_like_onnxruntime(path, name):
    reference = session(path)
    sides = reference.get_inputs()[0].shape[2:]
    pixels = np.random.default_rng(0).normal(0, 1, (1, 3, *sides)).astype(np.float32)
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(pixels)
    outputs = network.forward([output.name for output in reference.get_outputs()])
    for ours, theirs in zip(outputs, reference.run(None, {name: pixels}), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_shipped_pair_finds_people_it_was_not_trained_on():
    scores = score_pair(MINI_FOLDER, list(held_out_scenes(12)))
    assert scores.people == 12
    assert scores.recall == 1
    assert scores.precision == 1
    assert scores.right["body"] >= 0.95
    assert len(scores.lines()) == 7


def test_shipped_pair_finds_models_before_walls_and_scenery():
    scenes = [studio_scene(np.random.default_rng((HELD_OUT, 2, index))) for index in range(16)]
    scores = score_pair(MINI_FOLDER, scenes)
    assert scores.recall >= 0.9  # the pair before: 0.71
    assert scores.right["body"] >= 0.75  # the pair before: 0.45
