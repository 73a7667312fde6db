"""Rows of a step from prepared clips: their parts, their dependence on the seed, and errors."""

import logging
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from core.dataset.clips_material import SIZE, MeanToken, character
from PIL import Image

from animate_anyone.dataset.content import content_of
from animate_anyone.dataset.manifest import (
    ClipDataset,
    ClipEntry,
    Manifest,
    Span,
    clip_folder,
    frame_path,
)
from animate_anyone.dataset.tracks import Track, read_track, write_track
from animate_anyone.errors import InputError, MediaError
from animate_anyone.pose.drawing.draw import draw_frame
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.pose.skeleton.part_boxes import BoxRule
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.sources.batch import Draw
from animate_anyone.training.sources.find import kind_of
from animate_anyone.training.sources.placed import Crop
from animate_anyone.training.sources.prepared import ClipSource
from animate_anyone.training.stages import Choices
from animate_anyone.training.stages import source_of as open_source
from animate_anyone.types import Points, Size

STAGE1 = Draw(seed=7, examples=4, frames=3, consecutive=False)
STAGE2 = Draw(seed=7, examples=4, frames=5, consecutive=True)
LENGTHS = {"a": ((0, 12),), "b": ((0, 6), (8, 20)), "c": ((2, 9),), "d": ((0, 16),)}
TELLING = (slice(0, 4), slice(0, 4))  # corner of frames in which their number is painted


def entry_of(name, fps=30.0, split="train"):
    spans = tuple(Span(*span) for span in LENGTHS[name])
    return ClipEntry(
        name=name, file=f"{name}.mp4", split=split, fps=fps, frames=spans[-1].stop, spans=spans
    )


