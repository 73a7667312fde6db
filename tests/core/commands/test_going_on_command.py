"""`animate` with clips that go on, in pieces, and with what stays."""

import av
import numpy as np
import pytest
from core.pose import fake_models as fake
from PIL import Image

from animate_anyone.__main__ import main
from animate_anyone.animate import condition, continuing
from animate_anyone.animate.persons import places_of, regions_of
from animate_anyone.media import VideoWriter, clip_info, frames_of
from animate_anyone.pose.files.keypoints import write_keypoints
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

FRAMES = 12


@pytest.fixture
def inputs(tmp_path, tiny_bundle):
    """Return a folder with a reference and keypoints of 12 frames, and the arguments for them."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (48, 32, 3), np.uint8)).save(tmp_path / "figure.png")
    write_keypoints(
        tmp_path / "poses.json",
        body_clip(Size(64, 96), rng.uniform(10, 60, (FRAMES, 1, 18, 2))),
    )
    return tmp_path, {
        "reference": tmp_path / "figure.png",
        "poses": tmp_path / "poses.json",
        "out": tmp_path / "clip.mp4",
        "models": tiny_bundle,
        "overlap": 2,
        "device": "cpu",
        "steps": 1,
    }


def arguments(options, *more, **changes):
    flags = {**options, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return ["animate", *(f"--{name}={value}" for name, value in flags.items()), *more]


def clip_at(path, frames=4, size=Size(32, 48), fps=30):  # noqa: B008  (a frozen record)
    with VideoWriter(path, size, fps) as writer:
        writer.write(np.full((frames, size.height, size.width, 3), 90, np.uint8))
    return path


def seen_poses(monkeypatch):
    """Return a list that gets, for each piece, the numbers of the frames whose poses it has."""
    pieces, drawn = [], []
    monkeypatch.setattr(
        "animate_anyone.commands.driving.draw_frame",
        lambda clip, frame, size, **_: (
            drawn.append(frame) or np.full((size.height, size.width, 3), frame, np.uint8)
        ),
    )
    features = continuing.PoseFeatures

    def made(guider, poses):
        pieces.append(poses[:, 0, 0, 0].tolist())
        return features(guider, poses)

    monkeypatch.setattr(continuing, "PoseFeatures", made)
    return pieces


def test_a_clip_in_pieces_has_all_frames_and_says_so(inputs, monkeypatch, capsys):
    folder, options = inputs
    assert main(arguments(options, "--dry-run", chunk=6, held=2)) == 0
    assert "pieces      3 of up to 6 frames, 2 of them held" in capsys.readouterr().out
    pieces = seen_poses(monkeypatch)
    assert main(arguments(options, chunk=6, held=2, sheet=folder / "sheet.png")) == 0
    assert clip_info(options["out"]).frames == FRAMES
    assert pieces == [list(range(6)), list(range(4, 9)), list(range(7, 12))]
    assert (folder / "sheet.png").is_file()


def test_a_clip_goes_on_where_the_earlier_one_ends(inputs, monkeypatch):
    folder, options = inputs
    earlier, pieces = clip_at(folder / "earlier.mp4"), seen_poses(monkeypatch)
    assert main(arguments(options, continue_from=earlier, held=3)) == 0
    assert clip_info(options["out"]).frames == FRAMES - 4
    assert pieces == [list(range(1, FRAMES))]
    assert main(arguments(options, continue_from=earlier, held=2, start=6, frames=3)) == 0
    assert pieces[1:] == [[4, 5, 6, 7, 8]]
    assert clip_info(options["out"]).frames == 3


def test_a_clip_begins_later_or_with_the_reference(inputs, monkeypatch):
    _, options = inputs
    pieces = seen_poses(monkeypatch)
    assert main(arguments(options, start=9)) == 0
    assert main(arguments(options, continue_from="reference", frames=4)) == 0
    assert pieces == [[9, 10, 11], [0, 1, 2, 3]]
    assert clip_info(options["out"]).frames == 4


@pytest.mark.parametrize(
    ("changes", "earlier", "message"),
    [
        ({"start": 12}, None, "start got 12; the motion has frames 0 to 11"),
        ({"held": 0}, None, "held got 0; it must be in 1..8"),
        ({"chunk": 4}, None, "chunk got 4 frames with 4 held"),
        ({"start": 2}, {}, "start got 2; the 4 held frames need their poses"),
        ({}, {"frames": 12}, "start got 12 (the clip that is continued has 12)"),
        ({"held": 5}, {}, "with 4 frames; 5 shall be held. Give --held 4"),
        ({}, {}, "held got 4 frames; the first window has 4, and needs one new frame"),
        ({}, {"size": Size(64, 48)}, "of 64x48; the result has 32x48. Give --size 64x48"),
        ({}, {"fps": 12}, "with 12 frames per second; the result has 30. Give --fps 12"),
        ({"mask": "m.png"}, None, "mask got m.png without keep-background"),
        ({"mask-margin": 0.2}, None, "mask-margin got 0.2 without keep-background"),
        ({"continue-from": ""}, None, "continue-from got an empty name"),
        ({"cfg": "inf"}, None, "cfg got inf; it must be 1 or more and finite"),
        ({"plate": "fill"}, None, "plate got fill without keep-background"),
        ({"keep-background": "transparent", "plate": "fill"}, None, "which shows no background"),
        ({"keep-background": "reference", "plate": "no.png"}, None, "plate got no.png; there is"),
        ({"keep-background": "reference", "plate": ""}, None, "plate got an empty name"),
        ({"keep-background": "reference", "plate": "."}, None, "plate got .; it is a folder"),
        ({"keep-background": "driving"}, None, "holds keypoints, which have no background"),
        ({"keep-background": "reference", "mask-margin": 2}, None, "mask margin got 2.0; it is"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_is_computed(
    inputs, capsys, changes, earlier, message
):
    folder, options = inputs
    if earlier is not None:
        changes = {**changes, "continue-from": clip_at(folder / "earlier.mp4", **earlier)}
    assert main(arguments({**options, **changes}, "--dry-run")) == 2
    assert message in capsys.readouterr().err


def test_persons_keep_their_pictures_in_pieces_and_in_a_clip_that_goes_on(inputs, monkeypatch):
    folder, options = inputs
    rng, clip = np.random.default_rng(1), two_people()
    write_keypoints(folder / "poses.json", clip)
    Image.fromarray(rng.integers(0, 255, (48, 32, 3), np.uint8)).save(folder / "other.png")
    named = ["--reference", str(options["reference"]), str(folder / "other.png")]
    options = {name: value for name, value in options.items() if name != "reference"}
    pieces, places = seen_poses(monkeypatch), []
    monkeypatch.setattr(
        continuing, "places_of", lambda regions, *_: places.append(regions) or places_of(regions)
    )
    more = ["--per-person", *named]
    assert main(arguments(options, *more, chunk=6, held=2)) == 0
    assert [len(one) for one in pieces] == [len(one) for one in places[1:]] == [6, 5, 5]
    whole = regions_of(clip, Size(32, 48))
    for frames, regions in zip(pieces, places[1:], strict=True):
        assert np.array_equal(regions, whole[frames])
    earlier = clip_at(folder / "earlier.mp4")
    del pieces[:], places[:]
    changes = {"continue_from": earlier, "held": 3, "chunk": 7}
    assert main(arguments(options, *more, **changes)) == 0
    assert clip_info(options["out"]).frames == FRAMES - 4
    for frames, regions in zip(pieces, places[1:], strict=True):
        assert np.array_equal(regions, whole[frames])


def two_people():
    """Return keypoints of 12 frames with two people, one on the left and one on the right."""
    rng = np.random.default_rng(2)
    people = rng.uniform(4, 26, (FRAMES, 2, 18, 2)) + np.array([[[0, 0]], [[34, 50]]])
    return body_clip(Size(64, 96), people)


@pytest.mark.parametrize("seed", [-(2**63), 2**64 - 1])
def test_the_least_and_the_largest_seed_work_in_pieces(inputs, seed):
    _, options = inputs
    assert main(arguments(options, chunk=6, held=2, seed=seed, sampler="ddpm")) == 0


def test_a_clip_in_pieces_cannot_loop(inputs, capsys):
    _, options = inputs
    assert main(arguments(options, "--loop", chunk=6, held=2)) == 2
    assert "loop got set for a clip that begins with held frames" in capsys.readouterr().err


@pytest.fixture
def person(inputs, tmp_path_factory):
    """Return the arguments for a video of a person, and the networks that find it."""
    folder, options = inputs
    networks = tmp_path_factory.mktemp("networks")
    options = {
        **options,
        "detector": fake.seeking_detector(networks / "d.onnx", box=(50, 70)),
        "estimator": fake.colour_estimator(networks / "e.onnx"),
        "provider": "cpu",
        "poses": folder / "person.mov",
        "driving": "video",
        "size": "64x48",
    }
    offsets = {0: (0, -40), 5: (20, -10), 6: (-19, -10), 9: (30, 20), 15: (-10, 45)}
    frames = []
    for frame in range(3):
        x = 120 + 8 * frame
        markers = {k: (x + dx, 120 + dy) for k, (dx, dy) in offsets.items()}
        frames.append(fake.picture((240, 320), markers, [(x, 120)]))
    with VideoWriter(folder / "person.mov", Size(320, 240), 30) as writer:
        writer.write(np.stack(frames))
    return folder, options


def written(monkeypatch):
    """Return a list that gets the frames that are written, before they are encoded."""
    kept, write = [], VideoWriter.write
    monkeypatch.setattr(
        VideoWriter,
        "write",
        lambda self, frames: kept.extend(frames.copy()) or write(self, frames),
    )
    return kept


def test_the_driving_background_stays_and_the_mask_may_be_of_the_drivings_size(
    person, monkeypatch, caplog, capsys
):
    folder, options = person
    kept = written(monkeypatch)
    assert main(arguments(options, keep_background="driving")) == 0
    behind = [np.asarray(Image.fromarray(frame)) for frame in frames_of(options["poses"])]
    assert len(kept) == len(behind) == 3
    mask = np.zeros((240, 320), np.uint8)
    mask[60:180, 80:240] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    del kept[:]
    changes = {"keep_background": "driving", "mask": folder / "mask.png"}
    assert main(arguments(options, **changes)) == 0
    assert "mask.png has 320x240 pixels and is fitted to 64x48" in caplog.text
    from animate_anyone.media import fit_frame

    for frame, ground in zip(kept, behind, strict=True):
        fitted = fit_frame(ground, Size(64, 48), "pad")
        assert np.array_equal(frame[:10], fitted[:10])
        assert np.array_equal(frame[:, 52:], fitted[:, 52:])
        assert not np.array_equal(frame[14:34, 18:46], fitted[14:34, 18:46])
    assert main(arguments(options, **changes, retarget="limb")) == 2
    assert "with retargeting limb, which moves the skeleton" in capsys.readouterr().err


def test_a_plate_stays_in_place_of_the_references_background(inputs, monkeypatch, caplog, capsys):
    folder, options = inputs
    kept, mask = written(monkeypatch), np.zeros((48, 32), np.uint8)
    mask[8:32, 8:24] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    Image.new("RGB", (64, 96), (200, 40, 90)).save(folder / "plate.png")
    changes = {"keep_background": "reference", "mask": folder / "mask.png", "frames": 2}
    assert main(arguments(options, **changes, plate=folder / "plate.png")) == 0
    assert "plate.png has 64x96 pixels and is fitted to 32x48" in caplog.text
    assert all((frame[mask == 0] == (200, 40, 90)).all() for frame in kept)
    assert main(arguments(options, **changes, plate="fill")) == 2
    assert "plate got a reference in which no person was found" in capsys.readouterr().err


def test_a_character_is_set_on_the_background_of_the_driving_clip(person, monkeypatch, caplog):
    folder, options = person
    caplog.set_level("INFO")
    frames, kept = list(frames_of(options["poses"])), written(monkeypatch)
    figure = frames[0][60:180, 40:200].copy()
    figure[..., 2] = np.maximum(figure[..., 2], 60)  # another background, the same markers
    Image.fromarray(figure).save(folder / "figure.png")
    seen = []

    class Seen(condition.ReferenceCondition):
        def __init__(self, models, pictures, size, **more):
            seen.extend(pictures)
            super().__init__(models, pictures, size, **more)

    monkeypatch.setattr("animate_anyone.animate.ReferenceCondition", Seen)
    changes = {"keep_background": "driving", "plate": "fill", "mask_margin": 0.02}
    assert main(arguments(options, **changes)) == 0
    assert "where the person is, was filled from around" in caplog.text
    assert "reference was cut out" in caplog.text
    assert len(kept) == 3
    assert seen[0].shape[-2:] == (48, 64)
    corner = frames[0][0, 0] / 255  # of the clip's background, not of the picture's
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(corner.tolist(), abs=0.02)


def test_the_mask_can_become_the_transparency(inputs, capsys):
    folder, options = inputs
    changes = {"keep_background": "transparent", "frames": 2}
    assert main(arguments(options, **changes)) == 2
    assert ".mp4 files hold no transparency" in capsys.readouterr().err
    assert main(arguments(options, **changes, out=folder / "clip.mov", mask_margin=0.02)) == 0
    with av.open(str(folder / "clip.mov")) as container:
        alpha = [frame.to_ndarray(format="rgba")[..., 3] for frame in container.decode(video=0)]
    assert all(one.min() == 0 < one.max() == 255 for one in alpha)


@pytest.mark.parametrize(
    ("value", "message"),
    [(0, "which is black everywhere, so nothing would be made"), (255, "white everywhere")],
)
def test_masks_that_leave_nothing_are_refused(inputs, capsys, value, message):
    folder, options = inputs
    Image.new("L", (32, 48), value).save(folder / "mask.png")
    changes = {"keep_background": "reference", "mask": folder / "mask.png"}
    assert main(arguments(options, "--dry-run", **changes)) == 2
    assert message in capsys.readouterr().err


def test_masks_of_another_length_are_refused_and_empty_ones_are_told(inputs, capsys, caplog):
    folder, options = inputs
    changes = {"keep_background": "reference", "mask": folder / "masks"}
    (folder / "masks").mkdir()
    for frame in range(3):
        one = np.zeros((48, 32), np.uint8)
        one[:frame] = 255
        Image.fromarray(one).save(folder / "masks" / f"{frame}.png")
    assert main(arguments(options, "--dry-run", **changes)) == 2
    assert "with 3 frames; the motion has 12, and 12 of them are used" in capsys.readouterr().err
    assert main(arguments(options, **changes, frames=3)) == 0
    assert "mask: 1 of 3 frames had empty masks" in caplog.text
