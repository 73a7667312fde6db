"""Work on Ray: the same results as in one process, also when an actor is killed."""

import importlib.util
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from core.dataset.clips_material import character, write_character, write_clip
from core.engines.engine_material import MakeDoubler

from animate_anyone.__main__ import main
from animate_anyone.engines import rays
from animate_anyone.engines.rays import RayEngine
from animate_anyone.errors import PackageError
from animate_anyone.evaluation.protocol import load_protocol

ROOT = Path(__file__).resolve().parents[3]
HAS_RAY = importlib.util.find_spec("ray") is not None
slow_on_ray = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed (pip install ray); not run on it"),
    pytest.mark.filterwarnings("ignore"),
]


def on_ray(test):
    for mark in slow_on_ray:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def ray_here():
    """Start one Ray instance of two processors for all tests of this file."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        folders = (ROOT, ROOT / "tests")  # where its processes find the package and the worker
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        patch.setenv("RAY_worker_niceness", "0")  # else its processes wait for all others
        quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
        ray.init(address="local", num_cpus=2, logging_level=logging.ERROR, **quiet)
        yield
        ray.shutdown()


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@on_ray
def test_a_killed_actor_costs_its_item_another_try_and_nothing_else(
    tmp_path, ray_here, caplog, monkeypatch
):
    monkeypatch.setattr(rays, "PATIENCE_S", 0.05)
    make = MakeDoubler(str(tmp_path), ((3, 1),), warning="half the speed")
    results = dict(RayEngine("local", 1, cpus=0.5).run(make, range(6)))
    assert results == {number: 2 * number for number in range(6)}
    assert len(list(tmp_path.glob("3-*"))) == 1
    assert caplog.text.count("half the speed") == 1
    assert "no worker has begun for 0.05 s" in caplog.text


@on_ray
def test_prepared_files_are_those_of_one_process(tmp_path, ray_here):
    for seed in range(2):
        write_character(tmp_path / "clips", f"{seed}.mp4", seed, 4)
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"nothing")
    words = ["prepare", f"--clips={tmp_path / 'clips'}", f"--poses={tmp_path / 'poses'}"]
    words += ["--size=32x32", "--min-frames=3", "--cache=latents", "--threads=1"]
    assert main([*words, f"--out={tmp_path / 'one'}", "--device=cpu"]) == 0
    on_ray = ["--ray=local", "--workers=1", "--device=cpu"]
    assert main([*words, f"--out={tmp_path / 'ray'}", *on_ray]) == 0
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "one")
    assert len(files_of(tmp_path / "one")) > 10


@on_ray
def test_figures_are_those_of_one_process(tmp_path, ray_here):
    for name in "ab":
        write_clip(tmp_path / "true", name, character(0, 4)[0])
        write_clip(tmp_path / "ours", name, character(ord(name), 4)[0])
    record = {**load_protocol("tiktok").data(), "metrics": ["psnr", "ssim"], "frames": 4}
    del record["name"]
    (tmp_path / "small.json").write_text(json.dumps(record))
    words = ["evaluate", f"--protocol={tmp_path / 'small.json'}", "--threads=1"]
    words += [f"--results={tmp_path / 'ours'}", f"--truth={tmp_path / 'true'}", "--device=cpu"]
    for name, more in (("one", []), ("ray", ["--ray=local", "--workers=1"])):
        assert main([*words, *more, f"--figures={tmp_path / name}.json"]) == 0
    assert (tmp_path / "ray.json").read_text() == (tmp_path / "one.json").read_text()


def test_without_ray_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageError, match=r"pip install ray, or use --workers"):
        RayEngine("local", 2)


@pytest.mark.parametrize("words", [["prepare", "--clips={}", "--out={}"], ["evaluate"]])
def test_commands_without_ray_name_the_way_out(monkeypatch, tmp_path, capsys, words):
    monkeypatch.setitem(sys.modules, "ray", None)
    given = [word.format(tmp_path / f"{number}") for number, word in enumerate(words)]
    assert main([*given, "--ray=local"]) == 2
    assert "Install it with pip install ray, or use --workers" in capsys.readouterr().err
