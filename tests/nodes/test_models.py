"""Loading: number formats, memory modes, and files that cannot be used."""

import gc
import os
from collections import Counter
from contextlib import suppress

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from standalone import relative_error
from tiny_weights import files, write_bundle


@pytest.fixture
def sampled(run_node):
    """Return a function that samples three steps of a scene."""

    def run(model, clip, length=24):
        return run_node(
            "Animate",
            model=model,
            reference=clip.reference,
            pose=clip.pose,
            seed=1,
            steps=3,
            cfg=2.0,
            sampler="euler",
            scheduler="trailing",
            length=length,
            overlap=2,
            fusing="flat",
            shared_noise=0.0,
        )["samples"]

    return run


DTYPES = {"fp16": 0.02, "bf16": 0.1, "fp8_e4m3fn": 0.6}  # relative difference from fp32


@pytest.mark.parametrize(("dtype", "limit"), DTYPES.items(), ids=DTYPES)
def test_number_formats_agree(load, scene, sampled, dtype, limit):
    exact, rounded = load(dtype="fp32"), load(dtype=dtype)
    clip = scene(exact)
    difference = relative_error(sampled(rounded.model, clip), sampled(exact.model, clip))
    assert 0 < difference < limit
    assert (
        str(rounded.model.model.get_dtype())
        .removeprefix("torch.")
        .startswith({"fp16": "float16", "bf16": "bfloat16"}.get(dtype, "float8"))
    )
    assert scene(rounded).reference.features[0].isfinite().all()


def test_partly_loaded_weights_give_the_same_video(load, scene, sampled, monkeypatch):
    import comfy.model_management as management

    loaded = load()
    clip = scene(loaded)
    expected = sampled(loaded.model, clip)
    patched = loaded.model.clone()
    key = "diffusion_model.conv_in.weight"
    change = torch.randn_like(loaded.model.model.diffusion_model.conv_in.weight)
    patched.add_patches({key: ("diff", (change,))})
    whole = sampled(patched, clip)
    lowvram = []

    def load_partly(models, **_):
        for model in models:
            model.unpatch_model(model.offload_device)
            model.patch_model(model.load_device, lowvram_model_memory=2000, load_weights=True)
            lowvram.append(model.lowvram_patch_counter())

    monkeypatch.setattr(management, "load_models_gpu", load_partly)
    assert relative_error(sampled(loaded.model, clip), expected) < 1e-5
    assert relative_error(sampled(patched, clip), whole) < 1e-5
    assert relative_error(whole, expected) > 0.01
    patched.unpatch_model(patched.offload_device)


def test_dynamic_vram_layers_are_filled_on_loading(load, load_anew, scene, sampled, monkeypatch):
    management = pytest.importorskip(
        "comfy.memory_management", reason="this host has no dynamic VRAM"
    )
    expected = load()
    clip = scene(expected)
    result = sampled(expected.model, clip)
    monkeypatch.setattr(management, "aimdo_enabled", True)
    lazy = load_anew()
    assert relative_error(sampled(lazy.model, clip), result) < 1e-5
    delegate, arguments = lazy.model.cached_patcher_init
    again = delegate(*arguments, disable_dynamic=True)
    assert relative_error(sampled(again, clip), result) < 1e-5


def test_owned_tensors_are_those_of_the_file(core, pack, weights, monkeypatch):
    preset, _, file = weights()
    loading, folders = pack("nodes.models.load"), pack("nodes.comfyui.folders")
    parts = loading.open_parts(folders.model_path(file))
    module = core("networks.pose_guider").build_pose_guider(preset.pose_guider, device="meta")
    loading.fill(module, parts.pose_guider, torch.float32, owned=True)
    assert torch.equal(module.conv_in.weight, parts.pose_guider["conv_in.weight"])


@pytest.fixture
def separate(base, weights):
    """Write the networks of a bundle as the files in which they are usually published."""
    folder = base / "models/animate_anyone"
    bundle = load_file(folder / weights()[2])

    def part(name, keep=lambda key: True):
        prefix = f"{name}."
        cut = {key[len(prefix) :]: bundle[key] for key in bundle if key.startswith(prefix)}
        return {key: value.contiguous() for key, value in cut.items() if keep(key)}

    tensors = {
        "denoising_unet": part("denoiser", lambda key: "motion_modules" not in key),
        "motion_module": part("denoiser", lambda key: "motion_modules" in key),
        "reference_unet": part("reference_net"),
        "pose_guider": part("pose_guider"),
    }
    for name, values in tensors.items():
        torch.save(values, folder / f"{name}.pth")
    return tensors


