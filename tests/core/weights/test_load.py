import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from animate_anyone.errors import WeightsError
from animate_anyone.weights.bundle import checked_parts
from animate_anyone.weights.load import load_models, resolve_preset
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.table import presets
from animate_anyone.weights.sources import MINI_FOLDER, WeightPaths, files_of, open_parts

ROOT = Path(__file__).parents[3]


def slots(folder, **changed):
    names = {
        "denoiser": "denoising_unet.safetensors",
        "reference_net": "reference_unet.safetensors",
        "pose_guider": "pose_guider.safetensors",
        "motion": "motion_module.safetensors",
    }
    return WeightPaths(**({slot: folder / name for slot, name in names.items()} | changed))


def preset_of(source):
    """Do everything that loading does except copying tensors; return the preset."""
    parts = open_parts(source)
    preset = resolve_preset(parts)
    checked_parts(parts, preset)
    return preset


def test_pth_files_load_by_their_contents_not_their_names(published, tmp_path):
    whole = {}
    for i, path in enumerate(sorted(published.iterdir())):
        tensors = load_file(path)
        torch.save(tensors, tmp_path / f"{i}.pth")
        if path.stem in ("denoising_unet", "motion_module"):
            whole |= tensors
    models = load_models(tmp_path)
    assert models.preset.name == "moore"
    assert models.preset.schedule == presets()["moore"].schedule
    assert models.autoencoder is None
    assert models.image_encoder is None
    own = models.denoiser.state_dict()
    assert set(own) == set(whole)
    assert all(torch.equal(own[key], whole[key]) for key in whole)


def test_loaded_networks_compute_a_step(published):
    models = load_models(slots(published), dtype=torch.bfloat16)
    context = torch.randn(1, 1, models.preset.unet.cross_attention_dim).bfloat16()
    latents, noise = torch.randn(1, 4, 8, 6).bfloat16(), torch.randn(1, 4, 3, 8, 6).bfloat16()
    features = models.reference_net.reference_features(latents, context)
    condition = models.denoiser.prepare(context, features)
    pose = models.pose_guider(torch.rand(3, 3, 64, 48).bfloat16()).transpose(0, 1)[None]
    out = models.denoiser(noise, torch.tensor([500]), condition, pose)
    assert out.shape == noise.shape
    assert out.isfinite().all()


def test_loading_reports_each_tensor_and_can_be_interrupted(published):
    seen = []
    models = load_models(published, progress=lambda *each: seen.append(each))
    networks = (models.denoiser, models.reference_net, models.pose_guider)
    read = sum(len(network.state_dict()) for network in networks)
    total = 686 + 588 + 682 + 16
    assert [done for done, _ in seen] == [*range(read), total]
    assert {total for _, total in seen} == {total}

    def interrupt(done, total):
        if done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_models(published, progress=interrupt)


def test_weights_that_memory_cannot_hold_are_refused_before_they_are_read(published, monkeypatch):
    monkeypatch.setattr("animate_anyone.memory.free_memory", lambda: 1000)
    with pytest.raises(WeightsError, match=r"weights got files that need .* --dtype bf16"):
        load_models(published, progress=lambda *_: pytest.fail("a tensor was read"))


def test_folder_list_and_slots_open_the_same_parts(published):
    files = sorted(published.iterdir())
    opened = [open_parts(source) for source in (published, str(published), files, slots(published))]
    for parts in opened:
        assert len(parts.denoiser) == 686 + 588
        assert len(parts.reference_net) == 682
        assert len(parts.pose_guider) == 16
        assert parts.metadata == {}


