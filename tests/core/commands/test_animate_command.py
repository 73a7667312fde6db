import json
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from core.pose import fake_models as fake
from PIL import Image
from safetensors.torch import save_file

from animate_anyone import memory
from animate_anyone.__main__ import main
from animate_anyone.animate import sampling_of
from animate_anyone.animate.room import require_room_for_clip
from animate_anyone.commands import making
from animate_anyone.diffusion.sampler_table import SAMPLERS, Sampler
from animate_anyone.errors import InputError
from animate_anyone.media import VideoWriter, clip_info, frames_of, read_picture
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.files.keypoints import read_keypoints, write_keypoints
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size
from animate_anyone.weights.load import load_models


@pytest.fixture
def inputs(tmp_path, tiny_bundle):
    """Return a folder with a reference and keypoints, and the arguments that name them."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (48, 32, 3), np.uint8)).save(tmp_path / "figure.png")
    xy = rng.uniform(10, 60, (6, 1, 18, 2))
    write_keypoints(tmp_path / "poses.json", body_clip(Size(64, 96), xy))
    return tmp_path, {
        "reference": tmp_path / "figure.png",
        "poses": tmp_path / "poses.json",
        "out": tmp_path / "out" / "clip.mp4",
        "models": tiny_bundle,
        "overlap": 2,
        "device": "cpu",
    }


def arguments(options, *more, **changes):
    flags = {**options, **changes}
    words = [f"--{name}={value}" for name, value in flags.items()]
    return ["animate", *words, *more]


def test_keypoints_become_a_video_at_the_presets_short_side(inputs):
    folder, options = inputs
    assert main(arguments(options, sheet=folder / "sheet.png")) == 0

    info = clip_info(options["out"])
    assert (info.frames, info.size, info.fps) == (6, Size(32, 48), 30)
    assert read_picture(folder / "sheet.png").shape[2] == 3 * (128 + 2)
    assert [path.name for path in (folder / "out").iterdir()] == ["clip.mp4"]


def test_a_lora_changes_the_video_by_its_strength(inputs, capsys):
    folder, options = inputs
    tensors = {"up.weight": torch.ones(8, 1, 1, 1), "down.weight": torch.ones(1, 4, 3, 3)}
    named = {f"lora_unet_conv_in.lora_{key}": value for key, value in tensors.items()}
    save_file(named, folder / "some.safetensors")

    def seen(strength):
        flag = f"--lora={folder / 'some.safetensors'}:{strength}"
        assert main(arguments(options, flag, out=folder / "clip.mp4", frames=1, steps=1)) == 0
        return (folder / "clip.mp4").read_bytes()

    off, on = seen(0), seen(1)
    assert main(arguments(options, out=folder / "clip.mp4", frames=1, steps=1)) == 0
    assert off == (folder / "clip.mp4").read_bytes() != on
    assert main(arguments(options, f"--lora={folder / 'none.safetensors'}")) == 2
    assert "none.safetensors', where no file is" in capsys.readouterr().err


def test_the_shipped_weights_have_a_name(inputs, capsys):
    _, options = inputs
    assert main(arguments({**options, "models": "aa-mini"}, "--dry-run")) == 0
    assert "aa-mini" in capsys.readouterr().out.splitlines()[0]


def test_a_foreground_mask_makes_the_result_transparent(inputs, capsys):
    folder, options = inputs
    mask = np.zeros((48, 32), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    flag = f"--foreground-mask={folder / 'mask.png'}"
    assert main(arguments(options, flag, out=folder / "clip.mov")) == 0

    with av.open(str(folder / "clip.mov")) as container:
        pictures = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    assert len(pictures) == 6
    assert all(np.abs(each[..., 3].astype(int) - mask).max() <= 3 for each in pictures)
    assert main(arguments(options, flag)) == 2
    assert "'clip.mp4'; .mp4 files hold no transparency. Choose .webm" in capsys.readouterr().err
    assert not (folder / "out" / "clip.mp4").exists()


def test_skeleton_video_drives_with_its_speed_and_sound(inputs):
    folder, options = inputs
    with av.open(str(folder / "motion.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(24))
        sound = container.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = 64, 96, "yuv420p"
        sound.codec_context.layout = "mono"
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(np.zeros((96, 64, 3), np.uint8), format="rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for index in range(16):
            tone = av.AudioFrame.from_ndarray(
                np.full((1, 1024), 500, np.int16), format="s16", layout="mono"
            )
            tone.sample_rate, tone.pts = 48000, 1024 * index
            container.mux(sound.encode(tone))
        container.mux(sound.encode(None))

    assert main(arguments(options, poses=folder / "motion.mp4")) == 0
    info = clip_info(options["out"])
    assert (info.frames, info.fps, info.has_audio) == (8, 24, True)
    assert main(arguments(options, "--no-audio", poses=folder / "motion.mp4", fps=12)) == 0
    info = clip_info(options["out"])
    assert (info.frames, info.fps, info.has_audio) == (4, 12, False)


def test_folder_of_pictures_drives_too(inputs):
    folder, options = inputs
    (folder / "motion").mkdir()
    for index in range(3):
        Image.new("RGB", (64, 96)).save(folder / "motion" / f"{index}.png")

    assert main(arguments(options, poses=folder / "motion", fps="25/2")) == 0
    assert clip_info(options["out"]).fps == Fraction(25, 2)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Return the arguments that name networks which follow coloured markers."""
    folder = tmp_path_factory.mktemp("networks")
    detector = fake.seeking_detector(folder / "d.onnx", box=(50, 70))
    estimator = fake.colour_estimator(folder / "e.onnx")
    return {"detector": detector, "estimator": estimator, "provider": "cpu"}