CHOSEN = {
    "denoiser": "denoising_unet.pth",
    "motion": "motion_module.pth",
    "reference_net": "reference_unet.pth",
    "pose_guider": "pose_guider.pth",
}


def test_loading_opens_each_file_and_reads_each_tensor_once(core, run_node, weights, monkeypatch):
    read = core("weights.read").read_weights
    opened, fetched = Counter(), Counter()

    def counting(path):
        weights = read(path)
        fetch = weights._fetch

        def fetch_counted(key):
            fetched[path.name, key] += 1
            return fetch(key)

        opened[path.name] += 1
        weights._fetch = fetch_counted
        return weights

    monkeypatch.setattr(core("weights.sources"), "read_weights", counting)
    name = weights()[2]
    run_node("LoadModels", **files(name), dtype="fp32")
    assert opened == {name: 1}
    assert set(fetched.values()) == {1}
    assert {key.split(".")[0] for _, key in fetched} == {
        "denoiser",
        "reference_net",
        "pose_guider",
        "autoencoder",
        "image_encoder",
    }


def test_loading_shows_its_progress_and_can_be_cancelled(load_anew, pack, monkeypatch):
    import comfy.model_management as management

    host, shown, looks = pack("nodes.comfyui.host"), [], []
    bar = host.comfy.utils.ProgressBar
    monkeypatch.setattr(bar, "update_absolute", lambda self, done, *_: shown.append(done))
    monkeypatch.setattr(host, "check_interrupt", lambda: looks.append(1))
    load_anew()
    assert len(looks) > 400
    assert 50 < len(shown) <= 101
    assert shown == sorted(shown)

    def cancelled():
        raise management.InterruptProcessingException

    monkeypatch.setattr(host, "check_interrupt", cancelled)
    with pytest.raises(management.InterruptProcessingException):
        load_anew()


def test_weights_that_memory_cannot_hold_are_refused(load_anew, core, monkeypatch):
    monkeypatch.setattr(core("memory"), "free_memory", lambda: 1000)
    with pytest.raises(core("errors").WeightsError, match=r"weights got .* choose another dtype"):
        load_anew()


def test_memory_is_given_back_after_the_networks_have_gone(load_anew, core, monkeypatch):
    given = []
    monkeypatch.setattr(core("memory"), "give_back", lambda: given.append(1))
    loaded = load_anew()
    del loaded
    gc.collect()
    assert given


def test_memory_is_given_back_after_loading_was_cancelled(load_anew, core, pack, monkeypatch):
    import comfy.model_management as management

    host, given, looks = pack("nodes.comfyui.host"), [], []
    monkeypatch.setattr(core("memory"), "give_back", lambda: given.append(1))

    def cancelled_after_some():
        looks.append(1)
        if len(looks) > 20:
            raise management.InterruptProcessingException

    monkeypatch.setattr(host, "check_interrupt", cancelled_after_some)
    with suppress(management.InterruptProcessingException):
        load_anew()
    assert len(looks) > 20
    gc.collect()
    assert given


def test_swapped_files_are_refused_by_name(run_node, separate):
    swapped = CHOSEN | {
        "denoiser": CHOSEN["reference_net"],
        "reference_net": CHOSEN["denoiser"],
    }
    with pytest.raises(Exception, match=r"denoiser got .*reference_unet\.pth.*swapped"):
        run_node("LoadModels", **files(**swapped), dtype="automatic")


def test_a_saved_and_merged_model_loads_again(load, scene, sampled, run_node, weights, base):
    from comfy_extras.nodes_model_merging import ModelMergeSimple, ModelSave

    loaded = load(prediction="sample", latents=16)
    clip = scene(loaded)
    other = loaded.model.clone()
    key = "diffusion_model.conv_in.weight"
    change = torch.randn_like(loaded.model.model.diffusion_model.conv_in.weight)
    other.add_patches({key: ("diff", (change,))})
    merged = ModelMergeSimple().merge(loaded.model, other, 0.5)[0]
    ModelSave().save(merged, "merged")
    folder = base / "models/animate_anyone"
    next((base / "output").glob("merged*.safetensors")).replace(folder / "merged.safetensors")
    bundle = weights(prediction="sample", latents=16)[2]
    chosen = files("merged.safetensors", reference_net=bundle, pose_guider=bundle)
    model, _, _, vae, _ = run_node("LoadModels", **chosen, dtype="automatic")
    assert relative_error(sampled(model, clip), sampled(merged, clip)) < 1e-5
    assert relative_error(sampled(model, clip), sampled(loaded.model, clip)) > 0.01
    assert vae.latent_channels == 16


