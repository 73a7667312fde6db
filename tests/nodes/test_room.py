"""What a machine's memory can never hold is refused before the work, on a CPU and for results."""

import pytest
import torch

SIZE = {"width": 512, "height": 512}
PARTS = {"body": True, "hands": True, "face": True}


@pytest.fixture
def room(core, monkeypatch):
    """Return a function that sets the memory of the machine in bytes."""

    def limit(most):
        monkeypatch.setattr(core("memory"), "most_memory", lambda: most)

    return limit


@pytest.fixture
def keypoints(run_node):
    return run_node("LoadExample", character="character.png", motion="motion.json")[1][:4]


def test_pictures_of_poses_that_never_fit_are_refused(run_node, load, keypoints, room):
    room(1_000_000)
    with pytest.raises(ValueError, match=r"Draw Pose got 512x512 pixels for 4 frames; .* smaller"):
        run_node("DrawPose", keypoints=keypoints, **SIZE, **PARTS)
    with pytest.raises(ValueError, match="Pose Mask got 512x512 pixels for 4 frames"):
        run_node("PoseMask", keypoints=keypoints, margin=0.1, feather=0.03, **SIZE)
    guider = load().pose_guider
    run_node("EncodePose", pose_guider=guider, keypoints=keypoints, keep="pictures", **SIZE)
    room(500_000)
    with pytest.raises(ValueError, match="Encode Pose got 512x512 pixels for 4 frames"):
        run_node("EncodePose", pose_guider=guider, keypoints=keypoints, keep="features", **SIZE)
    image = torch.zeros(1, 64, 64, 3)
    with pytest.raises(ValueError, match="Encode Pose got 512x512 pixels for 1 frame;"):
        run_node("EncodePose", pose_guider=guider, image=image, keep="pictures", **SIZE)


def test_a_reference_that_never_fits_is_refused(run_node, load, room):
    loaded, image = load(), torch.rand(1, 64, 64, 3)
    networks = (("vae", "vae"), ("clip_vision", "clip_vision"), ("reference_net", "reference_net"))
    inputs = {name: getattr(loaded, field) for name, field in networks}
    room(1_000_000)
    run_node("EncodeReference", image=image, **inputs, width=64, height=64)
    with pytest.raises(ValueError, match="width and height got 512x512 pixels; that needs more"):
        run_node("EncodeReference", image=image, **inputs, **SIZE)


def test_sampling_that_never_fits_is_refused_before_the_first_step(
    run_node, load, scene, room, monkeypatch
):
    loaded = load()
    clip = scene(loaded)
    inputs = {"model": loaded.model, "reference": clip.reference, "pose": clip.pose}
    model, positive, negative, latent = run_node("Apply", **inputs)
    import comfy.sample

    def sample(model):
        noise, rows = torch.randn_like(latent["samples"]), latent["samples"]
        how = (1, 1.0, "euler", "simple", positive, negative, rows)
        return comfy.sample.sample(model, noise, *how, disable_pbar=True)

    frames, _, h, w = latent["samples"].shape
    one = 4 * h * w * (2 * 4 + 2 * 8)  # bytes: latents, and the features of one frame at the least
    room(one * frames)
    with pytest.raises(ValueError, match=rf"latent got {8 * w}x{8 * h} pixels for {frames} frames"):
        sample(model)
    room(one * frames * 100)
    sample(model)


def test_frames_that_never_fit_are_not_decoded(run_node, load, room):
    latent, vae = {"samples": torch.randn(7, 4, 6, 5)}, load().vae
    options = {"fps": 30.0, "filename_prefix": "room/clip", "chunk": 8}
    room(100_000)
    with pytest.raises(ValueError, match="latent got 40x48 pixels for 7 frames; that needs more"):
        run_node("DecodeFrames", latent=latent, vae=vae, chunk=8)
    room(1_900 * 64)
    with pytest.raises(ValueError, match="latent got frames of 40x48 pixels; that needs more"):
        run_node("DecodeToVideo", latent=latent, vae=vae, **options)
    room(10**9)
    assert len(run_node("DecodeFrames", latent=latent, vae=vae, chunk=8)) == 7