def test_all_files_of_a_source_are_known(tmp_path):
    names = ("a.pth", "b.ckpt", "b.json", "sub/c.bin", "sub/config.json")
    for name in (*names, "notes.txt", "other.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in files_of(tmp_path)]
    assert found == list(names)
    assert files_of([tmp_path / "b.ckpt"]) == [tmp_path / "b.ckpt", tmp_path / "b.json"]
    assert MINI_FOLDER / "denoising_unet.safetensors" in files_of(AA_MINI.name)


def test_a_motion_file_replaces_the_motion_modules_of_the_denoiser(public_folder, layout):
    denoiser = public_folder / "denoising_unet.safetensors"
    save_file(layout.random(layout.unet() | layout.motion(frames=16)), denoiser)
    assert preset_of(public_folder).unet.motion.max_frames == 32
    (public_folder / "motion_module.safetensors").unlink()
    assert preset_of(public_folder).unet.motion.max_frames == 16
    save_file(layout.random(layout.unet()), denoiser)
    assert preset_of(public_folder).unet.motion is None


@pytest.mark.parametrize(("frames", "mid"), [(24, False), (32, True)], ids=["v1", "v2"])
def test_animatediff_files_load(public_folder, layout, frames, mid):
    (public_folder / "motion_module.safetensors").unlink()
    modules = layout.random(layout.motion(frames=frames, mid=mid))
    nested = {"state_dict": {f"module.{key}": tensor for key, tensor in modules.items()}}
    torch.save(nested, public_folder / "mm.ckpt")
    motion = preset_of(public_folder).unet.motion
    assert (motion.max_frames, motion.mid_block) == (frames, mid)


def test_a_plain_stable_diffusion_unet_serves_as_reference_net(public_folder, layout, caplog):
    torch.manual_seed(1)  # another one than the denoiser's
    save_file(layout.random(layout.unet()), public_folder / "reference_unet.safetensors")
    assert preset_of(slots(public_folder)).unet.motion is not None
    assert "if it is a denoising UNet, the result is wrong" in caplog.text
    with pytest.raises(WeightsError, match=r"denoiser got 2 files that fit"):
        open_parts(public_folder)
    named = {"reference_net": public_folder / "reference_unet.safetensors"}
    files = [path for path in sorted(public_folder.iterdir()) if path not in named.values()]
    assert len(open_parts(files, named).reference_net) == 686


def test_mini_layout_loads_with_its_encoders(mini_folder):
    models = load_models(mini_folder)
    assert models.preset == AA_MINI
    frames = torch.rand(2, 3, 32, 32)
    latents = models.autoencoder.encode(frames)
    assert latents.shape == (2, 16, 4, 4)
    assert models.autoencoder.decode(latents).shape == frames.shape
    assert models.image_encoder.encode(frames[:1]).shape == (1, 1, 64)
    assert models.image_encoder.network.config.num_attention_heads == 4


@pytest.mark.skipif(not MINI_FOLDER.is_dir(), reason="the embedded weights are not there")
def test_embedded_weights_load():
    models = load_models("aa-mini")
    assert models.preset == AA_MINI
    assert models.autoencoder is not None
    assert models.image_encoder is not None


def test_the_error_for_a_preset_without_files_names_the_download_command():
    with pytest.raises(WeightsError, match="download moore --out FOLDER"):
        open_parts("moore")


def test_a_preset_can_be_named_against_the_shapes(published):
    parts = open_parts(published)
    preset = resolve_preset(parts, "musepose")
    assert preset.schedule == presets()["musepose"].schedule
    assert preset.unet.motion.max_frames == 32
    with pytest.raises(WeightsError, match="another layout"):
        resolve_preset(parts, "aa-mini")


@pytest.mark.parametrize("slot", ["denoiser", "reference_net", "pose_guider", "motion"])
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("lora_unet_conv_in.lora_down.weight", "a LoRA"),
        ("encoder.down.0.block.0.norm1.weight", "a VAE"),
        ("vision_model.embeddings.patch_embedding.weight", "a CLIP vision model"),
        ("backbone.stem.weight", "not known here"),
    ],
)
def test_errors_for_wrong_files_say_what_they_are(published, tmp_path, slot, key, words):
    save_file({key: torch.ones(2)}, tmp_path / "wrong.safetensors")
    wrong = slots(published, **{slot: tmp_path / "wrong.safetensors"})
    with pytest.raises(WeightsError, match=rf"{slot} got .*wrong\.safetensors.*{words}"):
        open_parts(wrong)
    with pytest.raises(WeightsError, match="no place in a weight set"):
        open_parts([tmp_path / "wrong.safetensors"])


