"""Start both UNets from Stable Diffusion, in its published layouts, or from a weight set."""

import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from animate_anyone.config import MotionConfig, PoseGuiderConfig, UNetConfig
from animate_anyone.errors import WeightsError
from animate_anyone.networks.attention import sdpa
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.unet import UNet
from animate_anyone.training.initial import from_bundle, from_stable_diffusion
from animate_anyone.training.initial.original_names import diffusers_name
from animate_anyone.training.initial.stable_diffusion import with_diffusers_names
from animate_anyone.training.variants import build_variant, initialise_variant
from animate_anyone.weights.load import load_mini
from animate_anyone.weights.read import Weights
from animate_anyone.weights.report import module_shapes
from animate_anyone.weights.sets.stable_diffusion import SD15_UNET

MOTION = MotionConfig(max_frames=6, heads=2, attention_blocks=1, norm_groups=4)
SMALL = UNetConfig(
    block_out_channels=(8, 8, 16, 16),
    attention_levels=(True, True, True, False),
    heads=2,
    cross_attention_dim=12,
    norm_groups=4,
    motion=MOTION,
)
GUIDER = PoseGuiderConfig(out_channels=8)
PLAIN = replace(SMALL, motion=None)  # Stable Diffusion's UNet
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
# Names and shapes of Stable Diffusion 1.5 as they stand in its checkpoint, and diffusers' names.
KNOWN = """
input_blocks.0.0.weight             320,4,3,3     conv_in.weight
time_embed.2.bias                   1280          time_embedding.linear_2.bias
input_blocks.1.0.in_layers.2.weight 320,320,3,3   down_blocks.0.resnets.0.conv1.weight
input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight 320,768 \
    down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k.weight
input_blocks.3.0.op.weight          320,320,3,3   down_blocks.0.downsamplers.0.conv.weight
input_blocks.4.0.skip_connection.weight 640,320,1,1 down_blocks.1.resnets.0.conv_shortcut.weight
input_blocks.5.1.proj_in.weight     640,640,1,1   down_blocks.1.attentions.1.proj_in.weight
input_blocks.11.0.emb_layers.1.weight 1280,1280   down_blocks.3.resnets.1.time_emb_proj.weight
middle_block.1.norm.weight          1280          mid_block.attentions.0.norm.weight
middle_block.2.out_layers.3.weight  1280,1280,3,3 mid_block.resnets.1.conv2.weight
output_blocks.0.0.in_layers.0.weight 2560         up_blocks.0.resnets.0.norm1.weight
output_blocks.2.1.conv.weight       1280,1280,3,3 up_blocks.0.upsamplers.0.conv.weight
output_blocks.5.2.conv.weight       1280,1280,3,3 up_blocks.1.upsamplers.0.conv.weight
output_blocks.6.0.skip_connection.weight 640,1920,1,1 up_blocks.2.resnets.0.conv_shortcut.weight
output_blocks.11.1.transformer_blocks.0.ff.net.0.proj.weight 2560,320 \
    up_blocks.3.attentions.2.transformer_blocks.0.ff.net.0.proj.weight
out.2.weight                        4,320,3,3     conv_out.weight
"""


def original_name(key, layers=2, attention=(True, True, True, False)):
    """Return the name in original checkpoints of a tensor of diffusers' UNet."""
    layer, kind = key.rsplit(".", 1)
    if layer in ENDS:
        return f"{ENDS[layer]}.{kind}"
    side, level, part, number, rest = re.fullmatch(
        r"(down|mid|up)_block(?:s\.(\d))?\.(\w+?)s\.(\d)\.(.+)", layer
    ).groups()
    place = "1" if part == "attention" else "0"
    if side == "mid":
        block = f"middle_block.{1 if part == 'attention' else 2 * int(number)}"
    elif part == "downsampler":
        block, rest = f"input_blocks.{(layers + 1) * (int(level) + 1)}.0", "op"
    elif part == "upsampler":
        place = 2 if attention[-1 - int(level)] else 1
        block, rest = f"output_blocks.{(layers + 1) * int(level) + layers}.{place}", "conv"
    elif side == "down":
        block = f"input_blocks.{(layers + 1) * int(level) + int(number) + 1}.{place}"
    else:
        block = f"output_blocks.{(layers + 1) * int(level) + int(number)}.{place}"
    return f"{block}.{RESNET.get(rest, rest)}.{kind}"


