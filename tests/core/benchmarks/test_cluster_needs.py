"""The arithmetic of what a cluster needs."""

from dataclasses import replace

import pytest

from benchmarks.cluster_needs import Cluster, Operations, lines, training_step, works

FOUND = Operations(
    step=88.64,
    once=1.2,
    encode=1.7,
    decode=3.8,
    token=0.16,
    train=1.9,
    trained=1.7e9,
    parameters=2.2e9,
    frozen=0.4e9,
)
USUAL = Cluster(cards=64, clips=100_000, seconds=10, fps=24, tflops=200, disk=5, network=25)


def test_seconds_and_bytes_of_a_clip():
    animate, prepare = works(FOUND, USUAL)
    # 240 frames are 12 windows of 20 new frames each, at 20 steps.
    sampled = 20 * 12 * 88.64 + 1.2 + 240 * (3.8 + 0.1733)
    assert animate.card_seconds == pytest.approx(sampled / 200, rel=1e-4)
    assert prepare.written == pytest.approx(240 * (512 * 768 * 1.5 + 49152 + 1536 + 1608))
    cards, disk = prepare.hours(USUAL)
    assert cards == pytest.approx(1e5 * prepare.card_seconds / 64 / 3600)
    assert disk == pytest.approx(1e5 * (1e7 + prepare.written) / 5e9 / 3600)


def test_the_bottleneck_is_what_takes_longer():
    rows = "\n".join(lines(FOUND, USUAL))
    assert rows.count("| cards |") == 2
    slow = "\n".join(lines(FOUND, replace(USUAL, disk=0.5)))
    assert slow.count("| disk |") == 1
    assert "5.2 GB of weights for each of 64 processes, 67 s" in rows


def test_more_cards_shorten_the_networks_and_not_the_exchange():
    one, two = (training_step(FOUND, replace(USUAL, cards=cards)) for cards in (32, 64))
    assert one[0] == pytest.approx(2 * two[0])
    assert one[1] == two[1] == pytest.approx(8 * 1.7e9 / 25e9)