def write_set(folder, cached=(), entries=None):
    """Write a data set in which frame k of clip i is marked with (10 i, k)."""
    entries = entries or tuple(entry_of(name) for name in LENGTHS)
    for index, entry in enumerate(entries):
        clip = clip_folder(folder, entry.name)
        (clip / "frames").mkdir(parents=True)
        pictures, pose = character(index, 20)
        for number in entry.usable.tolist():
            picture = pictures[number].copy()
            picture[TELLING] = (10 * index, number, 0)
            Image.fromarray(picture).save(frame_path(clip, number, "png"))
        bodies = body_clip(pose.canvas, pose.body.xy, pose.body.confidence)  # quick to draw
        write_track(clip / "keypoints.npz", Track(bodies, np.zeros(20, bool)))
        marks = np.zeros((20, 2, 8, 8), np.float16)
        marks[:, 0], marks[:, 1] = index, np.arange(20)[:, None, None]
        np.save(clip / "latents.npy", marks)
        np.save(clip / "tokens.npy", marks[:, :, 0, 0][:, None])
    Manifest(
        size=SIZE,
        fit="pad",
        source="/clips",
        pictures="png",
        min_frames=6,
        poses="kept keypoints",
        cached=dict.fromkeys(cached, "hash"),
        clips=entries,
    ).write(folder)
    return ClipDataset.open(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return a data set without caches."""
    return write_set(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """Return a data set with latents and tokens."""
    return write_set(tmp_path_factory.mktemp("encoded"), ("latents", "tokens"))


def source_of(dataset, **options):
    return ClipSource(dataset, image_side=32, **options)


def marks_of(batch):
    """Return clip and frame of references (b, 2) and targets (b, f, 2)."""
    if batch.encoded:
        return batch.reference[:, :, 0, 0].int(), batch.targets[..., 0, 0].transpose(1, 2).int()
    reference, targets = batch.reference[:, :2, 1, 1], batch.targets[:, :2, :, 1, 1]
    scale = torch.tensor([10, 1])
    return reference.int() // scale, targets.transpose(1, 2).int() // scale


def many(source, draw, steps=8):
    """Return the marks of many steps together."""
    batches = [source.batch(draw, step, range(draw.examples)) for step in range(steps)]
    references, targets = zip(*map(marks_of, batches), strict=True)
    return torch.cat(references), torch.cat(targets)


def equal(first, second):
    return all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in (
            (getattr(first, field.name), getattr(second, field.name)) for field in fields(first)
        )
    )


def row_of(batch, row):
    parts = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return replace(
        batch,
        **{n: v[row : row + 1] for n, v in parts.items() if isinstance(v, torch.Tensor | tuple)},
    )


@pytest.mark.parametrize("draw", [STAGE1, STAGE2], ids=["stage1", "stage2"])
@pytest.mark.parametrize("kind", ["dataset", "encoded"])
def test_a_row_depends_only_on_seed_step_and_number(kind, draw, request):
    dataset = request.getfixturevalue(kind)
    whole = source_of(dataset).batch(draw, 3, range(4))
    for rows in ((2,), (3, 0), (1, 2, 3)):
        asked = source_of(dataset).batch(draw, 3, rows)
        for place, row in enumerate(rows):
            assert equal(row_of(asked, place), row_of(whole, row))
    assert not equal(whole, source_of(dataset).batch(draw, 4, range(4)))
    assert not equal(whole, source_of(dataset).batch(replace(draw, seed=8), 3, range(4)))


@pytest.mark.parametrize("draw", [STAGE1, STAGE2], ids=["stage1", "stage2"])
def test_batches_have_the_promised_shapes(dataset, encoded, draw):
    f = draw.frames
    pixels = source_of(dataset).batch(draw, 0, range(4))
    assert not pixels.encoded
    assert (pixels.reference.shape, pixels.reference.dtype) == ((4, 3, 64, 64), torch.uint8)
    assert (pixels.targets.shape, pixels.targets.dtype) == ((4, 3, f, 64, 64), torch.uint8)
    assert (pixels.poses.shape, pixels.poses.dtype) == ((4, f, 3, 64, 64), torch.uint8)
    assert pixels.thumbs is not None
    assert (pixels.thumbs.shape, pixels.thumbs.dtype) == ((4, 3, 32, 32), torch.uint8)
    assert pixels.tokens is None
    assert pixels.masks is None
    assert pixels.names == tuple("abcd"[clip] for clip, _ in marks_of(pixels)[0].tolist())

    latents = source_of(encoded).batch(draw, 0, range(4))
    assert latents.encoded
    assert (latents.reference.shape, latents.reference.dtype) == ((4, 2, 8, 8), torch.float32)
    assert (latents.targets.shape, latents.targets.dtype) == ((4, 2, f, 8, 8), torch.float32)
    assert latents.tokens is not None
    assert (latents.tokens.shape, latents.tokens.dtype) == ((4, 1, 2), torch.float32)
    assert latents.thumbs is None
    assert torch.equal(latents.tokens[:, 0], latents.reference[:, :, 0, 0])
    assert torch.equal(latents.poses, pixels.poses)


def test_latents_alone_come_with_thumbs(tmp_path):
    batch = source_of(write_set(tmp_path, ("latents",))).batch(STAGE1, 0, (0, 1))
    assert batch.encoded
    assert batch.thumbs is not None
    assert batch.tokens is None


def test_cached_tokens_are_left_aside_if_the_run_trains_an_image_encoder(encoded, caplog):
    choices = Choices(folder=encoded.folder, data=encoded.folder)
    config = get_recipe("aa-mini", 1)
    batch = open_source(choices, config).batch(STAGE1, 0, range(4))
    assert batch.tokens is None
    assert batch.thumbs is not None
    assert batch.encoded
    assert "are left aside: with train_image_encoder the run has an image encoder" in caplog.text
    caplog.clear()
    frozen = open_source(choices, replace(config, train_image_encoder=False))
    assert frozen.batch(STAGE1, 0, range(4)).tokens is not None
    assert not caplog.text


def test_cached_and_uncached_sets_draw_the_same_frames(dataset, encoded):
    for draw in (STAGE1, STAGE2):
        for ours, theirs in zip(
            many(source_of(dataset), draw, 3), many(source_of(encoded), draw, 3), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_stage_1_draws_different_usable_frames_of_one_clip(encoded):
    references, targets = many(source_of(encoded), STAGE1)
    assert (targets[:, :, 0] == references[:, None, 0]).all()
    for reference, row in zip(references.tolist(), targets[:, :, 1].tolist(), strict=True):
        numbers = [reference[1], *row]
        assert len(set(numbers)) == 4
        assert set(numbers) <= set(encoded.clips[reference[0]].usable.tolist())
    assert set(references[:, 0].tolist()) == {0, 1, 2, 3}


def test_stage_2_draws_consecutive_frames_of_one_span(encoded):
    references, targets = many(source_of(encoded), STAGE2, 12)
    strides = set()
    for (clip, reference), row in zip(references.tolist(), targets.tolist(), strict=True):
        assert {mark[0] for mark in row} == {clip}
        entry, numbers = encoded.clips[clip], [mark[1] for mark in row]
        steps = set(np.diff(numbers).tolist())
        assert len(steps) == 1
        strides |= steps
        assert any(s.start <= numbers[0] and numbers[-1] < s.stop for s in entry.spans)
        assert reference in entry.usable
    assert strides == {1, 2}


def test_every_place_of_every_span_is_drawn(tmp_path):
    dataset = write_set(tmp_path, ("latents", "tokens"), (entry_of("b"),))
    draw = replace(STAGE2, examples=60, frames=3)
    _, targets = many(source_of(dataset, strides=(1, 1)), draw, 1)
    places = set(range(0, 4)) | set(range(8, 18))
    assert set(targets[:, 0, 1].tolist()) == places


@pytest.mark.parametrize("draw", [STAGE1, STAGE2], ids=["stage1", "stage2"])
def test_reference_and_targets_come_from_one_span(encoded, draw):
    """After a cut, another person may be in the picture."""
    draw = replace(draw, examples=12, references=2, reference_dropout=0.0)
    seen = set()
    for step in range(4):
        batch = source_of(encoded).batch(draw, step, range(12))
        references, targets = marks_of(batch)
        further, _ = marks_of(replace(batch, reference=batch.extras[0].reference))
        for (clip, first), row, other in zip(
            references.tolist(), targets.tolist(), further.tolist(), strict=True
        ):
            spans = encoded.clips[clip].spans
            (span,) = (span for span in spans if span.start <= first < span.stop)
            numbers = [mark[1] for mark in [*row, other]]
            assert all(span.start <= number < span.stop for number in numbers)
            seen.add((clip, span.start))
    assert {(1, 0), (1, 8)} <= seen


@pytest.mark.parametrize("draw", [STAGE1, STAGE2], ids=["stage1", "stage2"])
def test_targets_keep_their_distance_from_the_reference(encoded, draw, caplog):
    draw = replace(draw, examples=12, distance=4)
    references, targets = many(source_of(encoded), draw, 4)
    gaps = (targets[:, :, 1] - references[:, None, 1]).abs()
    assert int(gaps.min()) == 4
    assert "1 of 4 clips" not in caplog.text or "4 or more from the reference" in caplog.text
    assert {tuple(row.sign().tolist()) for row in gaps} == {(1,) * draw.frames}
    for (clip, first), row in zip(references.tolist(), targets.tolist(), strict=True):
        spans = encoded.clips[clip].spans
        assert any(s.start <= min(first, row[0][1]) and row[-1][1] < s.stop for s in spans)
    with pytest.raises(InputError, match="none of 4 clips has as many frames in one span, 16 or"):
        source_of(encoded).batch(replace(draw, distance=16), 0, (0,))


def test_a_crop_moves_joints_with_the_picture():
    pictures, pose = character(3, 1)
    crop = Crop(8, 16, Size(32, 32), SIZE)
    found = crop.picture(np.where(draw_frame(pose, 0) > 0, np.uint8(255), np.uint8(0)))
    ours = draw_frame(crop.pose(pose), 0).max(-1) > 0
    assert found.shape == pictures[0].shape
    # Lines keep their width, so those of the cropped skeleton lie on the enlarged ones.
    assert ours.sum() > 50
    assert (found.max(-1) > 0)[ours].mean() > 0.95


def test_crops_are_of_the_share_that_is_allowed_and_need_pictures(dataset, encoded):
    draw = replace(STAGE1, least_crop=0.5)
    batch, again = (source_of(dataset).batch(draw, 0, range(4)) for _ in range(2))
    assert equal(batch, again)
    assert batch.names == source_of(dataset).batch(STAGE1, 0, range(4)).names
    assert not torch.equal(batch.targets, source_of(dataset).batch(STAGE1, 0, range(4)).targets)
    rng = np.random.default_rng(1)
    sizes = {Crop.drawn(SIZE, 0.5, rng).size for _ in range(99)}
    assert 32 <= min(size.width for size in sizes) < 36
    assert max(size.height for size in sizes) > 60
    with pytest.raises(InputError, match=r"least_crop got 0\.5, but .* has cached latents"):
        source_of(encoded).batch(draw, 0, range(4))


def test_the_configuration_sets_the_strides(encoded):
    choices = Choices(folder=encoded.folder, data=encoded.folder)
    config = replace(get_recipe("aa-mini", 2), least_stride=2, most_stride=3)
    _, targets = many(open_source(choices, config), replace(STAGE2, frames=3))
    assert set(np.diff(targets[:, :, 1].numpy()).ravel().tolist()) == {2, 3}


def test_fast_clips_are_drawn_at_the_usual_speed(tmp_path):
    dataset = write_set(tmp_path, ("latents", "tokens"), (entry_of("d", fps=59.94),))
    _, targets = many(source_of(dataset, strides=(1, 1)), replace(STAGE2, frames=4), 6)
    assert set(np.diff(targets[:, :, 1].numpy()).ravel().tolist()) == {2}


def test_poses_are_those_of_the_targets(dataset):
    batch = source_of(dataset).batch(STAGE2, 1, range(4))
    _, targets = marks_of(batch)
    for row in range(4):
        for frame, (clip, number) in enumerate(targets[row].tolist()):
            pose = dataset.keypoints(dataset.clips[clip])
            drawn = torch.from_numpy(draw_frame(pose, number)).permute(2, 0, 1)
            assert torch.equal(batch.poses[row, frame], drawn)


def test_thumbs_show_the_whole_reference(dataset):
    batch = source_of(dataset).batch(STAGE1, 0, range(4))
    assert batch.thumbs is not None
    of_thumbs, of_references = (
        MeanToken().encode(pictures.float()) for pictures in (batch.thumbs, batch.reference)
    )
    torch.testing.assert_close(of_thumbs, of_references, atol=1.0, rtol=0)


def test_clips_that_are_too_short_are_skipped_with_a_warning(encoded, caplog):
    source = source_of(encoded)
    with caplog.at_level(logging.WARNING):
        for step in range(6):
            references, _ = marks_of(source.batch(replace(STAGE2, frames=12), step, range(4)))
            assert set(references[:, 0].tolist()) <= {0, 1, 3}
    assert len(caplog.records) == 1
    assert "1 of 4 clips are left out, without 12 frames in a row: c" in caplog.text
    with pytest.raises(InputError, match="frames got 17; none of 4 clips"):
        source.batch(replace(STAGE2, frames=17), 0, (0,))
    with pytest.raises(InputError, match="beside the reference"):
        source.batch(replace(STAGE1, frames=18), 0, (0,))


@pytest.mark.parametrize("part", ["frames", "keypoints.npz"])
def test_an_unreadable_clip_is_replaced_and_logged_once(tmp_path, part, caplog):
    dataset = write_set(tmp_path)
    whole = {step: source_of(dataset).batch(STAGE1, step, range(4)) for step in range(5)}
    clip = clip_folder(tmp_path, "b")
    for path in (clip / part).glob("*") if part == "frames" else (clip / part,):
        path.write_bytes(path.read_bytes()[:100])

    source, seen = source_of(dataset), set()
    with caplog.at_level(logging.WARNING):
        for step, before in whole.items():
            batch = source.batch(STAGE1, step, range(4))
            clips = marks_of(before)[0][:, 0].tolist()
            for row, was in enumerate(clips):
                now = int(marks_of(batch)[0][row, 0])
                assert equal(row_of(batch, row), row_of(before, row)) == (was != 1)
                assert now != 1
                seen.add(now)
    assert seen == {0, 2, 3}
    assert caplog.text.count("another clip is drawn instead of b") == 1
    assert equal(source_of(dataset).batch(STAGE1, 4, range(4)), batch)


def test_a_run_ends_only_if_no_clip_can_be_read(tmp_path):
    dataset = write_set(tmp_path)
    for name in LENGTHS:
        (clip_folder(tmp_path, name) / "keypoints.npz").unlink()
    with pytest.raises(MediaError, match="none of its 4 clips"):
        source_of(dataset).batch(STAGE1, 0, (0,))


def test_a_split_without_clips_is_refused(dataset):
    with pytest.raises(InputError, match="no clip for test"):
        source_of(dataset, split="test")


def test_only_clips_of_the_split_are_drawn(tmp_path):
    entries = tuple(entry_of(n, split="test" if n == "c" else "train") for n in LENGTHS)
    dataset = write_set(tmp_path, ("latents", "tokens"), entries)
    references, _ = many(source_of(dataset), STAGE1)
    assert set(references[:, 0].tolist()) == {0, 1, 3}
    references, _ = many(source_of(dataset, split="test"), STAGE1, 2)
    assert set(references[:, 0].tolist()) == {2}


def test_invalid_strides_are_refused(dataset):
    for strides in ((0, 1), (3, 2)):
        with pytest.raises(InputError, match="strides"):
            source_of(dataset, strides=strides)


def test_the_content_of_a_data_set_tells_whether_it_changed(tmp_path):
    first = write_set(tmp_path / "first", ("latents",))
    same = write_set(tmp_path / "same", ("latents",))
    before = content_of(first)
    assert content_of(same) == before
    track = clip_folder(same.folder, "b") / "keypoints.npz"
    found = read_track(track)
    found.pose.body.xy[3, 0, 0] += 1
    write_track(track, found)
    moved = content_of(same)
    assert moved != before
    latents = clip_folder(same.folder, "c") / "latents.npy"
    np.save(latents, np.load(latents) + 1)
    assert content_of(same) not in (before, moved)
    choices = Choices(folder=tmp_path, data=first.folder)
    assert kind_of(choices).content(choices) == before
    shards = tmp_path / "run" / "data" / "frames-0"
    shards.mkdir(parents=True)
    drawn = Choices(folder=tmp_path / "run")
    assert kind_of(drawn).content(drawn) == ""
    np.save(shards / "latents.npy", np.zeros(9))
    one = kind_of(drawn).content(drawn)
    np.save(shards / "latents.npy", np.ones(9))
    assert kind_of(drawn).content(drawn) != one


def test_batches_can_be_pinned(dataset, encoded, monkeypatch):
    """So that a card copies them while it computes."""
    seen = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: seen.append(tensor) or tensor)
    draw = replace(STAGE1, references=2, reference_dropout=0.0)
    for source in (dataset, encoded):
        batch = source_of(source).batch(draw, 0, range(2))
        seen.clear()
        assert equal(batch.pin_memory(), batch)
        parts = [batch, *batch.extras]
        tensors = [v for part in parts for v in vars(part).values() if isinstance(v, torch.Tensor)]
        assert {id(tensor) for tensor in seen} == {id(tensor) for tensor in tensors}


def hands_in(folder, *names, confidence=0.9):
    """Give clips hands of this confidence; return the data set opened again."""
    for name in names:
        path = clip_folder(folder, name) / "keypoints.npz"
        pose = read_track(path).pose
        hand = np.array([[10.0 + j, 12.0 + 2 * (j % 3)] for j in range(21)])
        points = Points(
            xy=np.tile(hand, (20, 1, 1, 1)), confidence=np.full((20, 1, 21), confidence)
        )
        write_track(path, Track(replace(pose, left_hand=points), np.zeros(20, bool)))
    return ClipDataset.open(folder)


@pytest.mark.parametrize("cached", [(), ("latents", "tokens")], ids=["pictures", "cached"])
def test_further_references_are_usable_frames_of_the_same_clip(tmp_path, cached):
    source = source_of(write_set(tmp_path, cached))
    for draw in (STAGE1, STAGE2):
        several = replace(draw, references=3, reference_dropout=0.0)
        batch, plain = (source.batch(each, 1, range(4)) for each in (several, draw))
        assert torch.equal(batch.targets, plain.targets)
        assert torch.equal(batch.reference, plain.reference)
        firsts, targets = marks_of(batch)
        for extra in batch.extras:
            marks, _ = marks_of(replace(batch, reference=extra.reference))
            assert torch.equal(marks[:, 0], firsts[:, 0])
            for row, (clip, number) in enumerate(marks.tolist()):
                assert not extra.present[row] or number != firsts[row, 1]
                assert draw.consecutive or number not in targets[row, :, 1]
                assert number in source.entries[clip].usable
        assert (batch.extras[0].tokens is None) == (not cached)
        assert (batch.extras[0].thumbs is None) == bool(cached)


def test_hands_of_real_clips_have_boxes(tmp_path, caplog):
    write_set(tmp_path)
    dataset = hands_in(tmp_path, "a", "d")
    draw = replace(STAGE1, hands=BoxRule(), faces=None)
    source = source_of(dataset)
    with caplog.at_level(logging.WARNING):
        batches = [source.batch(draw, step, range(4)) for step in range(3)]
    (warning,) = caplog.messages
    assert "2 of 4 clips do not show a hand with all of its points" in warning
    assert "hand_weight has no effect on them: b, c" in warning
    for batch in batches:
        assert batch.hands.shape[:3] == (4, 1, 3)
        for name, row in zip(batch.names, batch.hands, strict=True):
            assert bool(row.any()) == (name in "ad")


def test_the_figure_of_real_clips_lies_near_their_limbs(dataset):
    source = source_of(dataset)
    assert source.batch(STAGE1, 0, range(2)).masks is None
    near, far = (
        source.batch(replace(STAGE1, figure=margin), 0, range(2)) for margin in (0.04, 0.1)
    )
    h, w = (side // 8 for side in near.poses.shape[3:])
    assert near.masks.shape == (2, 1, 3, h, w)
    assert 0 < near.masks.mean() < far.masks.mean() < 1
    assert (far.masks >= near.masks).all()
    # The drawn skeleton lies inside.
    drawn = near.poses.amax(2).reshape(2, 3, h, 8, w, 8).amax((3, 5)) > 127
    assert far.masks[:, 0][drawn].min() > 0


def test_clips_without_any_confident_hand_or_face_are_refused(tmp_path):
    write_set(tmp_path)
    source = source_of(hands_in(tmp_path, "a", confidence=0.4))
    for part, rule in (("hand", "hands"), ("face", "faces")):
        message = rf"{part}_weight is above 0, but none of the 4 clips of .* shows a {part} with"
        with pytest.raises(InputError, match=message):
            source.batch(replace(STAGE1, **{rule: BoxRule()}), 0, [0])
    lower = source.batch(replace(STAGE1, hands=BoxRule(threshold=0.3)), 0, range(4))
    assert lower.hands is not None


def test_skeletons_are_dimmed_for_weights_that_were_trained_so(tmp_path):
    write_set(tmp_path)
    dataset = hands_in(tmp_path, *LENGTHS, confidence=0.6)
    plain, dim = (source_of(dataset, dimmed=dimmed) for dimmed in (False, True))
    first, second = (source.batch(STAGE1, 0, range(4)).poses for source in (plain, dim))
    assert (second <= first).all()
    assert (second < first).any()
