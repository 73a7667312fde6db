"""UNet and ReferenceNet: shapes, conditions, and options that must not change the result."""

from dataclasses import replace

import pytest
import torch

from animate_anyone.config import MotionConfig, UNetConfig
from animate_anyone.errors import ConfigError, InputError
from animate_anyone.networks.attention import KeyValue, sdpa
from animate_anyone.networks.initialise import initialise
from animate_anyone.networks.layers import normalise
from animate_anyone.networks.position import compute_dtype, level_codes
from animate_anyone.networks.temporal import MotionModule
from animate_anyone.networks.unet import UNet

TINY = UNetConfig(
    block_out_channels=(16, 32),
    attention_levels=(True, False),
    layers_per_block=1,
    heads=2,
    cross_attention_dim=12,
    norm_groups=8,
    motion=MotionConfig(max_frames=6, heads=2, norm_groups=8),
)
BLOCKS = 1 + 1 + 2  # transformers down, in the middle, up


class ReferencedDenoiser:
    """A denoiser with its ReferenceNet, and inputs for two rows."""

    def __init__(self, config=TINY, frames=3, size=(6, 5)):
        self.denoiser = UNet(config).eval()
        self.reference_net = UNet(config.reference()).eval()
        self.latents = torch.randn(2, config.in_channels, frames, *size)
        self.timesteps = torch.tensor([300, 800])
        self.tokens = torch.randn(2, 1, config.cross_attention_dim)
        self.pose = torch.randn(1, config.block_out_channels[0], frames, *size)
        picture = torch.randn(2, config.in_channels, *size)
        self.features = self.reference_net.reference_features(picture, self.tokens)

    def run(self, rows=slice(None), reference=None, attends=None, pose=None, **extra):
        condition = self.denoiser.prepare(self.tokens[rows], reference, attends)
        latents, timesteps = self.latents[rows], self.timesteps[rows]
        return self.denoiser(latents, timesteps, condition, pose, **extra)


def close(a, b, limit=2e-5):
    torch.testing.assert_close(a, b, atol=limit, rtol=0)


@pytest.fixture
def scene():
    with torch.no_grad():
        yield ReferencedDenoiser()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (8, 8), (9, 16)])
def test_any_latent_size_works_and_keeps_its_shape(size):
    with torch.no_grad():
        scene = ReferencedDenoiser(size=size)
        result = scene.run(reference=scene.features, pose=scene.pose)
    assert result.shape == scene.latents.shape
    assert result.isfinite().all()


def test_reference_of_another_size_works(scene):
    picture = torch.randn(1, 4, 9, 4)
    features = scene.reference_net.reference_features(picture, scene.tokens[:1])
    assert [part.shape[1] for part in features] == [36, 10, 36, 36]
    assert scene.run(reference=features).shape == scene.latents.shape


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_any_clip_up_to_the_motion_table_works(frames):
    with torch.no_grad():
        assert ReferencedDenoiser(frames=frames).run().shape[2] == frames


def test_a_longer_clip_than_the_motion_table_is_refused():
    with pytest.raises(InputError, match=r"latents got 7 frames.*windows of at most 6"):
        ReferencedDenoiser(frames=7).run()
    assert ReferencedDenoiser(replace(TINY, motion=None), frames=7).run().shape[2] == 7


def test_rows_with_and_without_reference_equal_separate_calls(scene):
    one = [part[1:] for part in scene.features]
    pair = scene.run(reference=one, attends=[False, True], pose=scene.pose)
    close(pair[:1], scene.run(slice(0, 1), pose=scene.pose))
    close(pair[1:], scene.run(slice(1, 2), one, pose=scene.pose))
    other = scene.run(reference=one, attends=[True, False], pose=scene.pose)
    assert (other - pair).abs().max() > 1e-3


def test_each_attending_row_sees_its_own_reference(scene):
    both = scene.run(reference=scene.features)
    for row in range(2):
        own = [part[row : row + 1] for part in scene.features]
        close(both[row : row + 1], scene.run(slice(row, row + 1), own))


