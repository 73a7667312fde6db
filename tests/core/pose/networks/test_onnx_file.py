"""Damaged and hostile ONNX files: small ones cost little, and each is refused in words."""

import os
import random
import time

import pytest

from animate_anyone.errors import WeightsError
from animate_anyone.pose.networks.onnx_file import read_header
from animate_anyone.weights.pose_models import embedded_pose_models

WHOLE = embedded_pose_models()[0].read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x08\x00" + bytes(4_000_000), "a record of number 0, which no file has"),
        (b"\x08\x00" * 2_000_000, "more than 200,000 records"),
    ],
    ids=["zeros", "empty records"],
)
def test_small_files_cost_little(tmp_path, content, words):
    (tmp_path / "x.onnx").write_bytes(content)
    started = time.process_time()
    with pytest.raises(WeightsError, match=words):
        read_header(tmp_path / "x.onnx")
    assert time.process_time() - started < 2  # 4 MB took 5 seconds before


def test_a_pipe_is_refused(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    os.mkfifo(tmp_path / "x.onnx")
    with pytest.raises(WeightsError, match="it is a device or a pipe"):
        read_header(tmp_path / "x.onnx")


def test_damaged_files_are_refused_in_words_or_read(tmp_path):
    path, rng, refused = tmp_path / "x.onnx", random.Random(0), 0
    for _ in range(60):
        damaged = bytearray(WHOLE)
        for _ in range(rng.choice((1, 4, 30))):
            damaged[rng.choice((rng.randrange(200), rng.randrange(len(WHOLE))))] = rng.randrange(
                256
            )
        path.write_bytes(damaged)
        try:
            read_header(path)
        except WeightsError:
            refused += 1
    assert refused > 10