def person_at(x, y):
    offsets = {0: (0, -40), 5: (20, -10), 6: (-19, -10), 9: (30, 20), 15: (-10, 45)}
    markers = {k: (x + dx, y + dy) for k, (dx, dy) in offsets.items()}
    return fake.picture((240, 320), markers, [(x, y)])


def test_video_of_a_person_is_followed_and_fitted_to_the_reference(
    inputs, networks, caplog, monkeypatch
):
    folder, options = inputs
    Image.fromarray(person_at(160, 120)[:, 40:280]).save(folder / "figure.png")
    with VideoWriter(folder / "person.mp4", Size(320, 240), 30) as writer:
        writer.write(np.stack([person_at(90 + 8 * frame, 120) for frame in range(5)]))
    drawn = []
    monkeypatch.setattr(
        "animate_anyone.commands.driving.draw_frame",
        lambda clip, frame, size, **_: (
            drawn.append(clip) or np.zeros((size.height, size.width, 3), np.uint8)
        ),
    )
    options = {**options, **networks, "poses": folder / "person.mp4", "driving": "video"}
    caplog.set_level("INFO")

    assert main(arguments(options, "--match-frame=1", anchor="nose")) == 0
    assert clip_info(options["out"]).size == Size(32, 32)  # the reference's shape
    assert len(drawn) == 5
    # Pictures much larger than the result are reduced: here from 240 pixels.
    assert drawn[0].canvas == Size(128, 128)
    assert np.abs(drawn[0].body.xy[1, 0, 0] - (64, 42.7)).max() < 1.5
    assert "5 frames, at most 1 people in one" in caplog.text
    assert "retargeting: mode limb" in caplog.text

    assert main(arguments(options, retarget="none", frames=2)) == 0
    assert clip_info(options["out"]).size == Size(40, 32)  # the video's shape
    assert drawn[-1].canvas == Size(320, 240)
    assert len(drawn[-1]) == 2


def test_reference_without_a_person_gives_a_warning_and_a_clip(inputs, networks, caplog):
    _, options = inputs
    options = {**options, **networks, "retarget": "limb"}
    caplog.set_level("INFO")

    assert main(arguments(options)) == 0
    assert caplog.text.count("the reference shows no person") == 1
    assert clip_info(options["out"]).frames == 6