def test_mixed_rows_keep_their_order(scene):
    tokens, latents = scene.tokens[[0, 1, 0, 1]], scene.latents[[0, 1, 1, 0]]
    condition = scene.denoiser.prepare(tokens, scene.features, [True, False, False, True])
    result = scene.denoiser(latents, torch.full((4,), 100), condition)
    for row, reference in enumerate((0, None, None, 1)):
        features = None if reference is None else [f[reference, None] for f in scene.features]
        alone = scene.denoiser.prepare(tokens[row, None], features)
        close(result[row], scene.denoiser(latents[row, None], torch.tensor([100]), alone)[0])


def test_no_attending_row_equals_no_reference(scene):
    close(scene.run(reference=[f[:1] for f in scene.features], attends=[False] * 2), scene.run())


def test_several_equal_tokens_give_what_one_gives(scene):
    # Attention to equal tokens averages equal values, so the result is that of a single token.
    short = scene.denoiser.prepare(scene.tokens)
    long = scene.denoiser.prepare(scene.tokens.expand(-1, 3, -1))
    assert isinstance(long.cross[0], KeyValue)
    ours = [scene.denoiser(scene.latents, scene.timesteps, way) for way in (short, long)]
    close(*ours)


def test_every_token_of_a_long_context_matters(scene):
    contexts = torch.randn(2, 5, 12)
    ways = [scene.denoiser.prepare(part) for part in (contexts, contexts.flip(1), contexts[:, :4])]
    same, flipped, shorter = (scene.denoiser(scene.latents, scene.timesteps, way) for way in ways)
    close(same, flipped)
    assert (same - shorter).abs().max() > 1e-4


def test_timesteps_per_frame_equal_those_per_row(scene):
    condition = scene.denoiser.prepare(scene.tokens)
    per_frame = scene.timesteps[:, None].expand(-1, 3)
    close(scene.denoiser(scene.latents, per_frame, condition), scene.run())
    changed = per_frame.clone()
    changed[0, 2] = 5
    result = scene.denoiser(scene.latents, changed, condition)
    assert (result[0] - scene.run()[0]).abs().max() > 1e-4


def test_frames_without_motion_modules_equal_single_pictures():
    with torch.no_grad():
        scene = ReferencedDenoiser(replace(TINY, motion=None))
        clip = scene.run(reference=scene.features, pose=scene.pose)
        scene.latents, pose = scene.latents[:, :, 1:2], scene.pose[:, :, 1:2]
        close(clip[:, :, 1:2], scene.run(reference=scene.features, pose=pose))


def test_untrained_motion_modules_change_nothing():
    config = replace(TINY, motion=None)
    with torch.no_grad():
        scene = ReferencedDenoiser()
        initialise(scene.denoiser, generator=torch.Generator().manual_seed(1))
        for module in _motion_modules(scene.denoiser):  # to the bit, as no network of layers is
            x = torch.randn(3, module.temporal_transformer.norm.num_channels, 6, 5)
            assert torch.equal(module(x, 3, sdpa), x)
        still = UNet(config)
        weights = scene.denoiser.state_dict()
        still.load_state_dict({key: weights[key] for key in still.state_dict()})
        moving = scene.run(pose=scene.pose)
        scene.denoiser = still
        close(scene.run(pose=scene.pose), moving, limit=1e-6)


def _motion_modules(denoiser):
    found = [module for module in denoiser.modules() if isinstance(module, MotionModule)]
    assert found
    return found


def test_tied_query_and_key_are_equal_and_orthogonal():
    denoiser = initialise(UNet(TINY), tie_query_key=True)
    attention = denoiser.mid_block.attentions[0].block.attn1
    query = attention.to_q.weight
    assert torch.equal(query, attention.to_k.weight)
    close(query @ query.T, 0.49 * torch.eye(len(query)))


