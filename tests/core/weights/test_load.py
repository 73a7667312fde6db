import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from animate_anyone.config import AA_MINI, PRESETS
from animate_anyone.errors import WeightsError
from animate_anyone.weights.load import load_models
from animate_anyone.weights.sources import MINI_FOLDER, WeightPaths, open_parts

ROOT = Path(__file__).parents[3]


def slots(folder, **changed):
    names = {
        "denoiser": "denoising_unet.pth",
        "reference_net": "reference_unet.pth",
        "pose_guider": "pose_guider.pth",
        "motion": "motion_module.pth",
    }
    return WeightPaths(**({slot: folder / name for slot, name in names.items()} | changed))


def published(folder, name):
    return torch.load(folder / f"{name}.pth", weights_only=True)


def test_published_files_load_from_folder_list_and_slots(public_folder):
    files = sorted(public_folder.iterdir())
    for source in (public_folder, str(public_folder), files, slots(public_folder)):
        models = load_models(source)
        assert models.preset.name == "moore"
        assert models.preset.schedule == PRESETS["moore"].schedule
        assert models.autoencoder is None
        assert models.image_encoder is None
        whole = published(public_folder, "denoising_unet") | published(
            public_folder, "motion_module"
        )
        own = models.denoiser.state_dict()
        assert set(own) == set(whole)
        assert all(torch.equal(own[key], whole[key]) for key in whole)
        assert not any(parameter.is_meta for parameter in models.reference_net.parameters())
        assert not models.denoiser.training


def test_file_names_do_not_count(public_folder):
    for i, path in enumerate(sorted(public_folder.iterdir())):
        path.rename(public_folder / f"{i}.ckpt")
    assert load_models(public_folder).preset.name == "moore"


def test_loaded_networks_compute_a_step(public_folder):
    models = load_models(public_folder)
    context = torch.randn(1, 1, models.preset.unet.cross_attention_dim)
    features = models.reference_net.reference_features(torch.randn(1, 4, 8, 6), context)
    condition = models.denoiser.prepare(context, features)
    pose = models.pose_guider(torch.rand(3, 3, 64, 48)).transpose(0, 1)[None]
    noise = torch.randn(1, 4, 3, 8, 6)
    out = models.denoiser(noise, torch.tensor([500]), condition, pose)
    assert out.shape == noise.shape
    assert out.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_are_cast_but_position_tables_are_not(public_folder, dtype):
    models = load_models(public_folder, dtype=dtype)
    for key, tensor in models.denoiser.state_dict().items():
        assert tensor.dtype == (torch.float32 if key.endswith(".pe") else dtype), key


def test_a_motion_file_replaces_the_motion_modules_of_the_denoiser(public_folder, layout):
    whole = layout.random(layout.unet() | layout.motion(frames=16))
    torch.save(whole, public_folder / "denoising_unet.pth")
    models = load_models(public_folder)
    assert models.preset.unet.motion.max_frames == 32
    (public_folder / "motion_module.pth").unlink()
    models = load_models(public_folder)
    assert models.preset.unet.motion.max_frames == 16
    (public_folder / "denoising_unet.pth").unlink()
    torch.save(layout.random(layout.unet()), public_folder / "denoising_unet.pth")
    assert load_models(public_folder).preset.unet.motion is None


def test_animatediff_files_of_both_versions_load(public_folder, layout):
    for frames, mid in ((24, False), (32, True)):
        modules = layout.random(layout.motion(frames=frames, mid=mid))
        nested = {"state_dict": {f"module.{key}": tensor for key, tensor in modules.items()}}
        torch.save(nested, public_folder / "motion_module.pth")
        motion = load_models(public_folder).preset.unet.motion
        assert (motion.max_frames, motion.mid_block) == (frames, mid)


def test_a_plain_stable_diffusion_unet_serves_as_reference_net(public_folder, layout):
    torch.save(layout.random(layout.unet()), public_folder / "reference_unet.pth")
    models = load_models(slots(public_folder))
    assert models.preset.unet.motion is not None
    with pytest.raises(WeightsError, match=r"denoiser got 2 files that fit"):
        load_models(public_folder)


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


def test_presets_without_files_tell_how_to_get_them():
    with pytest.raises(WeightsError, match="download moore --to FOLDER"):
        load_models("moore")


def test_a_preset_can_be_named_against_the_shapes(public_folder):
    models = load_models(public_folder, preset="musepose")
    assert models.preset.schedule == PRESETS["musepose"].schedule
    assert models.preset.unet.motion.max_frames == 32
    with pytest.raises(WeightsError, match="another layout"):
        load_models(public_folder, preset="aa-mini")


def foreign(kind):
    return {
        "lora": {"lora_unet_conv_in.lora_down.weight": torch.ones(4, 4)},
        "vae": {"encoder.down.0.block.0.norm1.weight": torch.ones(4)},
        "clip": {"vision_model.embeddings.patch_embedding.weight": torch.ones(4, 3, 2, 2)},
        "other": {"backbone.stem.weight": torch.ones(4)},
    }[kind]