def pair(config=SMALL):
    return UNet(config), UNet(config.reference())


def snapshot(*modules):
    return [{k: v.clone() for k, v in module.state_dict().items()} for module in modules]


def temporal(tensors):
    return {key: value for key, value in tensors.items() if ".motion_modules." in key}


@pytest.fixture(scope="module")
def stable_diffusion():
    """Return random tensors of a small Stable Diffusion UNet, with the names of diffusers."""
    generator = torch.Generator().manual_seed(4)
    shapes = module_shapes(UNet(PLAIN, device="meta"))
    return {key: torch.randn(shape, generator=generator) * 0.1 for key, shape in shapes.items()}


def check_started(denoiser, reference_net, tensors):
    own = denoiser.state_dict()
    assert set(own) - set(temporal(own)) == set(tensors)
    assert all(torch.equal(own[key], value) for key, value in tensors.items())
    reference = reference_net.state_dict()
    assert len(reference) == len(tensors) - 4 - 20  # no head, no rest of the last block
    assert all(torch.equal(value, tensors[key]) for key, value in reference.items())


@pytest.mark.parametrize(
    "name",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "diffusion_pytorch_model.fp16.safetensors",
    ],
)
def test_both_networks_start_from_a_diffusers_folder(stable_diffusion, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    save = save_file if path.suffix == ".safetensors" else torch.save
    save(stable_diffusion, path)
    denoiser, reference_net = pair()
    untouched = temporal(snapshot(denoiser)[0])
    from_stable_diffusion(denoiser, reference_net, tmp_path)

    check_started(denoiser, reference_net, stable_diffusion)
    own = denoiser.state_dict()
    assert all(torch.equal(own[key], value) for key, value in untouched.items())


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", ""])
def test_both_networks_start_from_an_original_checkpoint(stable_diffusion, tmp_path, prefix):
    tensors = {prefix + original_name(key): value for key, value in stable_diffusion.items()}
    others = {
        "first_stage_model.decoder.conv_in.weight": torch.zeros(2),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.zeros(2),
        "model_ema.decay": torch.zeros(1),
    }
    save_file(tensors | (others if prefix else {}), tmp_path / "sd.safetensors")
    denoiser, reference_net = pair()
    from_stable_diffusion(denoiser, reference_net, tmp_path / "sd.safetensors")

    check_started(denoiser, reference_net, stable_diffusion)


def test_original_names_are_those_of_the_published_checkpoint():
    whole = module_shapes(UNet(replace(SD15_UNET, motion=None), device="meta"))
    shapes = {f"model.diffusion_model.{original_name(key)}": s for key, s in whole.items()}
    numbers = {name: torch.tensor(number) for number, name in enumerate(shapes)}
    found = with_diffusers_names(Weights("sd.ckpt", shapes, numbers.__getitem__), 2)

    assert len(found) == 686
    assert found.shapes == whole
    for original, sizes, name in (line.split() for line in KNOWN.strip().split("\n")):
        assert found[name] == numbers[f"model.diffusion_model.{original}"], original
        assert found.shapes[name] == tuple(int(size) for size in sizes.split(","))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    "attention", [(True, True, True, False), (False, True, True, True)], ids=str
)
def test_names_are_those_that_diffusers_gives(layers, attention):
    """Our table is checked against diffusers' private function."""
    files = pytest.importorskip("diffusers.loaders.single_file_utils")
    if not hasattr(files, "convert_ldm_unet_checkpoint"):
        pytest.skip("this diffusers converts checkpoints in another way")
    config = replace(SD15_UNET, motion=None, layers_per_block=layers, attention_levels=attention)
    ours = module_shapes(UNet(config, device="meta"))
    originals = [original_name(key, layers, attention) for key in ours]
    prefixed = {f"model.diffusion_model.{key}": key for key in originals}
    theirs = files.convert_ldm_unet_checkpoint(prefixed, {"layers_per_block": layers})

    assert {diffusers_name(key, layers): key for key in originals} == theirs
    assert set(theirs) == set(ours)