def test_initialising_fills_everything_and_is_repeatable():
    made = []
    for _ in range(2):
        denoiser = UNet(TINY, device="meta").to_empty(device="cpu")
        initialise(denoiser, generator=torch.Generator().manual_seed(3))
        made.append(denoiser.state_dict())
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0])
    fresh = UNet(TINY).state_dict()
    tables = [key for key in fresh if key.endswith(".pe")]
    assert len(tables) == 2 * (1 + 1 + 1 + 2 + 2)
    assert all(torch.equal(made[0][key], fresh[key]) for key in tables)


def test_control_residuals_reach_skips_and_middle(scene):
    plain = scene.run()
    skips = [torch.zeros(6, 16, 6, 5), torch.zeros(6, 16, 6, 5), None, torch.zeros(6, 32, 3, 3)]
    nothing = torch.zeros(6, 32, 3, 3)
    close(scene.run(down_residuals=skips, mid_residual=nothing), plain)
    assert (scene.run(mid_residual=nothing + 1) - plain).abs().max() > 1e-4
    skips[1] += 1
    assert (scene.run(down_residuals=skips) - plain).abs().max() > 1e-4
    with pytest.raises(InputError, match="down_residuals got 2 tensors; this network has 4"):
        scene.run(down_residuals=skips[:2])


@pytest.mark.parametrize("channels", [4, 16], ids=["paper: latent", "public: features"])
def test_pose_is_added_where_its_channels_belong(scene, channels):
    pose = torch.randn(1, channels, 3, 6, 5)
    if channels == 16:
        assert (scene.run(pose=pose) - scene.run()).abs().max() > 1e-3
        return
    result = scene.run(pose=pose)
    scene.latents = scene.latents + pose
    close(result, scene.run())


@pytest.mark.parametrize(
    "shape",
    [(1, 16, 2, 6, 5), (1, 16, 3, 6, 4), (1, 7, 3, 6, 5), (3, 16, 3, 6, 5)],
    ids=["frames", "columns", "channels", "rows"],
)
def test_a_pose_of_another_shape_is_refused(scene, shape):
    with pytest.raises(InputError, match="pose got shape"):
        scene.run(pose=torch.zeros(shape))


def test_conditions_that_do_not_fit_are_refused(scene):
    prepare = scene.denoiser.prepare
    with pytest.raises(InputError, match="reference got 2 feature maps; this network has 4"):
        prepare(scene.tokens, scene.features[:2])
    with pytest.raises(InputError, match="attends got 3 values"):
        prepare(scene.tokens, scene.features, [True] * 3)
    with pytest.raises(InputError, match=r"reference got \[2\] rows"):
        prepare(scene.tokens, scene.features, [True, False])
    with pytest.raises(InputError, match="latents got 2 rows"):
        scene.denoiser(scene.latents, scene.timesteps, prepare(scene.tokens[:1]))
    with pytest.raises(ConfigError, match="called on a denoiser"):
        scene.denoiser.reference_features(scene.latents[:, :, 0], scene.tokens)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half_and_is_close_to_float32(dtype):
    config = replace(TINY, position_code=1.0)
    with torch.no_grad():
        scene = ReferencedDenoiser(config)
        # The table of positions stays in float32, as after a partial load in a host.
        exact = scene.run(reference=scene.features, pose=scene.pose)
        for network in (scene.denoiser, scene.reference_net):
            for parameter in network.parameters():
                parameter.data = parameter.data.to(dtype)
        scene.tokens, scene.latents = scene.tokens.to(dtype), scene.latents.to(dtype)
        features = [part.to(dtype) for part in scene.features]
        result = scene.run(reference=features, pose=scene.pose)
        seen = scene.reference_net.reference_features(scene.latents[:, :, 0], scene.tokens)
    assert result.dtype == dtype
    assert {part.dtype for part in seen} == {dtype}
    error = (result.float() - exact).norm() / exact.norm()
    assert error < 0.03


