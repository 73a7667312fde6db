"""Poses from files and clips to what the denoiser takes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from comfy_hosts import REPOSITORY

INPUTS = REPOSITORY / "workflows/inputs"


def test_bundled_examples_fit_each_other(run_node):
    inputs = {
        entry.id: entry.options
        for entry in run_node.nodes["AnimateAnyone_LoadExample"].GET_SCHEMA().inputs
    }
    for character in inputs["character"]:
        for motion in inputs["motion"]:
            image, keypoints = run_node("LoadExample", character=character, motion=motion)
            assert image.shape == (1, 128, 128, 3)
            assert 0 <= image.min() < image.max() <= 1
            assert len(keypoints) == (72 if "long" in motion else 24)


def test_keypoints_are_drawn_as_the_core_draws_them(run_node, core):
    _, keypoints = run_node("LoadExample", character="character.png", motion="motion.json")
    options = {"width": 96, "height": 0, "hands": True, "face": False, "body": True, "feet": False}
    image = run_node("DrawPose", keypoints=keypoints, **options)
    clip = core("pose.files.keypoints").parse_keypoints(keypoints)
    drawn = core("pose.drawing.draw").draw_pose(clip, core("types").Size(96, 96), face=False)
    assert image.shape == (24, 96, 96, 3)
    assert np.array_equal((image.numpy() * 255).round().astype(np.uint8), drawn)


def test_a_canvas_larger_than_the_widgets_is_not_drawn(run_node):
    points = [100.0, 100.0, 1.0] * 18
    frame = {"people": [{"pose_keypoints_2d": points}], "canvas_width": 16000}
    size = {"width": 0, "height": 0, "hands": True, "face": True}
    with pytest.raises(ValueError, match=r"got 16000x8000 pixels from the canvas.* at most 4096"):
        run_node("DrawPose", keypoints=[frame | {"canvas_height": 8000}], **size)


def test_files_of_the_input_folder_are_read(run_node, base):
    shutil.copy(INPUTS / "motion.json", base / "input" / "motion.json")
    keypoints, fps = run_node("LoadKeypoints", file="motion.json")
    assert fps == 30
    assert len(keypoints) == 24
    assert len(keypoints[0]["people"][0]["pose_keypoints_2d"]) == 54


def test_a_file_of_openpose_needs_the_size_of_its_picture(run_node, base):
    body = [value for joint in range(25) for value in (8.0 + joint, 9.0, 1.0)]
    written = {"version": 1.3, "people": [{"pose_keypoints_2d": body}]}
    (base / "input" / "openpose.json").write_text(json.dumps(written))
    (keypoints,), _ = run_node("LoadKeypoints", file="openpose.json", width=64, height=48)
    assert (keypoints["canvas_width"], keypoints["canvas_height"]) == (64, 48)
    assert keypoints["people"][0]["pose_keypoints_2d"][:3] == [8, 9, 1]
    with pytest.raises(ValueError, match="canvas"):
        run_node("LoadKeypoints", file="openpose.json")


@pytest.fixture
def take(base):
    """Return a folder of twelve files as OpenPose writes them, in the input folder."""
    folder = base / "input" / "take"
    folder.mkdir(exist_ok=True)
    for frame in range(12):
        body = [value for joint in range(18) for value in (8.0 + frame, 9.0 + joint, 1.0)]
        written = {"version": 1.3, "people": [{"pose_keypoints_2d": body}]}
        (folder / f"{frame}_keypoints.json").write_text(json.dumps(written))
    (folder / "notes.txt").write_text("take one")
    return folder


def test_a_folder_with_a_file_per_frame_is_offered_and_read(run_node, base, take):
    node = run_node.nodes["AnimateAnyone_LoadKeypoints"]
    (base / "input" / "pictures").mkdir(exist_ok=True)
    (file,) = [entry for entry in node.define_schema().inputs if entry.id == "file"]
    assert "take/" in file.options
    assert "pictures/" not in file.options
    answer = node.execute(file="take/", width=64, height=48)
    noses = [frame["people"][0]["pose_keypoints_2d"][0] for frame in answer.args[0]]
    assert noses == [8.0 + frame for frame in range(12)]
    told = "files that are no frames were skipped: notes.txt"
    speed = "fps: 30 frames per second, assumed; the file names no speed"
    assert answer.ui["text"] == (f"12 frames, 1 people\n{told}\n{speed}",)
    payload = answer.ui["aa_pose_stage"][0]["payload"]
    shown = base / "temp" / payload["subfolder"] / payload["filename"]
    assert told in shown.read_text()
    first = node.fingerprint_inputs(file="take/")
    (take / "3_keypoints.json").touch()
    assert node.fingerprint_inputs(file="take/") > first


def test_what_keypoints_of_other_packs_assume_is_in_the_report(run_node):
    body = [value for joint in range(17) for value in (0.2 + joint / 40, 0.9 - joint / 50, 1.0)]
    record = {"people": [{"pose_keypoints_2d": body}], "canvas_width": 64, "canvas_height": 48}
    options = {"mode": "none", "strength": 1.0, "anchor": "auto", "match_frame": -1}
    locks = {"lock_x": False, "lock_y": False, "fit_canvas": False}
    _, report, _ = run_node(
        "RetargetPose", keypoints=[record], reference=[record], **options, **locks
    )
    for name in ("keypoints", "reference"):
        assert f"{name}: bodies are COCO 17\n" in report
        assert f"{name}: coordinates are 0..1 of the canvas" in report


def test_keypoints_of_this_pack_off_their_canvas_are_in_the_reports(run_node, base, core):
    places = np.arange(36.0).reshape(1, 1, 18, 2) + 500
    away = core("pose.skeleton.joints").body_clip(core("types").Size(64, 48), places)
    records = core("pose.files.keypoints").to_keypoints(away)
    (base / "input" / "away.json").write_text(json.dumps(records))
    told = "100% of the points lie off the canvas 64x48"
    answer = run_node.nodes["AnimateAnyone_LoadKeypoints"].execute(file="away.json")
    assert told in answer.ui["text"][0]
    node = run_node.nodes["AnimateAnyone_DrawPose"]
    answer = node.execute(keypoints=records, width=64, height=48, hands=True, face=True)
    (text,) = answer.ui.as_dict()["text"]
    assert told in text
    assert "nothing is drawn in any frame" in text


def test_the_speed_of_a_file_goes_through_saving_and_loading(run_node, base):
    from comfy_api.latest import io

    save, load = (run_node.nodes[f"AnimateAnyone_{name}Keypoints"] for name in ("Save", "Load"))
    (_, last) = load.define_schema().outputs
    assert (last.display_name, type(last)) == ("fps", io.Float.Output)
    shutil.copy(INPUTS / "motion.json", base / "input" / "motion.json")
    keypoints = run_node("LoadKeypoints", file="motion.json")[0][:3]
    told = "fps: 23.976 frames per second, as the file names"
    prefix = {"filename_prefix": "animate_anyone/speed"}
    for _ in range(2):
        path = save.execute(keypoints=keypoints, **prefix, fps=23.976).args[0]
        answer = load.execute(file=f"animate_anyone/{Path(path).name} [output]")
        assert answer.args[1] == pytest.approx(24000 / 1001)
        assert answer.ui["text"][0].endswith(told)
    records = json.loads(Path(path).read_text())
    again = save.execute(keypoints=records, **prefix).args[0]  # which name their speed
    assert {record["fps"] for record in json.loads(Path(again).read_text())} == {24000 / 1001}
    plain = save.execute(keypoints=keypoints, **prefix).args[0]
    assert not any("fps" in record for record in json.loads(Path(plain).read_text()))


def test_a_changed_file_is_read_again(run_node, base):
    node = run_node.nodes["AnimateAnyone_LoadKeypoints"]
    path = base / "input" / "changing.json"
    shutil.copy(INPUTS / "motion.json", path)
    first = node.fingerprint_inputs(file=path.name)
    path.touch()
    assert node.fingerprint_inputs(file=path.name) != first


@pytest.mark.parametrize(
    ("content", "words"),
    [("[]", "keypoints"), ('[{"people": [', "damaged.json"), ('{"a": 1}', "keypoints frame 0")],
    ids=["no frames", "cut short", "no poses"],
)
def test_unusable_keypoints_are_refused(run_node, base, content, words):
    (base / "input" / "damaged.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        run_node("LoadKeypoints", file="damaged.json")


def test_a_clip_gives_the_features_of_its_pictures(run_node, load, base):
    from comfy_api.input_impl import VideoFromFile

    loaded = load()
    shutil.copy(INPUTS / "motion.mp4", base / "input" / "motion.mp4")
    video = VideoFromFile(str(base / "input" / "motion.mp4"))
    options = {"pose_guider": loaded.pose_guider, "width": 32, "height": 0}
    streamed = run_node("EncodePose", video=video, keep="features", **options)
    pictures = run_node("EncodePose", video=video, keep="pictures", **options)
    image = video.get_components().images
    whole = run_node("EncodePose", image=image, keep="automatic", **options)
    assert streamed.features.shape == (24, 16, 4, 4)
    assert pictures.pictures.shape == (24, 32, 32, 3)
    assert pictures.pictures.dtype == torch.uint8
    assert torch.allclose(streamed.features, whole.features, atol=0.05)


def test_skeletons_with_red_and_blue_exchanged_are_put_in_order(run_node, load, skeletons, caplog):
    options = {"pose_guider": load().pose_guider, "width": 64, "height": 64, "keep": "pictures"}
    parts = {"hands": True, "face": True, "body": True}
    drawn = run_node("DrawPose", keypoints=skeletons, width=128, height=128, **parts)
    wanted = run_node("EncodePose", image=drawn, **options).pictures
    assert "exchanged" not in caplog.text
    result = run_node("EncodePose", image=drawn.flip(-1), **options).pictures
    assert "image: red and blue of its skeletons are exchanged" in caplog.text
    assert torch.equal(result, wanted)


def test_pose_needs_one_of_image_and_video(run_node, load):
    options = {"pose_guider": load().pose_guider, "width": 0, "height": 0, "keep": "automatic"}
    with pytest.raises(ValueError, match="image and video got nothing; connect"):
        run_node("EncodePose", **options)


@pytest.fixture
def skeletons(run_node):
    """Return the first ten poses of an example, more than a chunk, on a canvas of 128 pixels."""
    return run_node("LoadExample", character="character.png", motion="motion.json")[1][:10]


def test_keypoints_are_encoded_as_their_drawing_is(run_node, load, skeletons):
    options = {"pose_guider": load().pose_guider, "width": 0, "height": 0}
    drawn = run_node(
        "DrawPose", keypoints=skeletons, width=64, height=0, hands=True, face=True, body=True
    )
    want = run_node("EncodePose", image=drawn, keep="features", **options)
    options["width"] = 64
    found = run_node("EncodePose", keypoints=skeletons, keep="automatic", **options)
    assert found.size == want.size
    assert torch.equal(found.features, want.features)


def test_keypoints_of_long_clips_are_drawn_when_they_are_needed(run_node, load, skeletons, pack):
    options = {"pose_guider": load().pose_guider, "width": 64, "height": 0}
    kept = run_node("EncodePose", keypoints=skeletons, keep="features", **options)
    drawn = run_node("EncodePose", keypoints=skeletons, keep="pictures", **options)
    assert drawn.features is drawn.pictures is None
    assert len(drawn) == len(kept) == 10
    rows = type("Rows", (), {"scene": type("Scene", (), {"pose": drawn}), "area": None})
    latents, frames = torch.zeros(1, 4, 3, 8, 8), [9, 0, 4]
    features = pack("nodes.sampler.denoiser").pose_features(rows, frames, latents)
    assert torch.allclose(features[0].movedim(1, 0), kept.features[frames], atol=1e-5)


def test_poses_come_from_one_input(run_node, load, skeletons):
    options = {"pose_guider": load().pose_guider, "width": 0, "height": 0, "keep": "automatic"}
    image = torch.zeros(1, 8, 8, 3)
    with pytest.raises(ValueError, match="image got a value beside keypoints, which takes its"):
        run_node("EncodePose", keypoints=skeletons, image=image, **options)
    wide = [skeletons[0] | {"canvas_width": 16000, "canvas_height": 8000}]
    with pytest.raises(ValueError, match=r"got 16000x8000 pixels from the canvas.* at most 4096"):
        run_node("EncodePose", keypoints=wide, **options)


def test_a_reference_takes_the_size_of_the_pose(run_node, load, skeletons, pack):
    loaded = load()
    options = {"pose_guider": loaded.pose_guider, "width": 40, "height": 24, "keep": "features"}
    pose = run_node("EncodePose", keypoints=skeletons[:1], **options)
    networks = {name: getattr(loaded, name) for name in ("vae", "clip_vision", "reference_net")}
    inputs = {"image": torch.rand(1, 48, 48, 3), "width": 0, "height": 0, **networks}
    found = run_node("EncodeReference", pose=pose, **inputs)
    assert found.features[0].shape[1] == 5 * 3
    with pytest.raises(ValueError, match="pose_image got a value beside pose"):
        run_node("EncodeReference", pose=pose, pose_image=torch.zeros(1, 8, 8, 3), **inputs)


def test_sizes_become_multiples_of_eight(run_node, load):
    options = {"pose_guider": load().pose_guider, "width": 0, "height": 0, "keep": "features"}
    pose = run_node("EncodePose", image=torch.rand(2, 61, 43, 3), **options)
    assert (pose.size.width, pose.size.height) == (40, 64)
    assert pose.features.shape == (2, 16, 8, 5)


def test_transparent_references_stand_on_white(run_node, load):
    loaded = load()
    clear = torch.rand(1, 64, 64, 4)
    clear[..., 3] = 0
    networks = {
        "vae": loaded.vae,
        "clip_vision": loaded.clip_vision,
        "reference_net": loaded.reference_net,
        "width": 0,
        "height": 0,
    }
    seen = run_node("EncodeReference", image=clear, **networks)
    white = run_node("EncodeReference", image=torch.ones(1, 64, 64, 3), **networks)
    assert torch.allclose(seen.token, white.token)
    assert torch.allclose(seen.features[0], white.features[0], atol=1e-5)
    beside = {"image": clear[..., :3], "mask": torch.ones(1, 64, 64)}
    assert torch.allclose(run_node("EncodeReference", **beside, **networks).token, white.token)


def test_transparent_skeletons_stand_on_black(run_node, load):
    options = {"pose_guider": load().pose_guider, "width": 0, "height": 0, "keep": "pictures"}
    clear = torch.rand(2, 64, 64, 3)
    whole, empty = torch.zeros(1, 64, 64), torch.ones(1, 64, 64)
    for image in (
        {"image": torch.cat([clear, 0 * clear[..., :1]], -1)},
        {"image": clear, "mask": empty},
    ):
        assert not run_node("EncodePose", **image, **options).pictures.any()
    # Load Image gives a small empty mask where a picture is not transparent.
    for mask in (whole, torch.zeros(1, 8, 8)):
        assert run_node("EncodePose", image=clear, mask=mask, **options).pictures.any()
    with pytest.raises(ValueError, match="mask got 1 of 8x8, but image has 2 of 64x64"):
        run_node("EncodePose", image=clear, mask=torch.ones(1, 8, 8), **options)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 8, 8, 2)], ids=["empty", "two channels"])
def test_images_that_are_none_are_refused(run_node, load, shape):
    options = {"pose_guider": load().pose_guider, "width": 0, "height": 0, "keep": "automatic"}
    with pytest.raises(ValueError, match="image got"):
        run_node("EncodePose", image=torch.rand(shape), **options)


def test_the_example_files_are_small():
    sizes = {path.name: path.stat().st_size for path in INPUTS.iterdir()}
    assert sum(sizes.values()) < 300_000, sizes
    assert json.loads((INPUTS / "motion.json").read_text())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_become_bytes_without_turning_their_channels(pack, monkeypatch, channels):
    convert = pack("nodes.comfyui.convert")
    image = torch.rand(3, 5, 4, channels) * 1.2 - 0.1
    expected = convert.image_to_bytes(convert.frames_to_image(convert.image_to_frames(image, "x")))
    monkeypatch.delattr(convert, "frames_to_image")
    found = np.concatenate(list(convert.image_chunks(image, "x", 2)))
    assert np.array_equal(found, expected)


def test_pixels_are_copied_only_to_be_cut(pack):
    convert = pack("nodes.comfyui.convert")
    image = torch.rand(2, 5, 4, 3)
    assert convert._rgb(image, "x", "white").data_ptr() == image.data_ptr()
    assert convert._rgb(image - 0.5, "x", "white").min() == 0
    turned = torch.rand(2, 3, 5, 4).movedim(1, -1)  # an IMAGE whose memory lies as frames
    frames = convert.image_to_frames(turned, "x")
    assert torch.equal(frames, turned.movedim(-1, 1))
    assert frames.data_ptr() != turned.data_ptr()
    for bad in (float("nan"), float("inf"), -float("inf")):
        image[1, 2, 3, 0] = bad
        with pytest.raises(ValueError, match="x got NaN or infinite pixels"):
            convert.image_to_frames(image, "x")
