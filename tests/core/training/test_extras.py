"""Several references per example, and boxes around hands and faces: what each source gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from core.training.run_tiny import PRESET

from animate_anyone.errors import ConfigError, InputError
from animate_anyone.pose.skeleton.part_boxes import BoxRule
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.losses import BatchFacts, total_loss
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.sources.batch import Draw
from animate_anyone.training.sources.extras import described, described_pictures, far_apart
from animate_anyone.training.sources.own_clip import OwnClip
from animate_anyone.training.sources.shards import Shards, write_shard
from animate_anyone.types import Size
from plain_encoders import MeanAutoencoder

DRAW = Draw(seed=3, examples=4, frames=2, consecutive=False)
SEVERAL = replace(DRAW, references=3, reference_dropout=0.0)
RULE = BoxRule()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shard of single frames of all kinds, 6 of each of 3 characters."""
    folder = tmp_path_factory.mktemp("shards")
    facts = {"clips": 3, "frames": 6, "consecutive": False, "size": Size(64, 64), "cast": "kinds"}
    write_shard(folder / "shard", MeanAutoencoder(), seed=1, **facts)
    return folder


def test_frames_far_apart_in_pose_are_chosen_first():
    poses = np.array([[0.0], [1.0], [10.0], [9.0], [-6.0]])
    assert far_apart(poses, 0, np.array([1, 2, 3, 4]), 2).tolist() == [2, 4]
    assert far_apart(poses, 0, np.array([1]), 1).tolist() == [1]
    assert far_apart(poses, 0, np.array([], int), 0).tolist() == []


def test_poses_are_compared_without_place_and_size():
    rng = np.random.default_rng(0)
    front = rng.random((5, 2))
    back = front * [-1, 1]
    points = np.stack([front, 3 * front + 40, back])
    confidence = np.ones((3, 5))
    same, larger, turned = described(points, confidence)
    assert np.allclose(same, larger, atol=1e-4)
    assert np.linalg.norm(same - turned) > 0.1
    assert np.isfinite(described(points, np.zeros((3, 5)))).all()
    pictures = np.zeros((2, 40, 32, 3), np.uint8)
    pictures[1, :16, 16:32] = 255
    apart = described_pictures(pictures)
    assert apart.shape == (2, 2 * 2 * 3)
    assert np.count_nonzero(apart[1]) == 3


def _frames(shard_latents: np.ndarray, latents: torch.Tensor) -> list[tuple[int, int]]:
    """Return character and frame of each latent."""
    found = []
    for latent in latents.numpy():
        gaps = np.abs(shard_latents.astype(np.float32) - latent).mean((2, 3, 4))
        found.append(tuple(int(i) for i in np.unravel_index(gaps.argmin(), gaps.shape)))
    return found


def test_shards_give_further_frames_of_the_same_character(shards):
    source, stored = Shards(shards, consecutive=False), np.load(shards / "shard/latents.npy")
    batch = source.batch(SEVERAL, 5, range(4))
    assert len(batch.extras) == 2
    firsts = _frames(stored, batch.reference)
    seen = [set(_frames(stored, row.transpose(0, 1))) for row in batch.targets]
    for extra in batch.extras:
        assert extra.present == (True,) * 4
        assert extra.thumbs is not None
        for place, frame in enumerate(_frames(stored, extra.reference)):
            assert frame[0] == firsts[place][0]
            assert frame not in seen[place] | {firsts[place]}
            seen[place].add(frame)
    (row,) = (source.batch(SEVERAL, 5, [2]).extras[0].reference,)
    assert torch.equal(row[0], batch.extras[0].reference[2])


def test_a_single_reference_draws_what_it_always_drew(shards):
    source = Shards(shards, consecutive=False)
    one, several = source.batch(DRAW, 2, range(4)), source.batch(SEVERAL, 2, range(4))
    assert one.extras == ()
    for name in ("reference", "targets", "poses", "masks", "thumbs"):
        assert torch.equal(getattr(one, name), getattr(several, name))
    assert one.hands is None


def test_further_references_are_left_out_at_random(shards):
    source, some = Shards(shards, consecutive=False), replace(SEVERAL, reference_dropout=0.5)
    counts = []
    for step in range(12):
        extras = source.batch(some, step, range(4)).extras
        counts += np.sum([extra.present for extra in extras] or [[False] * 4], axis=0).tolist()
    assert set(counts) == {0, 1, 2}
    assert 0.7 < np.mean(counts) < 1.3
    most = replace(SEVERAL, references=8, frames=4)  # 6 frames: one reference, 4 targets, 1 more
    assert [extra.present for extra in source.batch(most, 0, range(4)).extras] == [(True,) * 4]


def test_an_own_clip_gives_further_frames():
    rng = np.random.default_rng(0)
    latents = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones(
        (1, 4, 4, 4), np.float32
    )
    tokens = np.zeros((5, 1, 16), np.float32)
    source = OwnClip(latents, tokens, rng.integers(0, 255, (5, 32, 32, 3)).astype(np.uint8))
    batch = source.batch(SEVERAL, 0, range(4))
    plain = source.batch(DRAW, 0, range(4))
    assert torch.equal(batch.targets, plain.targets)
    used = [batch.reference, *(extra.reference for extra in batch.extras)]
    numbers = torch.stack([part[:, 0, 0, 0] for part in (*used, *batch.targets.unbind(2))], 1)
    assert all(len(set(row)) == 5 for row in numbers.tolist())
    with pytest.raises(InputError, match="hand_weight is above 0; a clip with drawn skeletons"):
        source.batch(replace(DRAW, hands=RULE), 0, [0])


