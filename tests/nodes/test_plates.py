"""Clean Plate and Change Background in the host."""

import logging

import pytest
import torch

LINE = [16, 4, 16, 8, 12, 8, 10, 12, 8, 16, 20, 8, 22, 12, 24, 16, 14, 16, 14, 22, 14, 28, 18, 16]
LINE += [18, 22, 18, 28, 15, 3, 17, 3, 14, 4, 18, 4]


@pytest.fixture
def figure():
    """Return a picture of a bright figure before a dark background, and its keypoints."""
    image = torch.full((2, 32, 32, 3), 0.2)
    image[:, 2:30, 8:25] = 0.8
    points = [value for x, y in zip(LINE[::2], LINE[1::2], strict=True) for value in (x, y, 1)]
    people = [{"pose_keypoints_2d": points}]
    return image, [{"people": people, "canvas_width": 32, "canvas_height": 32}]


def test_a_mask_says_what_is_filled_and_the_log_how_much(run_node, figure, caplog):
    image, _ = figure
    caplog.set_level(logging.INFO)
    mask = torch.zeros(1, 32, 32)
    mask[:, 2:30, 8:25] = 1
    plate = run_node("CleanPlate", image=image, mask=mask)
    assert plate.shape == (1, 32, 32, 3)
    assert torch.allclose(plate, torch.tensor(0.2), atol=0.003)
    assert "46.5% of the picture" in caplog.text
    assert "the first of 2 frames is used" in caplog.text


def test_the_figure_of_keypoints_is_filled_or_set_on_another_background(run_node, figure):
    image, keypoints = figure
    plate = run_node("CleanPlate", image=image, keypoints=keypoints)
    assert torch.allclose(plate, torch.tensor(0.2), atol=0.003)
    other = torch.full((1, 32, 32, 3), 0.5)
    changed = run_node("ChangeBackground", image=image[:1], keypoints=keypoints, background=other)
    assert torch.allclose(changed[:, 5:28, 12:21], image[:1, 5:28, 12:21], atol=0.02)
    assert torch.allclose(changed[:, :, 29:], other[:, :, 29:], atol=0.02)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "keypoints and mask got nothing"),
        ({"mask": torch.ones(1, 32, 32)}, "got the whole picture"),
        ({"mask": torch.ones(1, 8, 32)}, r"mask got shape \(1, 8, 32\)"),
        ({"mask": torch.full((1, 32, 32), torch.nan)}, "mask got NaN"),
        ({"keypoints": []}, "keypoints got"),
        ({"keypoints": [{"people": [], "canvas_width": 32, "canvas_height": 32}]}, "nobody was f"),
    ],
)
def test_what_cannot_be_filled_is_named(run_node, core, figure, more, message):
    with pytest.raises(core("errors").InputError, match=message):
        run_node("CleanPlate", image=figure[0], **more)