@pytest.mark.parametrize(
    "key",
    [
        "label_emb.0.0.weight",
        "input_blocks.1.0.middle.weight",
        "input_blocks.1.2.norm.weight",
        "middle_block.3.norm.weight",
        "input_blocks.x.0.op.weight",
        "out.1.weight",
        "weight",
    ],
)
def test_unknown_names_have_no_counterpart(key):
    assert diffusers_name(key, 2) is None


def test_a_half_precision_file_is_cast(stable_diffusion, tmp_path):
    halves = {key: value.half() for key, value in stable_diffusion.items()}
    save_file(halves, tmp_path / "sd.safetensors")
    denoiser, reference_net = pair()
    from_stable_diffusion(denoiser, reference_net, tmp_path / "sd.safetensors")

    assert denoiser.conv_in.weight.dtype == torch.float32
    check_started(denoiser, reference_net, {k: v.float() for k, v in halves.items()})


def test_parameters_stay_the_same_objects(stable_diffusion, tmp_path):
    save_file(stable_diffusion, tmp_path / "sd.safetensors")
    denoiser, reference_net = pair()
    held = [(p, id(p)) for p in (*denoiser.parameters(), *reference_net.parameters())]
    from_stable_diffusion(denoiser, reference_net, tmp_path / "sd.safetensors")

    now = [*denoiser.parameters(), *reference_net.parameters()]
    assert [id(p) for p in now] == [number for _, number in held]
    assert all(p.requires_grad for p in now)


@pytest.mark.parametrize("variant", ["clip", "controlnet"])
def test_ablations_start_from_stable_diffusion_too(stable_diffusion, tmp_path, variant):
    save_file(stable_diffusion, tmp_path / "sd.safetensors")
    denoiser, reference_net = build_variant(variant, SMALL, sdpa)
    initialise_variant(denoiser, reference_net)
    (before,) = snapshot(reference_net)
    from_stable_diffusion(denoiser, reference_net, tmp_path / "sd.safetensors")

    own = denoiser.state_dict()
    assert all(torch.equal(own[key], value) for key, value in stable_diffusion.items())
    after = reference_net.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    if variant == "controlnet":
        copied = denoiser.controlnet.mid_block.state_dict()
        original = {key: stable_diffusion[f"mid_block.{key}"] for key in copied}
        assert all(torch.equal(copied[key], value) for key, value in original.items())
        assert not own["controlnet.controlnet_mid_block.weight"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("mid_block.resnets.0.conv1.bias"), "1 missing .mid_block.resnets.0.conv1"),
        (lambda t: t.update({"down_blocks.7.extra": torch.ones(1)}), "1 surplus .down_blocks.7"),
        (
            lambda t: t.update({"conv_in.weight": torch.ones(8, 9, 3, 3)}),
            r"conv_in.weight is \[8, 9, 3, 3\], the network has \[8, 4, 3, 3\]",
        ),
        (lambda t: t.pop("conv_out.weight"), "which is a ReferenceNet"),
    ],
    ids=["missing", "surplus", "inpainting", "headless"],
)
def test_stable_diffusion_that_does_not_fit_is_refused(stable_diffusion, tmp_path, change, message):
    tensors = dict(stable_diffusion)
    change(tensors)
    save_file(tensors, tmp_path / "sd.safetensors")
    networks = pair()
    before = snapshot(*networks)

    with pytest.raises(WeightsError, match=message):
        from_stable_diffusion(*networks, tmp_path / "sd.safetensors")
    for mine, other in zip(before, snapshot(*networks), strict=True):
        assert all(torch.equal(mine[key], other[key]) for key in mine)