def test_drawn_skeletons_are_read_to_be_fitted(inputs, networks, caplog):
    folder, options = inputs
    xy = np.random.default_rng(2).uniform(100, 400, (1, 1, 18, 2)).repeat(3, 0)
    pictures = draw_pose(body_clip(Size(512, 512), xy))
    with VideoWriter(folder / "motion.mp4", Size(512, 512), 12) as writer:
        writer.write(pictures)
    caplog.set_level("INFO")
    options = {**options, **networks, "poses": folder / "motion.mp4"}

    assert main(arguments(options, retarget="uniform")) == 0
    assert "motion.mp4: read as a clip of drawn skeletons" in caplog.text
    assert "3 frames, 0 of them without a skeleton" in caplog.text
    assert clip_info(options["out"]).size == Size(32, 48)


def test_size_is_snapped_and_reported(inputs, caplog):
    _, options = inputs
    assert main(arguments(options, size="30x30", frames=2)) == 0

    assert clip_info(options["out"]).size == Size(32, 32)
    assert "size 30x30: sides must be multiples of 8, taking 32x32" in caplog.text


@pytest.fixture
def small_machine(monkeypatch):
    """Let the machine have 100 MB; the tests need less than that."""
    monkeypatch.setattr(memory, "most_memory", lambda: 100_000_000)


def test_a_size_that_memory_can_never_hold_is_refused_first(inputs, small_machine, capsys):
    _, options = inputs
    assert main(arguments(options, size="32x48", frames=2, steps=1)) == 0
    told = options["out"].stat().st_mtime_ns
    assert main(arguments(options, size="4096x4096", models="none.safetensors")) == 2
    assert "none.safetensors" in capsys.readouterr().err
    assert main(arguments(options, size="4096x4096")) == 2
    said = capsys.readouterr().err
    assert "size got 4096x4096 pixels for 6 frames; that needs more than" in said
    assert "0.1 GB, swap included. Choose a smaller size, or fewer frames at once" in said
    assert "sampling" not in said
    assert options["out"].stat().st_mtime_ns == told
    assert main(arguments(options, "--dry-run", size="4096x4096")) == 0
    assert "refused     size got 4096x4096 pixels for 6 frames" in capsys.readouterr().out


def test_a_frame_that_memory_can_never_decode_is_refused(tiny_bundle, tiny, small_machine):
    models, size = load_models(tiny_bundle, preset=None), Size(2000, 2000)
    plan = (tiny.preset, 1, size, sampling_of(tiny.preset), torch.device("cpu"), 4)
    require_room_for_clip(*plan)
    with pytest.raises(InputError, match="2000x2000 pixels for 1 frame;"):
        require_room_for_clip(*plan, models.autoencoder)
    require_room_for_clip(*plan[:-2], torch.device("cuda"), 4, models.autoencoder)


def test_dry_run_prints_the_plan_and_writes_nothing(inputs, capsys):
    _, options = inputs
    assert main(arguments(options, "--dry-run")) == 0

    printed = capsys.readouterr().out
    assert "size        32x48 (motion 64x96)" in printed
    assert "motion      keypoints, retargeting none" in printed
    assert "frames      6 at 30 fps, 0.20 s" in printed
    assert "speed       30 frames per second, assumed; the file names no speed" in printed
    assert "windows     2 of 4 frames per step, overlap 2" in printed
    assert "UNet calls  6 of 8 frame rows" in printed
    assert "MB estimated" in printed
    assert not options["out"].parent.exists()


def test_dry_run_tells_the_guided_and_the_full_steps_and_the_memory_of_the_cache(inputs, capsys):
    _, options = inputs
    words = ["--steps=20", "--step-cache=3", "--guidance-interval", ".25", ".75", "--dry-run"]
    assert main(arguments(options, *words, size="320x480")) == 0
    printed = capsys.readouterr().out
    assert "steps       20 of ddim, cfg 2 in steps 6 to 15, 9 of them in full" in printed
    assert "step cache 1;" in printed  # 2 rows, 2 windows of 4 frames, 60x40, 8 channels, float32


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--guidance-interval", ".8", ".2"], "guidance interval got from 0.8 until 0.2"),
        (["--guidance-interval", ".4", ".45"], "with 3 steps it has none of them"),
        (["--step-cache", "4"], "step_cache got 4 with 3 steps"),
        (["--step-cache", "0"], "step_cache got 0"),
    ],
)
def test_bad_intervals_and_caches_are_refused_before_anything_is_computed(
    inputs, capsys, words, message
):
    _, options = inputs
    assert main(arguments(options, *words)) == 2
    assert message in capsys.readouterr().err
    assert not options["out"].parent.exists()


