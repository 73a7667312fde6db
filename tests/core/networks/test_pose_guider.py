"""Both forms of the Pose Guider."""

import pytest
import torch

from animate_anyone.config import PoseGuiderConfig
from animate_anyone.networks.initialise import initialise
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.moore import MOORE
from animate_anyone.weights.sets.novita import NOVITA
from animate_anyone.weights.sets.paper import PAPER


def test_public_forms_have_the_published_sizes():
    shapes = build_pose_guider(MOORE.pose_guider).state_dict()
    assert sum(part.numel() for part in shapes.values()) == 1_086_480
    assert len(shapes) == 16
    novita = build_pose_guider(NOVITA.pose_guider).state_dict()
    assert novita["blocks.5.weight"].shape == (128, 64, 3, 3)


def test_paper_form_has_four_large_convolutions():
    guider = build_pose_guider(PAPER.pose_guider)
    kernels = [(tuple(block.kernel_size), tuple(block.stride)) for block in guider.blocks]
    assert kernels == [((4, 4), (2, 2))] * 4
    assert [block.out_channels for block in guider.blocks] == [16, 32, 64, 128]
    assert guider.form == "paper"


@pytest.mark.parametrize(
    "config",
    [AA_MINI.pose_guider, PoseGuiderConfig(form="paper", channels=(4, 8, 8, 8), out_channels=4)],
    ids=["conv3", "paper"],
)
@pytest.mark.parametrize("size", [(64, 48), (57, 33), (8, 8), (1, 3)])
def test_features_have_an_eighth_of_the_picture_rounded_up(config, size):
    features = build_pose_guider(config)(torch.rand(2, 3, *size))
    assert features.shape == (2, config.out_channels, -(-size[0] // 8), -(-size[1] // 8))


@pytest.mark.parametrize("preset", [AA_MINI, PAPER], ids=["conv3", "paper"])
def test_an_untrained_guider_changes_nothing(preset):
    guider = initialise(build_pose_guider(preset.pose_guider))
    assert not guider(torch.rand(1, 3, 32, 24)).any()


def test_paper_form_sees_the_picture_at_twice_its_size():
    config = PoseGuiderConfig(form="paper", channels=(4, 8, 8, 8), out_channels=4)
    guider, picture = build_pose_guider(config), torch.rand(1, 3, 32, 24)
    doubled = torch.nn.functional.interpolate(picture, size=(64, 48), mode="bilinear")
    for block in guider.blocks:
        doubled = torch.nn.functional.silu(block(doubled))
    torch.testing.assert_close(guider(picture), guider.conv_out(doubled))
