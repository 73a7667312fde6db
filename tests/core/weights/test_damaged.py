"""Files with keys like one of our networks but damaged: the error names them, never a KeyError."""

import random
import struct

import pytest
import torch

from animate_anyone.errors import WeightsError
from animate_anyone.weights.detect import detect_pose_guider, detect_unet, motion_widths
from animate_anyone.weights.encoders import image_encoder_config, load_autoencoder
from animate_anyone.weights.load import resolve_preset
from animate_anyone.weights.read import from_tensors, read_weights
from animate_anyone.weights.sources import Parts, with_motion

PATCH = "vision_model.embeddings.patch_embedding.weight"
POSITIONS = "vision_model.embeddings.position_embedding.weight"
MODULE = "down_blocks.0.motion_modules.0.temporal_transformer"


def weights(metadata=None, **shapes):
    """Return zeros of these shapes; __ in a name stands for a dot."""
    tensors = {key.replace("__", "."): torch.zeros(shape) for key, shape in shapes.items()}
    return from_tensors(tensors, "damaged.safetensors", metadata)


def guider(**changed):
    shapes = {
        "conv_in__weight": (4, 3, 3, 3),
        "blocks__0__weight": (4, 4, 3, 3),
        "blocks__1__weight": (8, 4, 3, 3),
        "conv_out__weight": (8, 8, 3, 3),
    }
    return weights(**(shapes | changed)).shapes


def encoder(metadata=None, *, positions=(5, 8), layer=(16, 8)):
    shapes = {PATCH: (8, 3, 4, 4), "visual_projection.weight": (8, 8)}
    shapes |= {POSITIONS: positions} if positions is not None else {}
    shapes |= {"vision_model.encoder.layers.0.mlp.fc1.weight": layer} if layer else {}
    tensors = {key: torch.zeros(shape) for key, shape in shapes.items()}
    return from_tensors(tensors, "damaged.safetensors", metadata)


@pytest.mark.parametrize(
    "shapes",
    [guider(blocks__1__weight=()), guider(conv_in__weight=()), guider(blocks__3__bias=(8,))],
    ids=["scalar block", "scalar entry", "a block is missing"],
)
def test_damaged_pose_guiders_are_refused(shapes):
    with pytest.raises(WeightsError, match=r"Pose Guider lacks .* incomplete or damaged"):
        detect_pose_guider(shapes)


def test_a_whole_pose_guider_and_image_encoder_are_read():
    assert detect_pose_guider(guider()).channels == (4, 8)
    assert image_encoder_config(encoder())["image_size"] == 8


@pytest.mark.parametrize(
    "broken",
    [
        encoder(positions=None),
        encoder(positions=()),
        encoder(layer=None),
        encoder({"image_encoder": "{"}),
        encoder({"image_encoder": "[1]"}),
        encoder({"image_encoder": '{"num_attention_heads": 3}'}),
        encoder({"image_encoder": '{"num_attention_heads": "2"}'}),
        encoder({"image_encoder": '{"hidden_act": "snake"}'}),
        encoder({"image_encoder": '{"layer_norm_eps": -1}'}),
    ],
    ids=[
        "no positions",
        "scalar positions",
        "no layers",
        "broken JSON",
        "another JSON",
        "heads that do not divide the width",
        "heads as text",
        "unknown activation",
        "negative eps",
    ],
)
def test_damaged_image_encoders_are_refused(broken):
    with pytest.raises(WeightsError, match=r"image encoder damaged\.safetensors lacks"):
        image_encoder_config(broken)


@pytest.mark.parametrize(
    "broken",
    [
        weights(encoder__layers__0__weight=(), decoder__layers__0__weight=(4,)),
        weights(
            encoder__conv_in__weight=(4, 3, 3, 3),
            decoder__conv_in__weight=(4, 4, 3, 3),
            decoder__up_blocks__0__resnets__0__conv1__weight=(4, 4, 3, 3),
            encoder__down_blocks__1__resnets__0__conv1__weight=(4, 4, 3, 3),
        ),
    ],
    ids=["tiny", "KL"],
)
def test_damaged_autoencoders_are_refused(broken):
    with pytest.raises(WeightsError, match=r"autoencoder damaged\.safetensors lacks"):
        load_autoencoder(broken, 1.0, torch.float32, "cpu")