def test_several_references_are_read_and_their_strengths_checked(inputs, capsys):
    folder, options = inputs
    Image.new("RGB", (20, 70), "teal").save(folder / "back.png")
    clips = []
    for strengths in ("1 1", "1 0", None):
        words = arguments(options, sheet=folder / "sheet.png")
        words += ["--reference", str(options["reference"])]
        if strengths is not None:
            words += [str(folder / "back.png"), "--reference-strength", *strengths.split()]
        assert main(words) == 0
        clips.append(options["out"].read_bytes())
    assert clips[1] == clips[2] != clips[0]
    words = [*arguments(options), "--reference", *[str(options["reference"])] * 3]
    assert main([*words, "--dry-run", "--reference-strength", "1", "0", "2"]) == 0
    assert "references  2, of which attention sees all" in capsys.readouterr().out
    for strengths, message in (
        ("1 1", "reference-strength got 2 values for 3 reference pictures"),
        ("1 1 nan", "reference-strength got 1, 1, nan; each must be a finite number"),
        ("0 0 0", "reference-strength got 0, 0, 0; 0 leaves a picture out, and none"),
    ):
        assert main([*words, "--reference-strength", *strengths.split()]) == 2
        assert message in capsys.readouterr().err
    assert main([*words, *[str(options["reference"])] * 6]) == 2
    assert "reference got 9 pictures; one to 8" in capsys.readouterr().err


def test_every_person_has_a_reference_of_its_own(inputs, capsys):
    folder, options = inputs
    Image.new("RGB", (32, 48), "teal").save(folder / "other.png")
    xy = np.random.default_rng(1).uniform(10, 30, (2, 2, 18, 2))
    xy[:, 1, :, 0] += 64
    write_keypoints(folder / "two.json", body_clip(Size(128, 48), xy))
    pictures = [str(options["reference"]), str(folder / "other.png")]
    clips = []
    for words in ([], ["--per-person"], ["--per-person", "--chunk", "5"]):
        words = [*arguments(options, poses=folder / "two.json"), "--reference", *pictures, *words]
        assert main(words) == 0
        clips.append(options["out"].read_bytes())
    assert clips[0] != clips[1] == clips[2]
    write_keypoints(folder / "nobody.json", body_clip(Size(128, 48), np.zeros((2, 0, 18, 2))))
    words = [*arguments(options, poses=folder / "nobody.json"), "--per-person", "--reference"]
    assert main([*words, *pictures]) == 2
    assert "persons got a motion in which nobody was found" in capsys.readouterr().err
    words = [*arguments(options, poses=folder / "two.json"), "--per-person", "--dry-run"]
    assert main([*words, "--reference", *pictures]) == 0
    assert "each of another person; attention runs once more for each" in capsys.readouterr().out
    for references, more, message in (
        (pictures[:1], [], "1 pictures for 2 persons; person 2 of the clip has no reference"),
        ([*pictures, pictures[0]], [], "3 pictures for 2 persons; picture 3 belongs to nobody"),
        (pictures, ["--retarget=limb"], "retarget got limb with per-person"),
    ):
        words = [*arguments(options, poses=folder / "two.json"), "--per-person", *more]
        assert main([*words, "--reference", *references]) == 2
        assert message in capsys.readouterr().err


def test_strengths_in_parts_of_the_run(inputs, capsys):
    _, options = inputs
    clips = []
    for words in (
        [],
        ["--pose-strength", "1", "--pose-interval", "0", "1", "--reference-interval", "0", "1"],
        ["--reference-interval", "0", ".5"],
        ["--pose-strength", ".5", "--pose-interval", ".3", "1"],
    ):
        assert main([*arguments(options, frames=2), *words]) == 0
        clips.append(options["out"].read_bytes())
    assert clips[0] == clips[1]
    assert len({*clips}) == 3
    for words, message in (
        (["--pose-interval", ".7", ".2"], "pose interval got from 0.7 until 0.2"),
        (["--reference-interval", ".4", ".45"], "reference interval got from 0.4 until 0.45; with"),
    ):
        assert main([*arguments(options), *words]) == 2
        assert message in capsys.readouterr().err


