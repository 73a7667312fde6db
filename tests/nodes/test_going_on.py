"""Clips that go on from an earlier one, and backgrounds that stay, in the host's sampling."""

import logging

import pytest
import torch
from standalone import denoise, relative_error


@pytest.fixture
def animate(run_node):
    """Return a function that runs the Animate node for a scene of small pictures."""

    def run(loaded, clip, latent=None, **more):
        options = {"seed": 5, "steps": 3, "cfg": 2.0, "sampler": "euler", "scheduler": "trailing"}
        options |= {"length": 6, "overlap": 2, "fusing": "flat", "shared_noise": 0.0, **more}
        scene = {"model": loaded.model, "reference": clip.reference, "pose": clip.pose}
        given = {} if latent is None else {"latent": latent}
        return run_node("Animate", **scene, **options, **given)

    return run


@pytest.mark.parametrize("held", [1, 3])
def test_the_last_frames_of_a_latent_are_held_and_the_rest_is_new(
    load, scene, run_node, animate, held
):
    loaded = load()
    clip = scene(loaded, frames=10, width=16, height=16)
    earlier = animate(loaded, clip)
    latent, count = run_node("Continue", pose=clip.pose, latent=earlier, held=held)
    assert count == held
    result = animate(loaded, clip, latent, seed=6)["samples"]
    assert torch.allclose(result[:held], earlier["samples"][-held:], atol=1e-4)
    plain = animate(loaded, clip, seed=6)["samples"]
    assert (result[held:] - plain[held:]).abs().amax((1, 2, 3)).min() > 1e-4


@pytest.mark.parametrize("kind", [{}, {"prediction": "sample", "latents": 16}], ids=str)
def test_the_host_holds_frames_as_the_core_does(core, load, scene, run_node, animate, kind):
    loaded = load(**kind)
    clip = scene(loaded, frames=6, width=16, height=16)
    earlier = {"samples": torch.randn(4, loaded.preset.unet.in_channels, 2, 2)}
    latent, _ = run_node("Continue", pose=clip.pose, latent=earlier, held=2)
    result = animate(loaded, clip, latent, steps=10)["samples"]
    noise = run_node("VideoNoise", seed=5, shared_noise=0.0).generate_noise(latent)
    held = earlier["samples"][-2:]
    expected = denoise(core, loaded, clip, noise, steps=10, held=held)
    assert relative_error(result, expected) < 1e-3


def test_an_empty_latent_gives_the_clip_that_no_latent_gives(load, scene, animate):
    loaded = load()
    clip = scene(loaded, frames=4, width=16, height=16)
    plain = animate(loaded, clip)["samples"]
    empty = {"samples": torch.zeros_like(plain)}
    whole = {**empty, "noise_mask": torch.ones(4, 1, 2, 2)}
    assert all(torch.equal(animate(loaded, clip, one)["samples"], plain) for one in (empty, whole))


def test_pictures_are_encoded_and_one_picture_is_fitted(load, scene, run_node, caplog):
    caplog.set_level(logging.INFO)
    loaded = load()
    pose = scene(loaded, frames=4, width=48, height=56).pose
    frames = torch.rand(3, 56, 48, 3)
    latent, _ = run_node("Continue", pose=pose, image=frames, vae=loaded.vae, held=2)
    assert latent["samples"].shape == (4, 4, 7, 6)
    assert latent["noise_mask"].flatten(1).amax(1).tolist() == [0, 0, 1, 1]
    assert not latent["samples"][2:].any()
    encoded = loaded.vae.encode(frames[1:])
    shown, plain = (loaded.vae.decode(each) for each in (latent["samples"][:2], encoded))
    assert (shown - frames[1:]).square().mean() <= (plain - frames[1:]).square().mean()
    one = {"image": torch.rand(1, 40, 30, 3), "vae": loaded.vae, "held": 1}
    latent, _ = run_node("Continue", pose=pose, **one)
    assert "the picture of 30x40 pixels is fitted" in caplog.text


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "image and latent got nothing"),
        ({"image": (5, 56, 48, 3)}, "vae got nothing; an earlier clip as image"),
        ({"image": (5, 56, 40, 3), "vae": True}, "image got 40x56 pixels; the pose is for 48x56"),
        ({"image": (2, 56, 48, 3), "vae": True}, "held got 4, but the earlier clip has 2 frames"),
        ({"latent": (5, 4, 7, 5)}, "latent got 40x56 pixels; the pose is for 48x56"),
        ({"latent": (5, 16, 7, 6)}, "latent got 16 channels; these weights have 4"),
        ({"latent": (5, 7, 6)}, r"latent got shape \(5, 7, 6\)"),
        ({"latent": (5, 4, 7, 6), "held": 6}, "held got 6 frames; the first window has 6"),
        ({"latent": (5, 4, 7, 6), "held": 9}, "held got 9; it must be a whole number from 1 to 8"),
    ],
)
def test_an_earlier_clip_that_does_not_fit_is_refused(load, scene, run_node, inputs, message):
    loaded = load()
    pose = scene(loaded, frames=6, width=48, height=56).pose
    made = {name: torch.rand(value) if name == "image" else value for name, value in inputs.items()}
    if "latent" in made:
        made["latent"] = {"samples": torch.randn(made["latent"])}
    if "vae" in made:
        made["vae"] = loaded.vae
    with pytest.raises(ValueError, match=message):
        run_node("Continue", pose=pose, **{"held": 4, **made})


