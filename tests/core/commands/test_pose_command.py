import json
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from core.pose import fake_models as fake
from PIL import Image

from animate_anyone.__main__ import main
from animate_anyone.commands.driving import fit_to_reference, open_driving
from animate_anyone.media import VideoWriter, clip_info, frames_of
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.files.keypoints import read_keypoints, read_with_notes, write_keypoints
from animate_anyone.pose.people import pipeline
from animate_anyone.pose.people.doubt import Evidence
from animate_anyone.pose.retarget.retarget import RetargetConfig
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

# COCO keypoints of the palette, and where they lie from the middle of the person.
OFFSETS = {0: (0, -40), 5: (20, -10), 6: (-19, -10), 9: (30, 20), 15: (-10, 45)}
NOSE = 0
RIGHT_WRIST = 4
FIGURE = np.array(
    [
        (60, 20), (60, 40), (45, 40), (40, 60), (38, 80), (75, 40), (80, 60), (82, 80),
        (50, 85), (48, 110), (47, 135), (70, 85), (72, 110), (73, 135),
        (57, 17), (63, 17), (52, 20), (68, 20),
    ],
    float,
)  # fmt: skip


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Return the arguments that name networks which follow coloured markers."""
    folder = tmp_path_factory.mktemp("networks")
    detector = fake.seeking_detector(folder / "d.onnx", box=(50, 70))
    estimator = fake.colour_estimator(folder / "e.onnx")
    return [f"--detector={detector}", f"--estimator={estimator}", "--provider=cpu"]


def person_at(x, y):
    markers = {keypoint: (x + dx, y + dy) for keypoint, (dx, dy) in OFFSETS.items()}
    return fake.picture((240, 320), markers, [(x, y)])


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Return a folder of pictures of a person who walks; none is in the fourth."""
    folder = tmp_path_factory.mktemp("walk")
    for frame in range(6):
        picture = person_at(90 + 8 * frame, 120)
        if frame == 3:
            picture[:] = 0
        Image.fromarray(picture).save(folder / f"{frame}.png")
    return folder


@pytest.fixture
def figure(tmp_path):
    """Return keypoints of four frames of a figure that moves to the right."""
    xy = np.stack([FIGURE + np.array([4 * frame, 0]) for frame in range(4)])[:, None]
    write_keypoints(tmp_path / "driver.json", body_clip(Size(128, 160), xy))
    return tmp_path / "driver.json"


def test_extract_writes_keypoints_and_a_report(walk, networks, tmp_path, capsys):
    out, report = tmp_path / "new" / "k.json", tmp_path / "r.json"
    assert (
        main(["pose", "extract", str(walk), f"--out={out}", f"--report={report}", *networks]) == 0
    )

    clip = read_keypoints(out)
    assert (len(clip), clip.canvas, clip.body.xy.shape[1]) == (6, Size(320, 240), 1)
    expected = [(90 + 8 * frame, 80) for frame in range(6)]
    assert np.abs(clip.body.xy[:, 0, NOSE] - expected).max() < 1  # the gap is filled
    data = json.loads(report.read_text())
    assert data["found"] is True
    assert data["extract"]["empty"] == [3]
    assert data["filled"] == len(OFFSETS) + 1  # and the neck
    assert "No person in 1 of 6 frames: 3." in capsys.readouterr().out
    assert sorted(path.name for path in out.parent.iterdir()) == ["k.json"]


def test_extract_without_filling_leaves_the_gap(walk, networks, tmp_path):
    words = ["pose", "extract", str(walk), f"--out={tmp_path / 'k.json'}", "--max-gap=0"]
    assert main([*words, "--frames=5", *networks]) == 0

    seen = read_keypoints(tmp_path / "k.json").body.confidence[:, 0, NOSE] > 0
    assert seen.tolist() == [True, True, True, False, True]


