"""Several persons in a clip, each with a reference picture of its own."""

import numpy as np
import pytest
import torch

from animate_anyone.animate import animate
from animate_anyone.animate.persons import places_of, regions_of
from animate_anyone.errors import InputError
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

POSES = np.random.default_rng(5).integers(0, 255, (5, 48, 64, 3), np.uint8)
HALVES = np.zeros((5, 2, 48, 64), bool)
HALVES[:, 0, :, :24] = HALVES[:, 1, :, 40:] = True  # and 16 columns between them


def clip_of(models, references, regions=None, **options):
    return torch.cat(list(animate(models, references, POSES, regions=regions, **options)))


@pytest.mark.slow
def test_everyone_looks_at_their_own_picture(tiny):
    models, (one, other) = tiny.models(), torch.rand(2, 1, 3, 48, 64)
    usual = clip_of(models, [one, other], HALVES)
    everywhere = np.ones_like(HALVES)
    everywhere[:, 1] = False
    # Where all belongs to one person, the other's picture does not matter.
    mine = clip_of(models, [one, other], everywhere)
    torch.testing.assert_close(mine, clip_of(models, one), atol=1e-5, rtol=0)
    changed = clip_of(models, [one, 1 - other], everywhere)
    torch.testing.assert_close(mine, changed, atol=1e-5, rtol=0)
    # The second person has the own picture and image token too.
    theirs = clip_of(models, [one, other], everywhere[:, ::-1].copy())
    torch.testing.assert_close(theirs, clip_of(models, other), atol=1e-5, rtol=0)
    # Where nothing belongs to anybody, all look at both.
    nobody = clip_of(models, [one, other], np.zeros_like(HALVES))
    torch.testing.assert_close(nobody, clip_of(models, [one, other]), atol=1e-5, rtol=0)
    swapped = clip_of(models, [other, one], HALVES[:, ::-1].copy())
    left = clip_of(models, [one, other], HALVES[:, ::-1].copy())
    assert (usual - left).abs().max() > 1e-3
    assert (usual - swapped).abs().max() < (usual - left).abs().max()


def test_guidance_windows_and_strengths_keep_the_regions(tiny):
    models, (one, other) = tiny.models(), torch.rand(2, 1, 3, 48, 64)
    everywhere = np.ones_like(HALVES)
    everywhere[:, 1] = False
    two = clip_of(models, [one, other], everywhere, strengths=[0.5, 2])
    torch.testing.assert_close(two, clip_of(models, one, strengths=[0.5]), atol=1e-5, rtol=0)


def test_regions_are_around_each_person():
    xy = np.zeros((2, 2, 18, 2))
    xy[:, 0], xy[:, 1] = (20, 40), (100, 40)
    regions = regions_of(body_clip(Size(128, 64), xy), Size(128, 64), margin=0.1)
    assert regions.shape == (2, 2, 64, 128)
    assert regions[0, 0, 40, 20]
    assert not regions[0, 0, 40, 100]
    assert regions[1, 1, 40, 100]
    places = places_of(regions, 2)
    assert places.shape == (2, 8, 16)
    assert set(places.unique().tolist()) == {0, 1, 2}


def test_places_of_both_belong_to_nobody():
    both = np.ones((1, 2, 16, 16), bool)
    assert not places_of(both, 2).any()


@pytest.mark.parametrize(
    ("pictures", "regions", "strengths", "message"),
    [
        (1, HALVES, None, "1 pictures for 2 persons; person 2 of the clip has no reference"),
        (3, HALVES, None, "3 pictures for 2 persons; picture 3 belongs to nobody"),
        (2, HALVES[:4], None, r"regions got shape \(4, 2, 48, 64\); for poses of \(5, 48, 64\)"),
        (2, HALVES, [1, 0], "strengths got 0 for person 2, who then has no reference"),
    ],
)
def test_persons_without_a_reference_are_named(tiny, pictures, regions, strengths, message):
    with pytest.raises(InputError, match=message):
        clip_of(tiny.models(), torch.rand(pictures, 3, 48, 64), regions, strengths=strengths)