def test_swapped_unets_are_noticed(published):
    right = slots(published)
    swapped = slots(published, denoiser=right.reference_net, reference_net=right.denoiser)
    with pytest.raises(WeightsError, match="seem to be swapped"):
        open_parts(swapped)


def test_files_are_called_swapped_only_where_two_are(published):
    right = slots(published)
    wrong = slots(published, denoiser=right.reference_net)
    with pytest.raises(WeightsError, match=r"denoiser got .*choose the file of a denoising UNet"):
        open_parts(wrong)
    swapped = slots(published, pose_guider=right.motion, motion=right.pose_guider)
    with pytest.raises(WeightsError, match=r"pose_guider got .*that of motion seem to be swapped"):
        open_parts(swapped)


def test_the_denoiser_is_refused_as_reference_net(published, public_folder):
    denoiser = slots(published).denoiser
    with pytest.raises(WeightsError, match=r"reference_net got .*Choose the file of the Refer"):
        open_parts(slots(published, reference_net=denoiser))
    half = {key: value.half() for key, value in load_file(denoiser).items()}
    save_file(half, public_folder / "reference_unet.safetensors")
    with pytest.raises(WeightsError, match="holds the denoising UNet"):
        open_parts(slots(public_folder))


@pytest.fixture
def bundle(published, tmp_path):
    """Return a bundle of `published`."""
    tensors = {}
    for name, file in (
        ("denoiser", "denoising_unet"),
        ("denoiser", "motion_module"),
        ("reference_net", "reference_unet"),
        ("pose_guider", "pose_guider"),
    ):
        found = load_file(published / f"{file}.safetensors")
        tensors |= {f"{name}.{key}": value for key, value in found.items()}
    save_file(tensors, tmp_path / "bundle.safetensors")
    return tmp_path / "bundle.safetensors"


@pytest.fixture
def saved(layout, tmp_path):
    """Return a denoiser, other than that of `published`, as ComfyUI's Save Model writes one."""
    torch.manual_seed(2)
    tensors = layout.random(layout.unet() | layout.motion(frames=16))
    prefixed = {f"model.diffusion_model.{key}": value for key, value in tensors.items()}
    marks = {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}
    said = {"modelspec.predict_key": "v", "prompt": "{}"}
    save_file(prefixed | marks, tmp_path / "saved.safetensors", said)
    return tmp_path / "saved.safetensors", tensors


def test_a_model_that_comfyui_saved_replaces_the_denoiser(saved, published, bundle):
    path, tensors = saved
    own = slots(published, denoiser=path, motion=None)
    others = WeightPaths(denoiser=path, reference_net=bundle, pose_guider=bundle)
    for source in (own, others, [path, bundle], [path, published]):
        parts = open_parts(source)
        assert set(parts.denoiser) == set(tensors)
        assert torch.equal(parts.denoiser["conv_in.weight"], tensors["conv_in.weight"])
        assert len(parts.reference_net) == 682
        assert preset_of(source).unet.motion.max_frames == 16
    checkpoint = load_file(path) | {"cond_stage_model.logit_scale": torch.ones(1)}
    save_file(checkpoint, path)  # as Save Checkpoint writes it
    assert set(open_parts([path, bundle]).denoiser) == set(tensors)


def test_a_saved_model_stands_beside_the_embedded_networks(tmp_path):
    whole = open_parts("aa-mini").denoiser
    changed = {f"model.diffusion_model.{key}": 0.5 * whole[key] for key in whole}
    save_file(changed | {"v_pred": torch.tensor([])}, tmp_path / "merged.safetensors")
    parts = open_parts(["aa-mini", tmp_path / "merged.safetensors"])
    assert torch.equal(parts.denoiser["conv_in.weight"], 0.5 * whole["conv_in.weight"])
    assert resolve_preset(parts) == AA_MINI
    assert parts.autoencoder is not None


