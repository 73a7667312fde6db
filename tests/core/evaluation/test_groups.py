"""The whole test of drawn characters: fronts, kinds and backs, each with a row of its own."""

import numpy as np
import pytest
import torch

from animate_anyone.animate import sampling_of
from animate_anyone.evaluation.held_out import (
    FRONTS,
    GROUPS,
    OF_GROUP,
    group_pair,
    held_out_pair,
    whole_test_pair,
)
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.evaluation.report import CEILING, COPY, RESULT, evaluate
from animate_anyone.types import Size

SIZE = Size(64, 64)
BACK = GROUPS[-1]


def test_the_whole_test_begins_with_the_fronts_of_before():
    assert load_protocol("mini-kinds").clips == FRONTS + OF_GROUP * len(GROUPS)
    old, new = held_out_pair(3, size=SIZE), whole_test_pair(3, size=SIZE)
    assert torch.equal(old.truth, new.truth)
    assert (new.group, new.further) == ("", ())
    names = [whole_test_pair(FRONTS + number, size=SIZE).name for number in range(6)]
    assert names == [f"{group.title} 0" for group in GROUPS] + [f"{GROUPS[0].title} 1"]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
def test_pairs_of_a_group_are_fixed(group):
    first, again = (group_pair(group, 1, 2, SIZE) for _ in range(2))
    assert torch.equal(first.truth, again.truth)
    assert np.array_equal(first.poses, again.poses)
    assert not torch.equal(first.truth, group_pair(group, 2, 2, SIZE).truth)
    assert first.near is not None
    assert first.near.any()
    assert first.group == group.title


def test_backs_are_asked_from_a_front_and_a_second_picture_shows_the_back():
    for index in range(OF_GROUP):
        pair = group_pair(BACK, index, size=SIZE)
        body, face = pair.skeletons.body, pair.skeletons.face
        assert face.confidence.mean() < 0.1, "at most the end of the jaw"
        assert body.xy[0, 0, 2, 0] > body.xy[0, 0, 5, 0], "the right shoulder is on the right"
        (second,) = pair.further
        assert second.shape == pair.reference.shape
        assert not torch.equal(second, pair.reference)


def test_every_group_has_its_rows_and_backs_a_further_one(small):
    models, sampling = small.models(), sampling_of(small.preset)
    pairs = [held_out_pair(0, size=SIZE), *(group_pair(group, 0, size=SIZE) for group in GROUPS)]
    rows = evaluate(models, sampling, pairs)
    ways = (RESULT, COPY, CEILING)
    expected = {*ways, *(f"{way}: {group.title}" for way in ways for group in GROUPS)}
    assert set(rows) == expected | {"result: back asked, 2 references"}
    assert list(rows)[:3] == [*ways]
    one, two = (
        rows[f"result: back asked{more}"].clips["back asked 0"] for more in ("", ", 2 references")
    )
    assert one["psnr"] != two["psnr"]
    assert all(list(row.clips) for row in rows.values())
    assert {"face_psnr", "hand_psnr"} <= set(rows["result: half-length portraits"].mean) | {
        "hand_psnr"
    }
    assert "face_psnr" not in rows["result: back asked"].mean