def test_latents_of_other_video_nodes_and_of_another_scale(load, scene, run_node, caplog):
    loaded = load()
    pose = scene(loaded, frames=4, width=48, height=56).pose
    samples = torch.randn(1, 4, 3, 7, 6)
    latent, _ = run_node("Continue", pose=pose, latent={"samples": samples}, held=1)
    assert torch.equal(latent["samples"][0], samples[0, :, 2])
    run_node("Continue", pose=pose, latent={"samples": 1000 * samples}, held=1)
    assert "they may be of another VAE" in caplog.text


def test_held_frames_need_room_in_the_window_when_sampling(load, scene, run_node, animate):
    loaded = load()
    clip = scene(loaded, frames=10, width=16, height=16)
    earlier = {"samples": torch.randn(5, 4, 2, 2)}
    latent, _ = run_node("Continue", pose=clip.pose, latent=earlier, held=4)
    with pytest.raises(ValueError, match="held got 4 frames; the first window has 4"):
        animate(loaded, clip, latent, length=4)


def test_a_mask_of_places_keeps_the_background(load, scene, run_node, animate, host_nodes):
    loaded = load()
    clip = scene(loaded, frames=6, width=32, height=32)
    mask = torch.zeros(6, 4, 4)
    mask[:, :2] = 1
    background = {"samples": torch.randn(1, 4, 4, 4)}
    (latent,) = host_nodes.SetLatentNoiseMask().set_mask(background, mask)
    result = animate(loaded, clip, latent)["samples"]
    assert torch.allclose(result[:, :, 2:], background["samples"][:, :, 2:], atol=1e-4)
    assert (result[:, :, :2] - background["samples"][:, :, :2]).abs().mean() > 0.05
    wrong = {"samples": torch.randn(5, 4, 4, 4)}
    with pytest.raises(ValueError, match="latent got 5 frames of 32x32 pixels with 4 channels"):
        animate(loaded, clip, wrong)


def test_only_whole_first_frames_count_as_held(pack):
    latents = pack("nodes.comfyui.latents")
    mask = torch.ones(4, 1, 2, 2)
    assert latents.held_frames(None) == latents.held_frames(mask) == 0
    mask[:2] = 0
    assert latents.held_frames(mask) == 2
    mask[3, 0, 0, 0] = 0  # something else is kept too: no clip that goes on
    assert latents.held_frames(mask) == 0


def test_decoding_leaves_out_the_held_frames(load, run_node):
    loaded, latent = load(), {"samples": torch.randn(5, 4, 2, 2)}
    whole, rest = (
        run_node("DecodeFrames", latent=latent, vae=loaded.vae, chunk=8, skip=skip)
        for skip in (0, 2)
    )
    assert torch.allclose(whole[2:], rest, atol=1e-5)
    with pytest.raises(ValueError, match="skip got 5, but latent has 5 frames"):
        run_node("DecodeFrames", latent=latent, vae=loaded.vae, chunk=8, skip=5)
    video = {"fps": 30.0, "filename_prefix": "skip/clip", "chunk": 3, "skip": 3}
    result = run_node("DecodeToVideo", latent=latent, vae=loaded.vae, **video)
    assert result.get_components().images.shape[0] == 2


def record(x, seen=1.0):
    """Return a POSE_KEYPOINT record of one person, or of nobody with `seen` 0."""
    body = [[x + joint % 3, 6.0 + joint, seen] for joint in range(18)]
    flat = [value for point in body for value in point]
    return {"people": [{"pose_keypoints_2d": flat}], "canvas_width": 64, "canvas_height": 32}


