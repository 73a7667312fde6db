"""Options have the same name in every command; former names still work."""

import argparse
from dataclasses import replace

import pytest

from animate_anyone.__main__ import command_line, main
from animate_anyone.animate import sampling_of
from animate_anyone.commands.options import parse_size, steps_and_guidance
from animate_anyone.diffusion.guidance import GuidanceInterval
from animate_anyone.weights.sets.aa_mini import AA_MINI

PREPARE = ["prepare", "--clips=c", "--out=d"]
EVALUATE = ["evaluate"]
STAGE = ["train", "stage1", "--folder=r"]
EXPORT = ["train", "export", "--folder=r"]
RETARGET = ["pose", "retarget", "k.json", "r.png", "--out=o.json"]
PAIR = ["--pose-models", "d.onnx", "e.onnx"]
NEW_PAIR = ["--detector=d.onnx", "--estimator=e.onnx"]
# The command, the option as it was, and as it is.
RENAMED = [
    (PREPARE, PAIR, NEW_PAIR),
    (EVALUATE, PAIR, NEW_PAIR),
    (STAGE, PAIR, NEW_PAIR),
    (PREPARE, ["--frames=jpg"], ["--pictures=jpg"]),
    (STAGE, ["--weights=aa-mini"], ["--models=aa-mini"]),
    (["ablations", "--folder=r"], ["--weights", "a=b", "c=d"], ["--models", "a=b", "c=d"]),
    (RETARGET, ["--mode=uniform"], ["--retarget=uniform"]),
    (EXPORT, ["--target", "w"], ["--out", "w"]),
    (["download", "moore"], ["--to", "w"], ["--out", "w"]),
    (["download", "moore"], ["--folder", "w"], ["--out", "w"]),
    *(
        (["mini", step, "--folder=r"], ["--target", "w"], ["--out", "w"])
        for step in ("export", "pose-export", "lora", "control")
    ),
]
IDS = [f"{' '.join(command[:2])} {old[0]}" for command, old, _ in RENAMED]


@pytest.mark.parametrize(("command", "old", "new"), RENAMED, ids=IDS)
def test_an_old_name_means_the_new_one_and_says_so(command, old, new, caplog):
    parser = command_line()
    now = parser.parse_args([*command, *new])
    assert not caplog.text
    assert vars(parser.parse_args([*command, *old])) == vars(now)
    names = " and ".join(word.split("=")[0] for word in new if word.startswith("--"))
    assert f"{old[0].split('=')[0]} is now called {names}; the old name still works" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("command", "old", "new"), RENAMED, ids=IDS)
def test_help_shows_only_the_new_name(command, old, new, capsys):
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    words = {word.strip("[],") for word in capsys.readouterr().out.split()}
    assert new[0].split("=")[0] in words
    assert old[0].split("=")[0] not in words


@pytest.mark.parametrize("command", [EXPORT, ["download", "moore"], ["mini", "lora", "--folder=r"]])
def test_a_missing_output_is_refused(command, capsys):
    with pytest.raises(SystemExit):
        main(command)
    assert "--out is required" in capsys.readouterr().err


def test_both_names_at_once_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["download", "moore", "--out=a", "--to=b"])
    assert "not allowed with argument --out" in capsys.readouterr().err


@pytest.mark.parametrize("command", [STAGE, EVALUATE, PREPARE, ["pose", "extract", "v", "--out=k"]])
def test_every_command_has_the_same_options_for_the_pose_pair(command):
    options = command_line().parse_args([*command, *NEW_PAIR])
    assert (options.detector.name, options.estimator.name) == ("d.onnx", "e.onnx")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seed=18446744073709551616",), "is not a whole number from -2^63 to 2^64 - 1"),
        (("--seed=x",), "is not a whole number"),
        (("--character=-1",), "is not a whole number of 0 or more"),
        (("--driver=-1",), "is not a whole number of 0 or more"),
    ],
)
def test_numbers_that_no_generator_takes_are_refused(words, told, capsys):
    with pytest.raises(SystemExit):
        main(["demo", *words])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("text", ["100000x100000", "99999999999999999999x8", "16385x8"])
def test_sizes_beyond_what_a_video_can_have_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="more than 16384 pixels"):
        parse_size(text)
    assert parse_size("16384x8").width == 16384


def test_a_device_without_values_is_refused(tmp_path, capsys):
    assert main(["demo", "--device=meta", f"--out={tmp_path / 'x.mp4'}"]) == 2
    assert "device got 'meta'; it cannot be used here" in capsys.readouterr().err


def test_interval_and_step_cache_reach_the_sampling_of_evaluate(caplog):
    words = ["--guidance-interval", "0.25", "0.75", "--step-cache", "2"]
    usual = replace(sampling_of(AA_MINI), steps=20, guidance=3.5)
    changes = steps_and_guidance(command_line().parse_args(["evaluate", *words]), usual)
    assert changes == {"step_cache": 2, "interval": GuidanceInterval(start=0.25, end=0.75)}
    assert steps_and_guidance(command_line().parse_args(["evaluate"]), usual) == {}
    assert not caplog.text
    steps_and_guidance(command_line().parse_args(["evaluate", *words, "--cfg", "1"]), usual)
    assert "--guidance-interval changes nothing" in caplog.text


@pytest.mark.parametrize(("usual", "steps", "told"), [(20, 4, True), (20, 5, False), (1, 1, False)])
def test_far_fewer_steps_than_the_weights_need_are_told(usual, steps, told, caplog):
    options = command_line().parse_args(["evaluate", "--steps", str(steps)])
    steps_and_guidance(options, replace(sampling_of(AA_MINI), steps=usual))
    words = f"steps got {steps}, but these weights are made for {usual}"
    assert (words in caplog.text) is told