@pytest.mark.parametrize("slot", ["denoiser", "reference_net", "pose_guider", "motion"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("lora", "a LoRA"),
        ("vae", "a VAE"),
        ("clip", "a CLIP vision model"),
        ("other", "not known here"),
    ],
)
def test_wrong_files_are_called_by_their_name(public_folder, slot, kind, words):
    save_file(foreign(kind), public_folder / "wrong.safetensors")
    wrong = slots(public_folder, **{slot: public_folder / "wrong.safetensors"})
    with pytest.raises(WeightsError, match=rf"{slot} got .*wrong\.safetensors.*{words}"):
        load_models(wrong)


def test_swapped_unets_are_noticed(public_folder):
    swapped = slots(
        public_folder,
        denoiser=public_folder / "reference_unet.pth",
        reference_net=public_folder / "denoising_unet.pth",
    )
    with pytest.raises(WeightsError, match="seem to be swapped"):
        load_models(swapped)


def test_a_file_in_the_wrong_slot_is_sent_to_its_own(public_folder):
    wrong = slots(public_folder, pose_guider=public_folder / "motion_module.pth")
    with pytest.raises(WeightsError, match="where a motion module file is asked for"):
        load_models(wrong)


def test_networks_of_other_widths_are_refused(public_folder, layout):
    other = (32, 32, 64, 64)
    for name, shapes, words in (
        ("motion_module", layout.motion(other), r"widths \(32, 32, 64, 64\)"),
        ("reference_unet", layout.unet(other, head=False), "two networks of one weight set"),
        ("pose_guider", layout.guider(outputs=64), "64 output channels.*needs 32"),
    ):
        path = public_folder / f"{name}.pth"
        kept = path.read_bytes()
        torch.save(layout.random(shapes), path)
        with pytest.raises(WeightsError, match=words):
            load_models(public_folder)
        path.write_bytes(kept)


@pytest.mark.parametrize("name", ["denoising_unet", "reference_unet", "motion_module"])
def test_missing_surplus_and_misshapen_keys_are_listed(public_folder, name):
    tensors = published(public_folder, name)
    key = next(key for key in tensors if key.startswith("up_blocks.1.") and "norm" in key)
    misshapen = next(k for k in tensors if k.startswith("up_blocks.2.") and "proj_in.bias" in k)
    del tensors[key]
    tensors |= {misshapen: torch.ones(7), "down_blocks.0.motion_modules.0.extra": torch.ones(1)}
    torch.save(tensors, public_folder / f"{name}.pth")
    with pytest.raises(WeightsError) as caught:
        load_models(slots(public_folder))
    text = str(caught.value)
    if name == "denoising_unet":  # its motion modules are replaced by those of the motion file
        assert "extra" not in text
    else:
        assert "down_blocks.0.motion_modules.0.extra" in text
    assert f"1 missing ({key})" in text
    assert f"{misshapen} is [7], the network has" in text


def test_a_missing_part_is_named(public_folder):
    (public_folder / "pose_guider.pth").unlink()
    with pytest.raises(WeightsError, match=r"lack a Pose Guider; found .*denoising_unet\.pth"):
        load_models(public_folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no weight files"):
        load_models(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(public_folder, value):
    tensors = published(public_folder, "reference_unet")
    tensors["mid_block.resnets.0.conv1.bias"][5] = value
    torch.save(tensors, public_folder / "reference_unet.pth")
    with pytest.raises(WeightsError, match=r"mid_block\.resnets\.0\.conv1\.bias has 1 of 96"):
        load_models(public_folder)


def test_values_beyond_half_precision_are_refused_in_it_only(public_folder):
    tensors = published(public_folder, "pose_guider")
    tensors["conv_in.bias"][0] = 1e6
    torch.save(tensors, public_folder / "pose_guider.pth")
    load_models(public_folder, dtype=torch.bfloat16)
    with pytest.raises(WeightsError, match=r"reaches 1e\+06, which torch\.float16 cannot hold"):
        load_models(public_folder, dtype=torch.float16)


def test_bundles_of_parts_carry_no_foreign_metadata(public_folder):
    assert open_parts(public_folder).metadata == {}


MEASURE = """
import json, resource, sys
import torch
from animate_anyone.weights.load import load_models
from animate_anyone.weights.detect import reference_surplus
torch.set_num_threads(1)
load_models(sys.argv[1])  # everything is imported and warm
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
models = load_models(sys.argv[2], dtype=torch.float32)
networks = (models.denoiser, models.reference_net, models.pose_guider)
size = sum(t.nbytes for network in networks for t in network.state_dict().values())
print(json.dumps([peak() - before, size]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_loading_holds_at_most_one_copy_beside_the_networks(
    public_folder, layout, tmp_path, stored
):
    large = tmp_path / "large"
    large.mkdir()
    widths = (96, 192, 192, 192)
    for name, shapes in (
        ("a", layout.unet(widths) | layout.motion(widths)),
        ("b", layout.unet(widths, head=False)),
        ("c", layout.guider(outputs=96)),
    ):
        torch.save(layout.random(shapes, stored), large / f"{name}.pth")
    command = [sys.executable, "-c", MEASURE, str(public_folder), str(large)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    grown, size = json.loads(result.stdout)
    files = sum(path.stat().st_size for path in large.iterdir())
    assert size > 100e6
    # The mapped file counts as memory too, although it can be dropped at any time.
    assert grown < size + files + 30e6