def test_pose_masks_of_keypoints_and_drawings(run_node, caplog):
    shape = {"width": 0, "height": 0, "margin": 0.1, "feather": 0.1}
    mask, sampled = run_node("PoseMask", keypoints=[record(20), record(40, 0.0)], **shape)
    assert mask.shape == (2, 32, 64)
    assert sampled.shape == (2, 4, 8)
    assert mask[0].max() == 1
    assert not mask[1].any()
    assert not sampled[1].any()
    assert "1 of 2 masks are empty" in caplog.text
    pictures = torch.zeros(1, 32, 64, 3)
    pictures[0, 10:20, 20:30] = 1
    mask, sampled = run_node("PoseMask", image=pictures, **shape)
    assert 100 < (mask == 1).sum() < 400
    assert set(sampled.unique().tolist()) == {0, 1}
    with pytest.raises(ValueError, match="keypoints and image got nothing"):
        run_node("PoseMask", **shape)


def test_the_background_stays_to_the_last_bit(run_node, caplog):
    image, background = torch.rand(3, 16, 24, 3), torch.rand(3, 16, 24, 3)
    mask = torch.zeros(3, 16, 24)
    mask[:, 4:8, 4:8], mask[:, 5:7, 5:7] = 0.5, 1
    result = run_node("KeepBackground", image=image, background=background, mask=mask)
    assert torch.equal(result[mask == 0], background[mask == 0])
    assert torch.equal(result[mask == 1], image[mask == 1])
    half = 0.5 * image + 0.5 * background
    assert torch.allclose(result[mask == 0.5], half[mask == 0.5])
    one = run_node("KeepBackground", image=image, background=torch.ones(1, 8, 12, 3), mask=mask[0])
    assert (one[mask == 0] > 0.99).all()
    run_node("KeepBackground", image=image, background=background, mask=torch.zeros(1, 16, 24))
    assert "1 of 1 masks are empty; nothing of image is seen" in caplog.text
    for changes, message in (
        ({"background": torch.rand(2, 16, 24, 3)}, "background got 2 frames and image 3"),
        ({"mask": torch.rand(3, 8, 24)}, r"mask got shape \(3, 8, 24\); the clip needs"),
    ):
        with pytest.raises(ValueError, match=message):
            run_node(
                "KeepBackground",
                **{"image": image, "background": background, "mask": mask, **changes},
            )


def mask_of(*shape, value=1.0, dtype=torch.float32):
    return torch.full(shape, value).to(dtype)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (mask_of(0, 1, 2, 2), r"noise mask got shape \(0, 1, 2, 2\)"),
        (mask_of(4, 1, 2, 2), "noise mask got 4 masks for 6 frames"),
        (mask_of(6, 2, 2, 1), "noise mask got 12 masks for 6 frames"),
        (mask_of(6, 1, 2, 2, value=float("nan")), "noise mask got NaN"),
        ("mask", "latent got 'mask' as noise_mask; it must be a tensor"),
    ],
)
def test_noise_masks_that_are_none_are_refused(core, load, scene, animate, mask, message):
    loaded = load()
    clip = scene(loaded, frames=6, width=16, height=16)
    samples = torch.zeros(6, loaded.preset.unet.in_channels, 2, 2)
    with pytest.raises(core("errors").InputError, match=message):
        animate(loaded, clip, {"samples": samples, "noise_mask": mask})
    with pytest.raises(core("errors").InputError, match="got 'x' as samples"):
        animate(loaded, clip, {"samples": "x"})


def test_noise_masks_of_whole_numbers_count_like_others(load, scene, animate):
    loaded = load()
    clip = scene(loaded, frames=3, width=16, height=16)
    samples = torch.zeros(3, loaded.preset.unet.in_channels, 2, 2)
    mask = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(3, 1, 2, 2)
    made = [
        animate(loaded, clip, {"samples": samples, "noise_mask": one}, steps=1)["samples"]
        for one in (mask, mask.bool(), mask.long(), mask * 255, mask[0, 0])
    ]
    assert all(torch.equal(made[0], one) for one in made[1:])


def test_pixels_of_another_range_are_refused_or_told(core, run_node, caplog):
    whole = torch.full((1, 8, 8, 3), 200, dtype=torch.uint8)
    mask, image = torch.ones(1, 8, 8), torch.rand(1, 8, 8, 3)
    with pytest.raises(core("errors").InputError, match=r"image got pixels of torch\.uint8"):
        run_node("KeepBackground", image=whole, background=image, mask=mask)
    run_node("KeepBackground", image=whole.float(), background=image, mask=mask)
    assert "image: pixels up to 200; an IMAGE lies in 0..1" in caplog.text