def test_a_saved_model_of_the_pack_is_chosen_beside_its_preset(run_node, base):
    from comfy_extras.nodes_model_merging import ModelSave

    mini = files() | {"preset": "aa-mini"}
    ModelSave().save(run_node("LoadModels", **mini, dtype="fp32")[0], "mini")
    folder = base / "models/animate_anyone"
    next((base / "output").glob("mini*.safetensors")).replace(folder / "mini.safetensors")
    chosen = mini | {"denoiser": "mini.safetensors"}
    again = run_node("LoadModels", **chosen, dtype="fp32")[0]
    assert again.model.preset.schedule.prediction_type == "sample"


def test_a_motion_file_of_another_width_is_refused(run_node, separate, base):
    wide = {key: torch.cat([value, value]) for key, value in separate["motion_module"].items()}
    torch.save(wide, base / "models/animate_anyone/wide.pth")
    with pytest.raises(Exception, match=r"motion got .*wide\.pth.* Choose the motion file"):
        run_node("LoadModels", **files(**CHOSEN | {"motion": "wide.pth"}), dtype="automatic")


def test_a_missing_file_is_named(run_node, separate):
    chosen = {key: value for key, value in CHOSEN.items() if key != "pose_guider"}
    with pytest.raises(ValueError, match=r"pose_guider got \(none\); a weight set needs"):
        run_node("LoadModels", **files(**chosen), dtype="automatic")


def test_files_beside_the_built_in_preset_are_refused(run_node, separate):
    values = files(denoiser="denoising_unet.pth") | {"preset": "aa-mini"}
    with pytest.raises(ValueError, match="denoiser got a file, but preset aa-mini comes with"):
        run_node("LoadModels", **values, dtype="automatic")


@pytest.fixture
def broken(base, weights):
    """Return a function that writes a bundle with changed tensors."""
    folder = base / "models/animate_anyone"

    def write(change):
        source = folder / weights()[2]
        tensors = load_file(source)
        change(tensors)
        with safe_open(source, "pt") as file:
            metadata = file.metadata()
        save_file(tensors, folder / "broken.safetensors", metadata)
        return files("broken.safetensors")

    return write


CHANGES = {
    "a missing key": (lambda t: t.pop("denoiser.conv_out.bias"), "conv_out.bias"),
    "a surplus key": (
        lambda t: t.update({"pose_guider.more": torch.zeros(1)}),
        "surplus .*more",
    ),
    "NaN": (
        lambda t: t["reference_net.conv_in.weight"][0].fill_(float("nan")),
        r"conv_in\.weight has .* NaN or infinite",
    ),
}


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_damaged_weights_are_refused(run_node, broken, change, words):
    with pytest.raises(Exception, match=f"broken.safetensors.*{words}|{words}") as caught:
        run_node("LoadModels", **broken(change), dtype="automatic")
    assert type(caught.value).__name__ in ("WeightsError", "ConfigError")


def test_code_in_a_pickle_does_not_run(run_node, base):
    class Trap:
        def __reduce__(self):
            return os.putenv, ("TRAPPED", "1")

    path = base / "models/animate_anyone/trap.pth"
    torch.save({"conv_in.weight": Trap()}, path)
    with pytest.raises(Exception, match=r"trap\.pth.*possibly code"):
        run_node("LoadModels", **files("trap.pth"), dtype="automatic")


def test_weights_without_encoders_stop_the_nodes_that_need_them(core, base, run_node, weights):
    from comfy_execution.graph_utils import ExecutionBlocker

    path = base / "models/animate_anyone/bare.safetensors"
    write_bundle(core, path, *weights()[:2], encoders=False)
    *_, vae, clip_vision = run_node("LoadModels", **files(path.name), dtype="automatic")
    assert isinstance(vae, ExecutionBlocker)
    assert "connect a Load VAE node" in vae.message
    assert "connect a Load CLIP Vision node" in clip_vision.message


def test_vae_of_another_kind_is_refused(load, scene):
    loaded, other = load(), load(prediction="sample", latents=16)
    loaded.vae = other.vae
    with pytest.raises(ValueError, match=r"vae got a VAE with 16 latent channels; .* needs 4"):
        scene(loaded)