def test_unets_with_empty_tensors_are_refused(layout):
    shapes = layout.unet()
    block = "mid_block.attentions.0.transformer_blocks.0"
    for broken in ((), (0, 0)):
        with pytest.raises(WeightsError, match="UNet lacks"):
            detect_unet(shapes | {f"{block}.attn2.to_k.weight": (), "conv_in.weight": broken})
    with pytest.raises(WeightsError, match="UNet lacks"):
        detect_unet(shapes | {"down_blocks.3.resnets.0.conv1.weight": (0,)})


def test_damaged_motion_modules_are_refused(layout):
    norm = f"{MODULE}.norm.weight"
    with pytest.raises(WeightsError, match="motion module lacks"):
        motion_widths({norm: ()})
    unet = from_tensors({key: torch.zeros(shape) for key, shape in layout.unet().items()}, "unet")
    motion = from_tensors({norm: torch.zeros(8)}, "motion.pth")
    unet.shapes["down_blocks.0.resnets.0.conv1.weight"] = ()
    with pytest.raises(WeightsError, match="motion got"):
        with_motion(unet, motion)


def test_tensors_without_a_name_are_ignored(tmp_path):
    torch.save({0: torch.ones(1), "a": torch.ones(2)}, tmp_path / "some.pth")
    torch.save({0: torch.ones(1)}, tmp_path / "none.pth")
    assert set(read_weights(tmp_path / "some.pth")) == {"a"}
    with pytest.raises(WeightsError, match=r"none\.pth holds no tensors"):
        read_weights(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"[1]", "no readable safetensors header"),
        (b'{"a":{"dtype":"F32","shape":[0],"data_offsets":["0","x"]}}', "no readable"),
    ],
    ids=["deep", "list", "texts"],
)
def test_headers_that_are_no_records_are_refused(tmp_path, header, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(WeightsError, match=words):
        read_weights(path)


def test_a_header_larger_than_the_format_allows_is_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 3 * 10**9))
        file.truncate(3 * 10**9 + 100)
    with pytest.raises(WeightsError, match=r"header of 3,000,000,000 bytes; .* 100,000,000"):
        read_weights(path)


@pytest.mark.parametrize("state", [{1: torch.ones(1)}, {("a", 1): torch.ones(1)}, "itself"])
def test_state_dicts_without_names_hold_no_tensors(tmp_path, state):
    if state == "itself":
        state = {}
        state["state_dict"] = state
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="holds no tensors"):
        read_weights(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_pickles_are_refused_in_words_or_read(tmp_path, zipped):
    path, rng = tmp_path / "x.pth", random.Random(0)
    state = {"a.weight": torch.ones(4, 4), "b": torch.ones(3)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole, refused = path.read_bytes(), 0
    for _ in range(250):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 2, 8))):
            damaged[rng.randrange(min(len(whole), 900))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            list(read_weights(path).values())
        except WeightsError:
            refused += 1
    assert refused > 50


def test_blocks_of_absurd_numbers_are_refused_at_once():
    shapes = {"down_blocks.99999999999.motion_modules.0.norm.weight": (4,)}
    with pytest.raises(WeightsError, match="have numbers without gaps"):
        motion_widths(shapes)


def test_an_error_about_shapes_or_metadata_names_the_file(layout):
    def parts(**metadata):
        unet = {key: torch.zeros(shape) for key, shape in layout.unet().items()}
        tensors = {key: torch.zeros(shape) for key, shape in layout.guider().items()}
        denoiser = from_tensors(unet, "one.safetensors", metadata)
        guider = from_tensors(tensors, "three.safetensors")
        return Parts(
            denoiser=denoiser, reference_net=from_tensors(unet, "two.pth"), pose_guider=guider
        )

    with pytest.raises(WeightsError, match=r"one\.safetensors: metadata `config` cannot be read"):
        resolve_preset(parts(config="{}"))
    with pytest.raises(WeightsError, match=r"one\.safetensors: preset got 'aa-mini', but"):
        resolve_preset(parts(), "aa-mini")
    broken = parts()
    broken.pose_guider.shapes["conv_in.weight"] = ()
    with pytest.raises(WeightsError, match=r"three\.safetensors: .*Pose Guider lacks"):
        resolve_preset(broken)