def test_dry_run_needs_no_weights_for_a_known_preset(inputs, capsys):
    _, options = inputs
    del options["models"]
    assert main(arguments(options, "--dry-run", preset="moore")) == 0

    assert "512x768" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps got 0; it must be a whole number in 1..1000"),
        ({"cfg": 0.9}, "cfg got 0.9; it must be 1 or more"),
        ({"window": 7, "frames": 6, "poses": "long"}, "window got 7 frames; the motion modules"),
        ({"window": 0}, "window length got 0; it must be 1 frame or more"),
        ({"overlap": 4}, "window overlap got 4; it must be at least 0 and less than"),
        ({"frames": 0}, "frames got 0; a clip needs 1 or more"),
        ({"fps": 0}, "fps got 0; it must lie in 0.001..1000"),
        ({"out": "clip.gif"}, "out got 'clip.gif'; video is written as .mp4"),
        ({"reference": "gone.png"}, "picture got gone.png; there is no such file"),
        ({"poses": "gone.json"}, "keypoints got gone.json; cannot read it"),
        ({"poses": "gone.mp4"}, "frames got gone.mp4; there is no such file or folder"),
        ({"models": "gone.safetensors"}, "gone.safetensors"),
        ({"strength": 2, "retarget": "limb"}, "strength got 2.0; it must lie within 0 and 1"),
        ({"pose-strength": -1}, "pose strength got -1; it must be a finite number of 0 or more"),
        ({"anchor": "tail"}, "anchor got 'tail'; it must be one of"),
        ({"detector": "d.onnx"}, "estimator got nothing; detector and estimator must be named"),
        ({"device": "warp"}, "device got 'warp'; it cannot be used here"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_gives_one_line_and_no_file(inputs, capsys, changes, message):
    folder, options = inputs
    if changes.get("poses") == "long":
        xy = np.random.default_rng(0).uniform(10, 60, (9, 1, 18, 2))
        write_keypoints(folder / "long.json", body_clip(Size(64, 96), xy))
        changes = {"window": 7, "poses": folder / "long.json"}
    assert main(arguments(options, **changes)) == 2

    assert message in capsys.readouterr().err
    assert not list(folder.glob("**/*.mp4"))


def test_empty_keypoints_are_refused(inputs, capsys):
    folder, options = inputs
    (folder / "poses.json").write_text("[]")

    assert main(arguments(options)) == 2
    assert "keypoints got []" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["animate", "demo"])
def test_commands_keep_no_network_that_sampling_does_not_need(inputs, monkeypatch, command):
    from animate_anyone.animate import clip as flow
    from animate_anyone.weights import load

    _, options = inputs
    refs, alive = {}, []
    open_models, denoise = load.load_models, flow.denoise

    def opened(*args, **more):
        models = open_models(*args, **more)
        names = ("reference_net", "image_encoder", "denoiser", "autoencoder")
        refs.update({name: weakref.ref(getattr(models, name)) for name in names})
        return models

    def seen(*args, **more):
        alive.append({name for name, ref in refs.items() if ref() is not None})
        return denoise(*args, **more)

    monkeypatch.setattr(load, "load_models", opened)
    monkeypatch.setattr(flow, "denoise", seen)
    if command == "demo":
        options = {name: options[name] for name in ("models", "out", "device")}
        options |= {"steps": 1, "provider": "cpu"}
    _, *words = arguments(options, frames=2)
    assert main([command, *words]) == 0
    assert alive == [{"denoiser", "autoencoder"}]


def test_interrupt_ends_quietly_and_leaves_no_file(inputs, monkeypatch, capsys):
    folder, options = inputs

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("animate_anyone.animate.prediction.predict_in_windows", interrupted)
    assert main(arguments(options)) == 130
    assert "animate: interrupted" in capsys.readouterr().err
    assert not list((folder / "out").iterdir())


def test_full_disk_while_decoding_is_named_and_leaves_no_file(inputs, small_disk, capsys):
    folder, options = inputs
    with small_disk(256):
        code = main(arguments(options))

    assert code == 2
    assert "clip.mp4; it cannot be written (File too large)" in capsys.readouterr().err
    assert not list((folder / "out").iterdir())