def test_autocast_computes_in_half_precision():
    with torch.no_grad():
        scene = ReferencedDenoiser(replace(TINY, position_code=1.0))
        exact = scene.run(reference=scene.features)
        with torch.autocast("cpu", torch.bfloat16):
            result = scene.run(reference=scene.features)
    assert result.dtype == torch.bfloat16
    assert (result.float() - exact).norm() / exact.norm() < 0.03


def test_gradients_reach_both_networks_through_prepare():
    scene = ReferencedDenoiser()
    scene.run(reference=scene.features, pose=scene.pose).square().mean().backward()
    without = {n for n, p in scene.reference_net.named_parameters() if p.grad is None}
    # One-token cross-attention has no query and no key.
    assert all(".norm2." in n or ".attn2.to_q" in n or ".attn2.to_k" in n for n in without)
    assert scene.reference_net.conv_in.weight.grad.abs().max() > 0


def test_checkpointing_changes_no_gradient():
    torch.manual_seed(5)
    scene = ReferencedDenoiser()
    gradients = []
    for checkpointing in (False, True):
        for network in (scene.denoiser, scene.reference_net):
            network.checkpointing = checkpointing
            network.zero_grad()
        picture = scene.latents[:, :, 0]
        features = scene.reference_net.reference_features(picture, scene.tokens)
        scene.run(reference=features).square().mean().backward()
        networks = (scene.denoiser, scene.reference_net)
        gradients.append([p.grad for n in networks for p in n.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    for plain, again in zip(*gradients, strict=True):
        close(plain, again, 1e-6)


def test_attention_of_a_call_replaces_the_networks_own(scene):
    shapes = []

    def watched(query, key, value):
        shapes.append((tuple(query.shape), tuple(key.shape)))
        return sdpa(query, key, value)

    close(scene.run(attention=watched), scene.run())
    spatial = [pair for pair in shapes if pair[0][2] != 3]
    assert len(spatial) == BLOCKS
    # Temporal attention: one call per row, places in the batch, frames as the sequence.
    assert shapes.count(((30, 2, 3, 8), (30, 2, 3, 8))) == 3 * 2 * 2


def test_rows_without_reference_use_shorter_keys(scene):
    lengths = []

    def watched(query, key, value):
        lengths.append((query.shape[0], key.shape[2]))
        return sdpa(query, key, value)

    one = [part[1:] for part in scene.features]
    scene.run(reference=one, attends=[False, True], attention=watched)
    assert lengths.count((3, 30)) == 3
    assert lengths.count((3, 60)) == 3


def test_norms_over_frames_share_their_statistics():
    norm, x = torch.nn.GroupNorm(2, 4), torch.randn(6, 4, 3, 5)
    x = x.contiguous(memory_format=torch.channels_last)
    clip = x.unflatten(0, (2, 3)).transpose(1, 2)
    close(normalise(norm, x, 3), norm(clip).transpose(1, 2).flatten(0, 1))
    with torch.no_grad():
        scene = ReferencedDenoiser(replace(TINY, motion=None, norm_over_frames=True))
        clip = scene.run()
        scene.latents = scene.latents[:, :, :1]
        assert (clip[:, :, :1] - scene.run()).abs().max() > 1e-4


def test_position_code_marks_the_same_place_at_every_level():
    config = replace(TINY, position_code=1.0, motion=None)
    codes = level_codes(config, torch.zeros(1, 4, 1, 8, 12))
    assert [tuple(code.shape) for code in codes] == [(1, 96, 16), (1, 24, 32)]
    alike = codes[0][0] @ codes[0][0].T
    assert torch.equal(alike.argmax(1), torch.arange(96))


def test_reference_net_is_built_without_unused_layers():
    names = set(UNet(TINY.reference()).state_dict())
    last = "up_blocks.1.attentions.1."
    kept = {name.removeprefix(last) for name in names if name.startswith(last)}
    layers = ("norm", "proj_in", "transformer_blocks.0.norm1")
    assert kept == {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    assert not any(name.startswith("conv_out") or "motion" in name for name in names)


def test_a_device_without_autocast_is_not_asked_for_it():
    latents = torch.zeros(1, dtype=torch.float16, device="meta")
    assert compute_dtype(latents) == torch.float16


@pytest.mark.parametrize("size", [(6, 5), (8, 8)])
def test_predict_equals_forward_and_its_own_features_give_the_same_again(size):
    with torch.no_grad():
        scene = ReferencedDenoiser(size=size)
        condition = scene.denoiser.prepare(scene.tokens, scene.features)
        inputs = (scene.latents, scene.timesteps, condition, scene.pose)
        expected = scene.denoiser(*inputs)
        full, deep = scene.denoiser.predict(*inputs)
        again, same = scene.denoiser.predict(*inputs, deep=deep)
    assert torch.equal(full, expected)
    assert torch.equal(again, expected)
    assert deep.shape == (2 * 3, TINY.block_out_channels[0], *size)
    assert same is deep


def test_with_deep_features_only_the_last_layer_runs(scene):
    condition = scene.denoiser.prepare(scene.tokens, scene.features)
    inputs = (scene.latents, scene.timesteps, condition, scene.pose)
    deep = scene.denoiser.predict(*inputs)[1]
    ran = []
    for name, module in scene.denoiser.named_modules():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    changed = scene.latents + 0.1
    near = scene.denoiser.predict(changed, *inputs[1:], deep=deep)[0]
    layers = {".".join(name.split(".")[:4]) for name in ran if name.count(".") >= 3}
    kinds = ("attentions", "motion_modules", "resnets")
    assert {name for name in layers if "_blocks." in name} == {
        f"up_blocks.1.{kind}.1" for kind in kinds
    }
    exact = scene.denoiser(changed, *inputs[1:])
    stale = scene.denoiser(*inputs)
    assert (near - exact).norm() < (stale - exact).norm()


def test_the_control_residual_of_the_first_skip_acts_with_deep_features(scene):
    condition = scene.denoiser.prepare(scene.tokens, scene.features)
    inputs = (scene.latents, scene.timesteps, condition, scene.pose)
    frames, channels = 2 * 3, TINY.block_out_channels
    shapes = [(channels[0], 6, 5), (channels[0], 6, 5), (channels[0], 3, 3), (channels[1], 3, 3)]
    down = [torch.randn(frames, *shape) for shape in shapes]
    middle = torch.randn(frames, channels[1], 3, 3)
    control = {"down_residuals": down, "mid_residual": middle}
    expected = scene.denoiser(*inputs, **control)
    full, deep = scene.denoiser.predict(*inputs, **control)
    assert torch.equal(full, expected)
    assert torch.equal(scene.denoiser.predict(*inputs, deep=deep, **control)[0], expected)
    assert not torch.equal(scene.denoiser.predict(*inputs, deep=deep)[0], expected)


def test_deep_features_of_another_call_are_refused(scene):
    condition = scene.denoiser.prepare(scene.tokens, scene.features)
    inputs = (scene.latents, scene.timesteps, condition)
    deep = scene.denoiser.predict(*inputs)[1]
    with pytest.raises(InputError, match=r"deep got features of shape .* needs those of 6 frames"):
        scene.denoiser.predict(*inputs, deep=deep[1:])


def test_a_network_of_one_level_can_be_called_with_deep_features():
    config = replace(TINY, block_out_channels=(16,), attention_levels=(True,))
    with torch.no_grad():
        scene = ReferencedDenoiser(config)
        inputs = (scene.latents, scene.timesteps, scene.denoiser.prepare(scene.tokens))
        full, deep = scene.denoiser.predict(*inputs)
        assert torch.equal(scene.denoiser.predict(*inputs, deep=deep)[0], full)