def test_a_bundle_in_the_denoisers_slot_says_that_the_others_must_be_empty(published, bundle):
    with pytest.raises(WeightsError, match=r"denoiser got .*bundle .*other slots empty \(none\)"):
        open_parts(slots(published, denoiser=bundle))


def test_two_folders_are_refused(published, tmp_path):
    with pytest.raises(WeightsError, match="weights got 2 folders"):
        open_parts([published, tmp_path])


def test_the_error_for_a_file_in_the_wrong_slot_names_the_right_one(published):
    wrong = slots(published, pose_guider=published / "motion_module.safetensors")
    with pytest.raises(WeightsError, match="where a motion module file is asked for"):
        open_parts(wrong)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("motion_module", r"widths \(32, 32, 64, 64\)"),
        ("reference_unet", "two networks of one weight set"),
        ("pose_guider", "64 output channels.*needs 32"),
    ],
)
def test_networks_of_other_widths_are_refused(public_folder, layout, name, words):
    other = (32, 32, 64, 64)
    shapes = {
        "motion_module": layout.motion(other),
        "reference_unet": layout.unet(other, head=False),
        "pose_guider": layout.guider(outputs=64),
    }[name]
    save_file(layout.random(shapes), public_folder / f"{name}.safetensors")
    with pytest.raises(WeightsError, match=words):
        preset_of(public_folder)


@pytest.mark.parametrize("name", ["denoising_unet", "reference_unet", "motion_module"])
def test_missing_surplus_and_misshapen_keys_are_listed(public_folder, name):
    path = public_folder / f"{name}.safetensors"
    tensors = load_file(path)
    missing = next(key for key in tensors if key.startswith("up_blocks.1.") and "norm" in key)
    misshapen = next(k for k in tensors if k.startswith("up_blocks.2.") and "proj_in.bias" in k)
    del tensors[missing]
    surplus = f"{misshapen.removesuffix('.bias')}.extra"
    save_file(tensors | {misshapen: torch.ones(7), surplus: torch.ones(1)}, path)
    with pytest.raises(WeightsError) as caught:
        load_models(public_folder)
    text = str(caught.value)
    assert f"1 missing ({missing})" in text
    assert f"1 surplus ({surplus})" in text
    assert f"{misshapen} is [7], the network has" in text
    assert path.name in text


def test_a_missing_part_is_named(published):
    files = [path for path in sorted(published.iterdir()) if "guider" not in path.name]
    with pytest.raises(WeightsError, match=r"lack a Pose Guider; found .*denoising_unet"):
        open_parts(files)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no weight files"):
        open_parts(tmp_path)


MEASURE = """
import json, resource, sys
import torch
from animate_anyone.weights.load import load_models
torch.set_num_threads(1)
load_models(sys.argv[1])  # everything is imported and warm
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
models = load_models(sys.argv[2], dtype=torch.float32)
networks = (models.denoiser, models.reference_net, models.pose_guider)
size = sum(t.nbytes for network in networks for t in network.state_dict().values())
print(json.dumps([peak() - before, size]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_loading_holds_at_most_one_copy_beside_the_networks(published, layout, tmp_path):
    widths = (64, 128, 192, 192)
    for name, shapes in (
        ("a", layout.unet(widths) | layout.motion(widths)),
        ("b", layout.unet(widths, head=False)),
        ("c", layout.guider(outputs=64)),
    ):
        torch.save(
            {key: torch.zeros(shape) for key, shape in shapes.items()}, tmp_path / f"{name}.pth"
        )
    command = [sys.executable, "-c", MEASURE, str(published), str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    grown, size = json.loads(result.stdout)
    files = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size > 100e6
    # The mapped file counts as memory too, although the system can drop it at any time.
    assert grown < size + files + 30e6