def test_video_without_people_gives_empty_skeletons_and_a_message(
    networks, tmp_path, capsys, caplog
):
    with VideoWriter(tmp_path / "empty.mp4", Size(64, 48), 30) as writer:
        writer.write(np.full((3, 48, 64, 3), 90, np.uint8))
    words = ["pose", "extract", str(tmp_path / "empty.mp4"), f"--out={tmp_path / 'k.json'}"]
    assert main([*words, *networks]) == 0

    clip = read_keypoints(tmp_path / "k.json")
    assert (len(clip), clip.canvas) == (3, Size(64, 48))
    assert not clip.body.confidence.any()
    assert "No person was found in any frame" in capsys.readouterr().out
    assert "download dwpose" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--out=k.txt"], "out got 'k.txt'; keypoints are written as .json"),
        (["--detector=gone.onnx", "--estimator=gone.onnx"], "gone.onnx"),
        (["--detector=gone.onnx"], "estimator got nothing"),
        (["--person=3"], "person got 3; the clip has 1 people"),
        (["--detect-every=0"], "detect_every got 0"),
        (["--max-gap=-1"], "max_gap got -1"),
        (["--smooth=nan"], "smooth got nan"),
        (["--frames=0"], "frames got 0"),
        (["--provider=tensorrt"], "engine_cache got None"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_extract_refuses_bad_options_and_writes_nothing(
    walk, networks, tmp_path, capsys, changes, message
):
    words = [] if any("detector" in word for word in changes) else networks
    out = f"--out={tmp_path / 'k.json'}"
    assert main(["pose", "extract", str(walk), out, *words, *changes]) == 2

    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_tiny_and_damaged_videos_are_named(networks, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
    with VideoWriter(tmp_path / "cut.mp4", Size(64, 48), 30) as writer:
        writer.write(np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8))
    data = (tmp_path / "cut.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    for name, message in (("tiny.png", "frame 0 got 8 x 8 pixels"), ("cut.mp4", "truncated")):
        words = ["pose", "extract", str(tmp_path / name), f"--out={tmp_path / 'k.json'}"]
        assert main([*words, *networks]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "k.json").exists()


@pytest.fixture
def cut(tmp_path):
    """A video whose index comes first, cut in the middle."""
    path, rng = tmp_path / "cut.mp4", np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in rng.integers(0, 255, (20, 48, 64, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: 2 * len(data) // 3])
    return path


@pytest.mark.parametrize("action", ["extract", "read"])
def test_reports_name_a_video_that_ends_early(cut, networks, tmp_path, capsys, action):
    out, report = tmp_path / "k.json", tmp_path / "r.json"
    words = networks if action == "extract" else []
    assert main(["pose", action, str(cut), f"--out={out}", f"--report={report}", *words]) == 0

    told = f"{len(read_keypoints(out))} of 20 frames could be read"
    assert told in capsys.readouterr().out
    assert told in report.read_text()


def test_retarget_puts_the_driver_on_the_reference(figure, tmp_path, capsys):
    reference = (FIGURE * 2 + np.array([10, 20]))[None, None]
    write_keypoints(tmp_path / "ref.json", body_clip(Size(300, 400), reference))
    words = ["pose", "retarget", str(figure), str(tmp_path / "ref.json")]
    outputs = [f"--{name}={tmp_path / name}.{kind}" for name, kind in (
        ("out", "json"), ("report", "json"), ("overlay", "mp4"))]  # fmt: skip
    assert main([*words, *outputs, "--fps=12"]) == 0

    clip = read_keypoints(tmp_path / "out.json")
    assert clip.canvas == Size(300, 400)
    assert np.abs(clip.body.xy[0, 0] - reference[0, 0]).max() < 1e-6
    steps = [b - a for a, b in pairwise(clip.body.xy[:, 0, NOSE, 0])]
    assert steps == pytest.approx([8, 8, 8])
    assert json.loads((tmp_path / "report.json").read_text())["scale"] == pytest.approx(2)
    info = clip_info(tmp_path / "overlay.mp4")
    assert (info.frames, info.size, info.fps) == (4, Size(300, 400), 12)
    assert "mode limb, scale 2.000" in capsys.readouterr().out


def test_retarget_keeps_contacts_if_asked_for(figure, tmp_path, capsys):
    clip = read_keypoints(figure)
    xy = clip.body.xy.copy()
    xy[:, :, RIGHT_WRIST] = xy[:, :, NOSE]
    write_keypoints(tmp_path / "touching.json", body_clip(clip.canvas, xy))
    words = ["pose", "retarget", str(tmp_path / "touching.json"), str(figure)]
    words.append(f"--out={tmp_path / 'out.json'}")
    assert main(words) == 0
    assert "touch kept" not in capsys.readouterr().out
    assert main([*words, "--contacts"]) == 0
    assert "touch kept: right hand on head in 4 frames" in capsys.readouterr().out


def test_reference_picture_is_read_by_the_networks(figure, networks, tmp_path, capsys):
    Image.fromarray(person_at(160, 120)).save(tmp_path / "ref.png")
    words = ["pose", "retarget", str(figure), str(tmp_path / "ref.png")]
    assert main([*words, f"--out={tmp_path / 'out.json'}", "--anchor=nose", *networks]) == 0

    clip = read_keypoints(tmp_path / "out.json")
    assert clip.canvas == Size(320, 240)
    assert np.abs(clip.body.xy[0, 0, NOSE] - (160, 80)).max() < 1


def test_doubts_about_a_clip_and_a_reference_are_told(
    walk, figure, networks, tmp_path, capsys, caplog, monkeypatch
):
    monkeypatch.setattr(pipeline, "knows_only_drawn", lambda *_: True)
    out = f"--out={tmp_path / 'k.json'}"
    assert main(["pose", "extract", str(walk), out, *networks]) == 0
    assert "This pair knows drawn figures only; use DWPose's" in capsys.readouterr().out
    assert "knows drawn figures only" not in caplog.text

    Image.fromarray(person_at(160, 120)).save(tmp_path / "ref.png")
    uncertain = Evidence(confidence=0.4, filled=0.0, wobble=0.0, outside=0.0)
    monkeypatch.setattr(pipeline, "weigh", lambda _: uncertain)
    words = ["pose", "retarget", str(figure), str(tmp_path / "ref.png"), out, *networks]
    assert main(words) == 0
    assert "ref.png: these skeletons are doubtful (mean confidence 0.40" in caplog.text

    told = SimpleNamespace(found=True, doubts=("it may be a tree",))
    follower = SimpleNamespace(picture=lambda _: (read_keypoints(figure), told))
    fit_to_reference(open_driving(figure), person_at(160, 120), follower, RetargetConfig())
    assert "reference: it may be a tree" in caplog.text


@pytest.mark.parametrize("option", ["out", "report"])
def test_an_unwritable_output_is_refused_before_the_long_computation(
    walk, tmp_path, capsys, option
):
    (tmp_path / "file").write_text("not a folder")
    places = {"out": tmp_path / "k.json", "report": tmp_path / "r.json"}
    places[option] = tmp_path / "file" / "x.json"
    words = [f"--{name}={path}" for name, path in places.items()]
    # Missing networks would be reported first if they were opened first.
    networks = ["--detector=gone.onnx", "--estimator=gone.onnx"]
    assert main(["pose", "extract", str(walk), *words, *networks]) == 2

    assert "x.json; it cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_keypoints_and_report_are_written_both_or_neither(figure, tmp_path, capsys):
    (tmp_path / "r.json").mkdir()  # a folder of that name cannot be replaced
    before = sorted(path.name for path in tmp_path.iterdir())
    words = ["pose", "retarget", str(figure), str(figure), f"--out={tmp_path / 'k.json'}"]
    assert main([*words, f"--report={tmp_path / 'r.json'}"]) == 2

    assert "r.json; it cannot be written" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_tiny_reference_is_named_as_such(figure, networks, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
    words = ["pose", "retarget", str(figure), str(tmp_path / "tiny.png")]
    assert main([*words, f"--out={tmp_path / 'k.json'}", *networks]) == 2

    assert "reference got 8 x 8 pixels" in capsys.readouterr().err
    assert not (tmp_path / "k.json").exists()


def test_reference_without_a_person_leaves_the_driver_unchanged(
    figure, networks, tmp_path, capsys, caplog
):
    Image.new("RGB", (256, 320)).save(tmp_path / "ref.png")
    words = ["pose", "retarget", str(figure), str(tmp_path / "ref.png")]
    assert main([*words, f"--out={tmp_path / 'out.json'}", *networks]) == 0

    clip = read_keypoints(tmp_path / "out.json")
    assert np.abs(clip.body.xy[0, 0] - 2 * FIGURE).max() < 1e-6
    assert "the reference shows no person" in capsys.readouterr().out
    assert "no person was found in the reference" in caplog.text


def test_draw_and_read_are_inverse(figure, tmp_path, capsys):
    clip, back = tmp_path / "clip.mp4", tmp_path / "back.json"
    assert (
        main(["pose", "draw", str(figure), f"--out={clip}", "--size=512x640", "--no-face", "--dim"])
        == 0
    )
    assert (clip_info(clip).frames, clip_info(clip).size) == (4, Size(512, 640))
    assert main(["pose", "read", str(clip), f"--out={back}"]) == 0

    drawn, read = read_keypoints(figure), read_keypoints(back)
    distance = np.linalg.norm(read.body.xy - 4 * drawn.body.xy, axis=-1)
    assert np.median(distance) < 2
    assert "4 frames, 0 of them without a skeleton" in capsys.readouterr().out


def test_draw_leaves_parts_out(figure, tmp_path):
    words = ["pose", "draw", str(figure), f"--out={tmp_path / 'clip.mp4'}"]
    assert main([*words, "--no-body"]) == 0
    assert max(frame.max() for frame in frames_of(tmp_path / "clip.mp4")) < 20
    assert main(words) == 0
    drawn = np.stack(list(frames_of(tmp_path / "clip.mp4")))
    assert np.abs(drawn.astype(int) - draw_pose(read_keypoints(figure))).mean() < 6


def test_the_speed_of_a_clip_is_kept_from_command_to_command(figure, tmp_path, capsys):
    clip, read, fitted, overlay = (
        tmp_path / name for name in ("c.mp4", "read.json", "out.json", "o.mp4")
    )
    write_keypoints(figure, read_keypoints(figure), 12)
    assert main(["pose", "draw", str(figure), f"--out={clip}", "--size=256x320"]) == 0
    assert "keypoints: 12 frames per second, as the file names" in capsys.readouterr().out
    assert clip_info(clip).fps == 12
    assert main(["pose", "read", str(clip), f"--out={read}"]) == 0
    words = ["pose", "retarget", str(read), str(figure), f"--out={fitted}"]
    assert main([*words, f"--overlay={overlay}"]) == 0
    assert clip_info(overlay).fps == 12
    assert read_with_notes(fitted).fps == 12
    assert main(["pose", "draw", str(fitted), f"--out={clip}", "--fps=25"]) == 0
    told = "25 frames per second, as --fps says; instead of 12 as the file names"
    assert told in capsys.readouterr().out
    assert clip_info(clip).fps == 25


def test_extracted_keypoints_name_the_speed_of_the_video(networks, tmp_path):
    with VideoWriter(tmp_path / "walk.mp4", Size(320, 240), 10) as writer:
        writer.write(np.stack([person_at(90 + 8 * frame, 120) for frame in range(2)]))
    words = ["pose", "extract", str(tmp_path / "walk.mp4"), f"--out={tmp_path / 'k.json'}"]
    assert main([*words, *networks]) == 0
    assert read_with_notes(tmp_path / "k.json").fps == 10


def test_errors_name_the_option_that_was_typed(figure, tmp_path, capsys):
    words = ["pose", "retarget", str(figure), str(tmp_path / "ref.json")]
    words.append(f"--out={tmp_path / 'out.json'}")
    body = [float(value) for joint in FIGURE for value in (*joint, 1)]
    record = {"version": 1.3, "people": [{"pose_keypoints_2d": body}]}
    (tmp_path / "ref.json").write_text(json.dumps(record))
    assert main(words) == 2
    assert "pass its size (--reference-canvas WxH" in capsys.readouterr().err
    assert main([*words, "--reference-canvas=128x160", "--overlay=clip.gif"]) == 2
    assert "overlay got 'clip.gif'; video is written as" in capsys.readouterr().err


def test_full_disk_keeps_the_older_file(figure, tmp_path, capsys):
    (tmp_path / "folder").write_text("in the way")
    out = tmp_path / "folder" / "k.json"
    assert main(["pose", "retarget", str(figure), str(figure), f"--out={out}"]) == 2
    assert "k.json; it cannot be written" in capsys.readouterr().err


@pytest.fixture
def openpose_folder(tmp_path):
    """Return a folder of twelve files as OpenPose writes them, without a canvas."""
    folder = tmp_path / "openpose"
    folder.mkdir()
    for frame in range(12):
        points = np.column_stack([FIGURE + np.array([frame, 0]), np.ones(18)])
        record = {"version": 1.3, "people": [{"pose_keypoints_2d": points.ravel().tolist()}]}
        (folder / f"{frame}_keypoints.json").write_text(json.dumps(record))
    (folder / "notes.txt").write_text("take one")
    return folder


def test_folders_without_a_canvas_are_retargeted_and_reported(openpose_folder, tmp_path, capsys):
    out, report = tmp_path / "out.json", tmp_path / "r.json"
    words = ["pose", "retarget", str(openpose_folder), str(openpose_folder), f"--out={out}"]
    assert main(words) == 2
    assert "pass its size (--canvas WxH" in capsys.readouterr().err
    sizes = ["--canvas=128x160", "--reference-canvas=128x160"]
    assert main([*words, *sizes, f"--report={report}"]) == 0

    xy = read_keypoints(out).body.xy[:, 0]
    np.testing.assert_allclose(xy[:, 0, 0], 60 + np.arange(12), atol=1e-6)
    note = "files that are no frames were skipped: notes.txt"
    assert f"driver: {note}\nreference: {note}\n" in capsys.readouterr().out
    assert json.loads(report.read_text())["notes"] == {"driver": [note], "reference": [note]}


def test_a_canvas_for_a_reference_picture_is_refused(figure, walk, tmp_path, capsys):
    words = ["pose", "retarget", str(figure), str(walk / "0.png"), f"--out={tmp_path / 'o.json'}"]
    assert main([*words, "--reference-canvas=64x64"]) == 2
    assert "0.png is a picture, which has a size of its own" in capsys.readouterr().err


def test_folders_without_a_canvas_are_drawn_and_reported(openpose_folder, tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    words = ["pose", "draw", str(openpose_folder), f"--out={clip}", "--canvas=128x160"]
    assert main(words) == 0
    assert (clip_info(clip).frames, clip_info(clip).size) == (12, Size(128, 160))
    assert "keypoints: files that are no frames were skipped" in capsys.readouterr().out