def test_shards_give_boxes_from_their_keypoints(shards, tmp_path):
    batch = Shards(shards, consecutive=False).batch(replace(DRAW, hands=RULE), 0, range(4))
    assert batch.faces is None
    assert batch.hands is not None
    assert batch.hands.shape == (4, 1, 2, 8, 8)
    assert 0 < batch.hands.mean() < 0.2
    assert 0 <= batch.hands.min() <= batch.hands.max() <= 1
    old = tmp_path / "old"
    old.mkdir()
    for file in (shards / "shard").iterdir():
        if file.stem != "points":
            (old / file.name).write_bytes(file.read_bytes())
    source = Shards(tmp_path, consecutive=False)
    assert len(source.batch(SEVERAL, 0, range(4)).extras) == 2, "poses are compared as pictures"
    with pytest.raises(InputError, match=r"face_weight is above 0, but old was drawn by an earl"):
        source.batch(replace(DRAW, faces=RULE), 0, range(4))


def test_every_cast_of_shards_is_another_one(tmp_path):
    facts = {"clips": 1, "frames": 2, "consecutive": True, "size": Size(32, 32)}
    casts = ("fronts", "kinds", "patterned")
    for cast in casts:
        write_shard(tmp_path / cast, MeanAutoencoder(), seed=1, cast=cast, **facts)
    fronts, kinds, patterned = (np.load(tmp_path / f"{cast}/latents.npy") for cast in casts)
    assert fronts.shape == kinds.shape == patterned.shape
    assert not np.array_equal(fronts, kinds)
    assert not np.array_equal(fronts, patterned)


def test_errors_inside_boxes_weigh_more():
    target, boxes = torch.zeros(1, 2, 1, 3, 3), torch.zeros(1, 1, 1, 3, 3)
    boxes[..., 0] = 9.0
    inside = target.clone()
    inside[..., 0] = 1.0
    facts = {"settings": TrainingConfig(), "schedule": None, "noisy": target, "timesteps": None}
    plain, weighed = (
        float(total_loss(inside, target, BatchFacts(**facts, masks=None, extra=extra))[0])  # type: ignore
        for extra in (None, boxes)
    )
    assert plain == pytest.approx(1 / 3)
    assert weighed == pytest.approx(10 / 12)


def test_training_sees_all_references_and_all_weights(shards, tmp_path):
    config = TrainingConfig(
        examples=2, frames=2, references=2, reference_dropout=0.0, condition_dropout=0.0,
        hand_weight=9.0, face_weight=9.0, mixed_precision="no",
    )  # fmt: skip
    trainer = Trainer(config, tmp_path, PRESET, Surroundings(cpu=True))
    ((rows, batch),) = next(iter(trainer._batches(Shards(shards, consecutive=False))))
    (extra,) = batch.extras

    def loss(**changes: object) -> float:
        return float(trainer._loss(rows, replace(batch, **changes))[0].detach())

    alone, nobody = loss(extras=()), replace(extra, present=(False, False))
    assert loss(extras=(nobody,)) == pytest.approx(alone, rel=1e-5)
    first = replace(extra, present=(True, False))
    assert len({alone, loss(), loss(extras=(first,))}) == 3
    assert len({loss(), loss(hands=None), loss(faces=None), loss(hands=None, faces=None)}) == 4


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("references", 0, "references got 0; it must be 1 or more"),
        ("references", 9, "references got 9; networks take up to 8"),
        ("reference_dropout", 1.0, "reference_dropout got 1.0; it is a share"),
        ("hand_weight", -1.0, "hand_weight got -1.0; it must be 0 or more"),
        ("face_weight", float("nan"), "face_weight got nan"),
        ("box_margin", -0.1, "box_margin got -0.1"),
        ("box_threshold", 0.0, "box_threshold got 0.0"),
        ("box_threshold", "0.5", "box_threshold got '0.5'; it must be of the same type"),
    ],
)
def test_settings_that_cannot_be_trained_with_are_refused(name, value, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**{name: value})


def test_the_recipe_of_v4_has_the_settings():
    recipe = get_recipe("aa-mini-v4", 1)
    assert (recipe.references, recipe.hand_weight > 1, recipe.face_weight > 1) == (3, True, True)
    assert get_recipe("paper", 1).references == get_recipe("aa-mini", 1).references == 1
    assert not get_recipe("aa-mini", 1).hand_weight


def test_running_clips_have_further_references_and_boxes_too(tmp_path):
    facts = {"clips": 2, "frames": 5, "consecutive": True, "size": Size(32, 32), "cast": "kinds"}
    write_shard(tmp_path / "shard", MeanAutoencoder(), seed=2, **facts)
    source = Shards(tmp_path, consecutive=True)
    draw = replace(SEVERAL, frames=3, consecutive=True, hands=RULE, faces=RULE)
    for step in range(4):
        batch = source.batch(draw, step, range(4))
        run = batch.targets.shape[2]
        assert batch.hands is not None
        assert batch.faces is not None
        assert batch.hands.shape == batch.faces.shape == (4, 1, run, 4, 4)
        assert [extra.present for extra in batch.extras] == [(True,) * 4] * 2