def test_values_that_are_not_numbers_are_refused(stable_diffusion, tmp_path):
    broken = {"conv_in.bias": torch.full((8,), torch.nan)}
    save_file(stable_diffusion | broken, tmp_path / "sd.safetensors")
    with pytest.raises(WeightsError, match=r"conv_in.bias has 8 of 8 values that are NaN"):
        from_stable_diffusion(*pair(), tmp_path / "sd.safetensors")


def test_folders_and_checkpoints_of_something_else_are_refused(stable_diffusion, tmp_path):
    with pytest.raises(WeightsError, match="holds no Stable Diffusion UNet; looked for unet/diff"):
        from_stable_diffusion(*pair(), tmp_path)
    tensors = {
        f"model.diffusion_model.{original_name(key)}": value
        for key, value in stable_diffusion.items()
    }
    surplus = {"model.diffusion_model.label_emb.0.0.weight": torch.ones(1)}
    save_file(tensors | surplus, tmp_path / "xl.safetensors")
    with pytest.raises(
        WeightsError, match=r"has 1 tensors that version 1.5 does not have .label_emb"
    ):
        from_stable_diffusion(*pair(), tmp_path / "xl.safetensors")
    del tensors["model.diffusion_model.output_blocks.5.2.conv.bias"]
    save_file(tensors, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"lacks 'output_blocks.5.2.conv.bias'; .* incomplete"):
        from_stable_diffusion(*pair(), tmp_path / "part.safetensors")


def bundle_of(tmp_path, config, generator):
    networks = {
        "denoiser": UNet(config, device="meta"),
        "reference_net": UNet(config.reference(), device="meta"),
        "pose_guider": build_pose_guider(GUIDER),
    }
    tensors = {
        f"{name}.{key}": torch.randn(value.shape, generator=generator) * 0.1
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    save_file(tensors, tmp_path / "bundle.safetensors")
    return tmp_path / "bundle.safetensors", tensors


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("with_motion", [False, True])
def test_training_starts_from_a_bundle(tmp_path, stage, with_motion, caplog):
    generator = torch.Generator().manual_seed(8)
    path, tensors = bundle_of(tmp_path, SMALL if with_motion else PLAIN, generator)
    denoiser, reference_net = pair(SMALL if stage == 2 else PLAIN)
    guider = build_pose_guider(GUIDER)
    (before,) = snapshot(denoiser)
    from_bundle(denoiser, reference_net, guider, path)

    for name, network in (("reference_net", reference_net), ("pose_guider", guider)):
        for key, value in network.state_dict().items():
            assert torch.equal(value, tensors[f"{name}.{key}"]), key
    for key, value in denoiser.state_dict().items():
        assert torch.equal(value, tensors.get(f"denoiser.{key}", before[key])), key
    assert ("has no temporal layers" in caplog.text) == (stage == 2 and not with_motion)


def test_training_starts_from_the_shipped_weights():
    shipped = load_mini()
    config = shipped.preset.unet
    denoiser, reference_net = pair(config)
    guider = build_pose_guider(shipped.preset.pose_guider)
    encoder = type(shipped.image_encoder.network)(shipped.image_encoder.network.config)
    from_bundle(denoiser, reference_net, guider, "aa-mini", image_encoder=encoder)

    for mine, other in (
        (denoiser, shipped.denoiser),
        (reference_net, shipped.reference_net),
        (guider, shipped.pose_guider),
        (encoder, shipped.image_encoder.network),
    ):
        own = mine.state_dict()
        assert all(torch.equal(own[key], value) for key, value in other.state_dict().items())


def test_bundles_without_a_trained_network_are_refused(tmp_path):
    path, _ = bundle_of(tmp_path, SMALL, torch.Generator().manual_seed(8))
    denoiser, reference_net = pair()
    with pytest.raises(WeightsError, match=r"image_encoder got none: .* comes without one"):
        from_bundle(
            *(denoiser, reference_net, build_pose_guider(GUIDER), path),
            image_encoder=torch.nn.Linear(1, 1),
        )
    with pytest.raises(WeightsError, match="is not a Pose Guider that fits"):
        from_bundle(denoiser, reference_net, build_pose_guider(PoseGuiderConfig()), path)