def test_video_with_fewer_frames_than_announced_gives_a_shorter_clip(inputs, caplog, monkeypatch):
    folder, options = inputs
    with VideoWriter(folder / "motion.mp4", Size(64, 96), 30) as writer:
        writer.write(np.zeros((5, 96, 64, 3), np.uint8))
    frames = list(frames_of(folder / "motion.mp4"))[:3]
    monkeypatch.setattr("animate_anyone.commands.driving.frames_of", lambda *_: iter(frames))

    assert main(arguments(options, poses=folder / "motion.mp4")) == 0
    assert clip_info(options["out"]).frames == 3
    assert "the file lists 5 frames, but 3 could be read" in caplog.text


def test_a_sampler_added_to_the_table_is_used_and_reported(inputs, monkeypatch, capsys):
    _, options = inputs
    seen = []

    def still(run, latents):
        seen.append(run.steps)
        return run.model(latents, run.schedule.timesteps(run.steps)[0], 0)

    monkeypatch.setitem(
        SAMPLERS, "still", Sampler(summary="", scheduler="DDIMScheduler", loop=still)
    )
    options = {**options, "sampler": "still", "steps": 3}

    assert main(arguments(options, "--dry-run")) == 0
    assert "3 of still" in capsys.readouterr().out
    assert main(arguments(options)) == 0
    assert seen == [3]
    assert clip_info(options["out"]).frames == 6


def test_sheet_keeps_frames_from_first_to_last():
    sheet = making._Sheet(20)
    for start in range(0, 20, 8):
        values = np.arange(start, min(start + 8, 20), dtype=np.uint8)
        frames = np.tile(values[:, None, None, None], (1, 4, 4, 3))
        sheet.add(frames, frames)

    assert [frame[0, 0, 0] for frame in sheet._kept] == [0, 3, 5, 8, 11, 14, 16, 19]


def test_keypoints_are_shown_at_the_speed_that_their_file_names(inputs, capsys, caplog):
    _, options = inputs
    caplog.set_level("INFO")
    write_keypoints(options["poses"], read_keypoints(options["poses"]), 12)
    assert main(arguments(options, "--dry-run")) == 0
    assert "frames      6 at 12 fps, 0.50 s" in capsys.readouterr().out
    assert "poses.json: 12 frames per second, as the file names" in caplog.text
    assert main(arguments(options, "--dry-run", fps=24)) == 0
    assert "frames      6 at 24 fps, 0.25 s" in (said := capsys.readouterr().out)
    assert "24 frames per second, as --fps says; instead of 12 as the file names" in said


def test_a_folder_of_one_file_per_frame_drives_with_its_canvas(inputs, capsys, caplog):
    folder, options = inputs
    take = folder / "take"
    take.mkdir()
    body = [value for joint in range(18) for value in (10.0 + joint, 20.0 + joint, 1.0)]
    for frame in range(11):
        record = {"version": 1.3, "people": [{"pose_keypoints_2d": body}]}
        (take / f"{frame}.json").write_text(json.dumps(record))
    (take / "about.json").write_text('{"fov": 60}')
    words = arguments(options, "--dry-run", poses=take)
    assert main(words) == 2
    assert "pass its size (--canvas WxH" in capsys.readouterr().err
    assert main([*words, "--canvas=64x96"]) == 0
    assert "(motion 64x96)" in (said := capsys.readouterr().out)
    assert "11 at 30 fps" in said
    assert "files that are no frames were skipped: about.json" in caplog.text


def test_a_canvas_for_pictures_is_refused(inputs, capsys, caplog):
    folder, options = inputs
    pictures = folder / "pictures"
    pictures.mkdir()
    Image.fromarray(np.zeros((48, 32, 3), np.uint8)).save(pictures / "0.png")
    (pictures / "0.json").write_text("{}")
    assert main(arguments(options, "--dry-run", poses=pictures)) == 0
    assert "read as pictures; its 1 JSON files are passed over" in caplog.text
    assert main(arguments(options, poses=pictures, canvas="64x96")) == 2
    assert "holds pictures, which have a size of their own" in capsys.readouterr().err
