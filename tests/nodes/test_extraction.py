"""From pictures and clips of people to keypoints that fit the reference, inside the host."""

import importlib.util
import json
import weakref

import av
import numpy as np
import pytest
import torch

from comfy_hosts import REPOSITORY

MARKERS = {0: (60, 40), 5: (70, 60), 6: (50, 60)}  # nose and shoulders, pixels
WIDGETS = {
    "person": "largest",
    "number": 0,
    "detect_every": 1,
    "max_gap": 8,
    "spikes": True,
    "smooth": 0.0,
    "batch": 4,
    "fps": 30.0,
}
RETARGET = {
    "mode": "limb",
    "strength": 1.0,
    "anchor": "auto",
    "match_frame": -1,
    "lock_x": False,
    "lock_y": False,
    "fit_canvas": False,
}


@pytest.fixture(scope="session")
def fake():
    """Return the tiny networks of the core's tests, which find colours instead of people."""
    path = REPOSITORY / "tests/core/pose/fake_models.py"
    spec = importlib.util.spec_from_file_location("fake_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def files(fake, base):
    """Put the networks into the model folder; return their names."""
    folder = base / "models/animate_anyone"
    fake.seeking_detector(folder / "detector.onnx")
    fake.colour_estimator(folder / "estimator.onnx")
    return {"detector": "detector.onnx", "estimator": "estimator.onnx"}


@pytest.fixture
def dwpose(run_node, files):
    """Return the networks as the node gives them."""
    options = {"provider": "cpu", "channel_order": "rgb", "download": False}
    return run_node("LoadDWPose", **files, **options)


@pytest.fixture
def image(fake):
    """Return a function that gives an IMAGE of a person who walks to the right."""

    def make(frames=3):
        pictures = [
            fake.picture(
                (120, 160),
                {joint: (x + frame, y) for joint, (x, y) in MARKERS.items()},
                [(60 + frame, 55)],
                radius=30,
            )
            for frame in range(frames)
        ]
        return torch.from_numpy(np.stack(pictures)).float() / 255

    return make


def test_joints_are_found_where_they_are(run_node, core, dwpose, image):
    keypoints, report = run_node("ExtractPose", dwpose=dwpose, image=image(), **WIDGETS)
    clip = core("pose.files.keypoints").parse_keypoints(keypoints)
    assert (clip.canvas.width, clip.canvas.height) == (160, 120)
    assert np.allclose(clip.body.xy[2, 0, [0, 5, 2]], [(62, 40), (72, 60), (52, 60)], atol=2.5)
    assert "3 frames" in report
    assert "Detector on cpu" in report


def test_a_clip_and_its_pictures_give_the_same(run_node, core, dwpose, image, base):
    from comfy_api.input_impl import VideoFromFile

    pictures = image(4)
    path = base / "input/person.mp4"
    with core("media").VideoWriter(path, core("types").Size(160, 120), 12, crf=4) as writer:
        writer.write(pictures.mul(255).round().byte().numpy())
    parse = core("pose.files.keypoints").parse_keypoints
    video = VideoFromFile(str(path))
    found, _ = run_node("ExtractPose", dwpose=dwpose, video=video, **WIDGETS)
    same, _ = run_node("ExtractPose", dwpose=dwpose, image=pictures, **WIDGETS)
    assert len(found) == 4
    assert np.allclose(parse(found).body.xy[:, 0, 0], parse(same).body.xy[:, 0, 0], atol=3)


def test_a_clip_is_never_decoded_as_a_whole(run_node, core, dwpose, image, base, monkeypatch):
    from comfy_api.input_impl import VideoFromFile

    path = base / "input/long.mp4"
    with core("media").VideoWriter(path, core("types").Size(160, 120), 12) as writer:
        writer.write(image(60).mul(255).round().byte().numpy())
    media, counts = core("media"), []
    frames_of, alive = media.frames_of, set()

    def counted(path, *background):
        for number, frame in enumerate(frames_of(path, *background)):
            own = frame.copy()
            weakref.finalize(own, alive.discard, number)
            alive.add(number)
            counts.append(len(alive))
            yield own

    monkeypatch.setattr(media, "frames_of", counted)
    run_node("ExtractPose", dwpose=dwpose, video=VideoFromFile(str(path)), **WIDGETS)
    assert len(counts) == 60
    assert max(counts) <= 3 * WIDGETS["batch"]


@pytest.mark.parametrize("node", ["ExtractPose", "ReadPoseVideo"])
def test_a_clip_that_ends_early_is_reported(run_node, dwpose, base, node):
    from comfy_api.input_impl import VideoFromFile

    path, rng = base / "input/cut.mp4", np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in rng.integers(0, 255, (20, 48, 64, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: 2 * len(data) // 3])
    options = {"dwpose": dwpose, **WIDGETS} if node == "ExtractPose" else {}
    keypoints, report = run_node(node, video=VideoFromFile(str(path)), **options)
    assert f"{len(keypoints)} of 20 frames could be read" in report


def test_a_clip_without_people_gives_a_report(run_node, core, dwpose):
    keypoints, report = run_node(
        "ExtractPose", dwpose=dwpose, image=torch.zeros(3, 64, 64, 3), **WIDGETS
    )
    assert "No person" in report
    assert len(keypoints) == 3
    assert not core("pose.files.keypoints").parse_keypoints(keypoints).body.confidence.any()


def test_driver_or_reference_without_people_gives_a_report(run_node, dwpose, image):
    nobody, _ = run_node("ExtractPose", dwpose=dwpose, image=torch.zeros(2, 64, 64, 3), **WIDGETS)
    person, _ = run_node("ExtractPose", dwpose=dwpose, image=image(2), **WIDGETS)
    for driver, reference in ((nobody, person), (person, nobody), (nobody, nobody)):
        result, report, preview = run_node(
            "RetargetPose", keypoints=driver, reference=reference, **RETARGET
        )
        assert len(result) == 2
        assert "warning" in report
        assert len(preview) == 2


def test_networks_are_opened_at_the_first_use_and_shared(run_node, dwpose, image):
    assert not dwpose.sessions._sessions
    run_node("ExtractPose", dwpose=dwpose, image=image(1), **WIDGETS)
    first = list(dwpose.sessions._sessions.values())
    run_node("ExtractPose", dwpose=dwpose, image=image(2), **WIDGETS)
    assert list(dwpose.sessions._sessions.values()) == first
    assert len(first) == 2


def test_free_memory_closes_the_networks_until_they_are_used_again(run_node, dwpose, image):
    import comfy.model_management

    run_node("ExtractPose", dwpose=dwpose, image=image(1), **WIDGETS)
    sessions = list(dwpose.sessions._sessions.values())
    comfy.model_management.unload_all_models()
    assert not dwpose.sessions._sessions
    assert [session._backend for session in sessions] == [None, None]
    keypoints, _ = run_node("ExtractPose", dwpose=dwpose, image=image(1), **WIDGETS)
    assert keypoints[0]["people"]


def test_an_interrupt_stops_before_the_next_run(run_node, dwpose, image):
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        run_node("ExtractPose", dwpose=dwpose, image=image(2), **WIDGETS)
    keypoints, _ = run_node("ExtractPose", dwpose=dwpose, image=image(1), **WIDGETS)
    assert keypoints[0]["people"]


def test_a_missing_public_file_is_not_downloaded_by_default(run_node):
    options = {"provider": "auto", "channel_order": "rgb", "download": False}
    with pytest.raises(ValueError, match=r"detector got yolox_l.onnx; .* Set download to true, or"):
        run_node("LoadDWPose", detector="yolox_l.onnx", estimator="aa-mini", **options)


def test_swapped_networks_are_named(run_node, files, image):
    options = {"provider": "cpu", "channel_order": "rgb", "download": False}
    swapped = {"detector": files["estimator"], "estimator": files["detector"]}
    dwpose = run_node("LoadDWPose", **swapped, **options)
    with pytest.raises(Exception, match=r"detector got estimator.onnx .* swap the two files"):
        run_node("ExtractPose", dwpose=dwpose, image=image(1), **WIDGETS)


def test_networks_of_other_packs_are_offered(pack, fake, base):
    for folder in ("dwpose", "detection/more"):
        (base / "models" / folder).mkdir(parents=True)
        fake.seeking_detector(base / "models" / folder / "theirs.onnx")
    names = pack("nodes.pose.extract").model_names("detector")
    assert names[0] == "aa-mini"
    assert {"dwpose/theirs.onnx", "detection/more/theirs.onnx", "yolox_l.onnx"} <= set(names)


def test_saved_keypoints_are_loaded_again(run_node, dwpose, image, base):
    keypoints, _ = run_node("ExtractPose", dwpose=dwpose, image=image(), **WIDGETS)
    path = run_node("SaveKeypoints", keypoints=keypoints, filename_prefix="animate_anyone/pose")
    name = path.split("/")[-1]
    loaded, _ = run_node("LoadKeypoints", file=f"animate_anyone/{name} [output]")
    assert loaded == json.loads((base / "output/animate_anyone" / name).read_text())
    assert loaded == keypoints


def test_a_retargeted_clip_has_the_canvas_and_a_preview_of_the_reference(run_node, core):
    _, driver = run_node("LoadExample", character="character.png", motion="motion_long.json")
    image, reference = run_node("LoadExample", character="character.png", motion="motion.json")
    result, report, preview = run_node(
        "RetargetPose", keypoints=driver, reference=reference[:1], image=image, **RETARGET
    )
    assert len(result) == 72
    assert "mode limb" in report
    assert preview.shape == (48, 128, 128, 3)
    black = run_node("RetargetPose", keypoints=driver, reference=reference[:1], **RETARGET)[2]
    assert (preview - black).abs().max() > 0.1


def test_contacts_are_kept_only_if_asked_for(run_node):
    _, driver = run_node("LoadExample", character="character.png", motion="motion.json")
    for frame in driver[:6]:  # the right hand goes to the nose
        body = frame["people"][0]["pose_keypoints_2d"]
        for hand in ("hand_right_keypoints_2d", "hand_left_keypoints_2d"):
            frame["people"][0][hand] = None
        body[12:14] = body[0:2]
    off = run_node("RetargetPose", keypoints=driver, reference=driver[-1:], **RETARGET)
    on = run_node(
        "RetargetPose", keypoints=driver, reference=driver[-1:], **RETARGET, contacts=True
    )
    assert "touch kept" not in off[1]
    assert "touch kept: right hand on head" in on[1]
    assert len(on[0]) == len(off[0])


def test_a_new_mode_in_the_table_is_offered_described_and_used(run_node, core, monkeypatch):
    modes, node = core("pose.retarget.modes"), run_node.nodes["AnimateAnyone_RetargetPose"]
    made_up = modes.Mode(summary="made up in a test", scales=lambda measured, _: measured)
    monkeypatch.setitem(modes.MODES, "made_up", made_up)
    widget = next(entry for entry in node.define_schema().inputs if entry.id == "mode")
    assert widget.options == ["none", "uniform", "limb", "made_up"]
    assert widget.tooltip.endswith("made_up: made up in a test.")
    _, keypoints = run_node("LoadExample", character="character.png", motion="motion.json")
    options = {**RETARGET, "mode": "made_up"}
    answer = node.execute(keypoints=keypoints, reference=keypoints[:1], **options)
    assert answer.args[1].startswith("mode made_up, ")
    assert "mode made_up" in answer.ui["text"][0]


def test_a_wrong_reference_is_named_as_such(run_node):
    _, driver = run_node("LoadExample", character="character.png", motion="motion.json")
    with pytest.raises(ValueError, match=r"^reference got"):
        run_node("RetargetPose", keypoints=driver, reference=[], **RETARGET)


def test_drawn_skeletons_are_read_back(run_node, core):
    _, keypoints = run_node("LoadExample", character="character.png", motion="motion.json")
    options = {"width": 256, "height": 256, "hands": False, "face": False, "feet": False}
    drawn = run_node("DrawPose", keypoints=keypoints[:2], body=True, **options)
    found, report = run_node("ReadPoseVideo", image=drawn)
    assert "2 frames, 0 of them without a skeleton" in report
    truth = core("pose.files.keypoints").parse_keypoints(keypoints[:2]).body
    read = core("pose.files.keypoints").parse_keypoints(found).body
    both = (truth.confidence[:, 0] > 0) & (read.confidence[:, 0] > 0.45)
    error = np.linalg.norm(2 * truth.xy[:, 0] - read.xy[:, 0], axis=-1)[both]
    assert both.mean() > 0.5
    assert np.median(error) < 2


def test_example_clips_are_videos(run_node):
    (entry,) = run_node.nodes["AnimateAnyone_LoadExampleVideo"].GET_SCHEMA().inputs
    for clip in entry.options:
        video = run_node("LoadExampleVideo", clip=clip)
        assert video.get_dimensions() == (128, 128)


def test_body_and_feet_are_drawn_on_demand(run_node):
    _, keypoints = run_node("LoadExample", character="character.png", motion="motion.json")
    size = {"width": 64, "height": 64, "hands": False, "face": False}
    nothing = run_node("DrawPose", keypoints=keypoints[:1], body=False, feet=False, **size)
    body = run_node("DrawPose", keypoints=keypoints[:1], body=True, feet=False, **size)
    assert not nothing.any()
    assert body.any()
