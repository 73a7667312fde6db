"""What comes with aa-mini beside its networks: a LoRA and a ControlNet, by the host's own nodes."""

import importlib
import logging
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

LORA = "aa_mini_ink.safetensors"
CONTROL = "edges (Canny)"
FRAMES, SIDE = 6, 32  # pixels


@pytest.fixture(scope="module")
def scene(run_node):
    """Return the model of aa-mini, and what Apply takes beside it."""
    files = dict.fromkeys(("denoiser", "motion", "reference_net", "pose_guider"), "(none)")
    model, reference_net, pose_guider, vae, clip_vision = run_node(
        "LoadModels", preset="aa-mini", dtype="automatic", **files
    )
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(FRAMES, SIDE, SIDE, 3, generator=generator)
    networks = {"vae": vae, "clip_vision": clip_vision, "reference_net": reference_net}
    size = {"width": SIDE, "height": SIDE}
    reference = run_node("EncodeReference", image=pictures[:1], **networks, **size)
    options = {"width": 0, "height": 0, "keep": "automatic"}
    pose = run_node("EncodePose", image=pictures, pose_guider=pose_guider, **options)
    return model, {"reference": reference, "pose": pose}


@pytest.fixture
def mini(run_node, scene):
    """Return a function that binds aa-mini to a scene; it may change the model before."""

    def make(change=lambda model: model):
        model, inputs = scene
        return run_node("Apply", model=change(model), **inputs)

    return make


@pytest.fixture
def sampled(host_nodes):
    """Return a function that runs KSampler for two steps."""

    def run(model, positive, negative, latent):
        options = {"seed": 1, "steps": 2, "cfg": 1.5, "denoise": 1.0}
        (result,) = host_nodes.KSampler().sample(
            model,
            sampler_name="euler",
            scheduler="simple",
            positive=positive,
            negative=negative,
            latent_image=latent,
            **options,
        )
        return result["samples"]

    return run


@pytest.fixture
def controlled(host_nodes, run_node):
    """Return a function that gives a bound scene the ControlNet; a picture of edges per frame."""

    def run(bound, strength=1.0, start=0.0, end=1.0):
        model, positive, negative, latent = bound
        edges = torch.zeros(FRAMES, SIDE, SIDE, 3)
        for frame in range(FRAMES):
            edges[frame, 4 * frame : 4 * frame + 2] = 1
        control = run_node("LoadExampleControl", control=CONTROL)
        positive, negative = host_nodes.ControlNetApplyAdvanced().apply_controlnet(
            positive, negative, control, edges, strength, start, end
        )
        return model, positive, negative, latent

    return run


def test_control_changes_the_result(mini, sampled, controlled):
    bound = mini()
    plain, changed, weak = (
        sampled(*scene) for scene in (bound, controlled(bound), controlled(bound, strength=0.5))
    )
    assert torch.isfinite(changed).all()
    assert (changed - plain).abs().mean() > 0.01
    assert (weak - plain).abs().mean() < (changed - plain).abs().mean()


@pytest.mark.parametrize("when", [{"strength": 0.0}, {"start": 1.0}], ids=["strength", "start"])
def test_control_that_is_off_changes_nothing(mini, sampled, controlled, when):
    bound = mini()
    assert torch.equal(sampled(*bound), sampled(*controlled(bound, **when)))


def test_each_window_sees_its_own_edges(pack, run_node, mini, sampled, controlled, monkeypatch):
    network, seen = pack("nodes.models.control").HostControlNet, []
    forward = network.forward

    def spy(self, x, hint, timesteps, context, **more):
        rows = [int(picture[0, :, 0].nonzero()[0]) // 4 for picture in hint]
        seen.append((len(x), rows))
        return forward(self, x, hint, timesteps, context, **more)

    monkeypatch.setattr(network, "forward", spy)
    options = {"length": 4, "overlap": 2, "fusing": "flat", "loop": False, "shift": False}
    bound = mini(lambda m: run_node("ContextWindows", model=m, **options, shuffle_noise=False))
    result = sampled(*controlled(bound))
    assert torch.isfinite(result).all()
    windows = [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert seen == [(8, 2 * window) for _ in range(2) for window in windows]


def test_control_is_a_model_that_the_host_manages(run_node):
    control = run_node("LoadExampleControl", control=CONTROL)
    (patcher,) = control.get_models()
    assert 300_000 < patcher.model_size() < 1_600_000
    assert control.copy().control_model is control.control_model


def test_a_control_of_another_kind_is_refused(run_node):
    with pytest.raises(ValueError, match=r"control got 'depth'; choose one of: edges \(Canny\)"):
        run_node("LoadExampleControl", control="depth")


def test_lora_is_listed_beside_those_of_the_user(pack, base, run_node):
    folder_paths = importlib.import_module("folder_paths")
    paths = folder_paths.get_folder_paths("loras")
    assert paths[0] == str(base / "models" / "loras"), "downloads go to the user's folder"
    assert [path for path in paths if "weights" in path] == paths[-1:]
    own = [name for name in folder_paths.get_filename_list("loras") if "aa_mini" in name]
    assert own == [LORA]
    pack("nodes.comfyui.folders").add_folder("loras", Path(paths[-1]))
    assert folder_paths.get_folder_paths("loras") == paths


def test_every_key_of_the_lora_is_applied(run_node, host_nodes, mini, sampled, caplog):
    folder_paths = importlib.import_module("folder_paths")
    with safe_open(folder_paths.get_full_path("loras", LORA), "pt") as file:
        names = {key.split(".")[0] for key in file.keys()}  # noqa: SIM118  (not a mapping)
    applied = []

    def add(model):
        with caplog.at_level(logging.WARNING):
            (changed,) = host_nodes.LoraLoaderModelOnly().load_lora_model_only(model, LORA, 1.0)
        applied.extend(changed.patches)
        return changed

    with_lora, plain = sampled(*mini(add)), sampled(*mini())
    assert len(applied) == len(names)
    assert "not loaded" not in caplog.text
    assert (with_lora - plain).abs().mean() > 0.05
