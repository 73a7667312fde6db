"""Patches of other nodes are called as Stable Diffusion 1.5's UNet of the host calls them."""

import inspect
import logging
import re
from dataclasses import replace

import pytest
import torch

WIDTH, HEADS, TOKEN = 32, 8, 32
LAYOUT = {
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": WIDTH,
    "num_res_blocks": [2, 2, 2, 2],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "channel_mult": [1, 2, 4, 4],
    "num_heads": HEADS,
    "context_dim": TOKEN,
}
READ = ("block", "block_index", "transformer_index", "cond_or_uncond", "original_shape")


class Recorder:
    """Patches of every kind; each changes its values a little and remembers where it was called."""

    def __init__(self):
        self.calls = []

    def see(self, kind, options, *tensors):
        place = [options.get(key) for key in READ]
        if "n_heads" in options:
            place += [options["n_heads"], options["dim_head"], options["attn_precision"]]
        self.calls.append((kind, *place, *[tuple(x.shape) for x in tensors]))

    def change(self, kind):
        def patch(*values):
            *tensors, options = values
            self.see(kind, options, *tensors)
            first, *others = (x * (1.1 + 0.01 * number) for number, x in enumerate(tensors))
            return (first, *others) if others else first

        return patch

    def attend(self, query, key, value, options):
        self.see("replace", options, query, key, value)
        split = [x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (query, key, value)]
        found = torch.nn.functional.scaled_dot_product_attention(*split)
        return 0.9 * found.transpose(1, 2).flatten(2)

    def embed(self, emb, width, options):
        self.see(f"emb {width}", options, emb)
        return emb * 1.1

    def after_middle(self, seen):
        self.see("middle block", seen["transformer_options"], seen["h"], seen["x"], seen["emb"])
        return {"h": seen["h"] * 1.1}

    def options(self):
        kinds = ["attn1_patch", "attn2_patch", "attn1_output_patch", "attn2_output_patch"]
        kinds += ["middle_patch", "output_block_patch"]
        kinds += ["input_block_patch", "input_block_patch_after_skip"]
        patches = {kind: [self.change(kind)] for kind in kinds}
        patches |= {"emb_patch": [self.embed], "middle_block_after_patch": [self.after_middle]}
        places = [("input", 4), ("middle", 0, 0), ("output", 3, 0)]
        attn1 = dict.fromkeys(places, self.attend)
        attn2 = dict.fromkeys([("input", 1, 0), ("output", 11)], self.attend)
        return {
            "patches": patches,
            "patches_replace": {"attn1": attn1, "attn2": attn2},
            "cond_or_uncond": [1, 0],
        }


@pytest.fixture(scope="module")
def twins(pack, core):
    """Return the host's UNet and ours with the same weights, without motion modules."""
    import comfy.ops
    import comfy.utils
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    theirs = UNetModel(
        image_size=32,
        use_spatial_transformer=True,
        **{key: [*value] if isinstance(value, list) else value for key, value in LAYOUT.items()},
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    generator = torch.Generator().manual_seed(0)
    for value in theirs.parameters():
        spread = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
        value.data.normal_(1.0 if value.ndim == 1 else 0.0, spread, generator=generator)
    layout = {**LAYOUT, "transformer_depth": [*LAYOUT["transformer_depth"]]}
    layout["transformer_depth_output"] = [*LAYOUT["transformer_depth_output"]]
    names = comfy.utils.unet_to_diffusers(layout)
    unet = core("config").UNetConfig(
        block_out_channels=tuple(WIDTH * mult for mult in LAYOUT["channel_mult"]),
        heads=HEADS,
        cross_attention_dim=TOKEN,
        norm_groups=32,
    )
    preset = replace(core("weights.sets.aa_mini").AA_MINI, unet=unet)
    make = pack("nodes.sampler.denoiser").HostDenoiser
    ours = make(preset=preset, operations=comfy.ops.disable_weight_init, dtype=torch.float32)
    state = theirs.state_dict()
    ours.load_state_dict({key: state[name] for key, name in names.items() if name in state})
    return theirs, ours


@pytest.fixture(scope="module")
def call():
    """Return a function that calls a network on two clips of two frames."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 4, 16, 12, generator=generator)
    context = torch.randn(2, 1, TOKEN, generator=generator).repeat_interleave(2, dim=0)

    @torch.inference_mode()
    def run(network, options=None):
        return network(x, torch.full((4,), 300.0), context=context, transformer_options=options)

    return run


def test_every_patch_is_called_as_by_the_hosts_unet(twins, call):
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    records, results = [], []
    for network in twins:
        recorder = Recorder()
        options = recorder.options()
        if "middle_block_after_patch" not in inspect.getsource(UNetModel._forward):
            options["patches"].pop("middle_block_after_patch")
        results.append(call(network, options))
        records.append(recorder.calls)
    assert records[1] == records[0]
    assert len(records[0]) > 100
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-3)
    plain = [call(network, {"cond_or_uncond": [1, 0]}) for network in twins]
    torch.testing.assert_close(plain[1], plain[0], rtol=1e-3, atol=1e-3)
    assert (results[1] - plain[1]).abs().max() > 0.1


def test_empty_patches_cost_nothing(twins, call):
    _, ours = twins
    plain = call(ours, {"cond_or_uncond": [1, 0]})
    empty = call(ours, {"cond_or_uncond": [1, 0], "patches": {}, "patches_replace": {}})
    assert torch.equal(plain, empty)


def test_patches_without_a_place_are_told_by_name(twins, call, pack, caplog):
    patches = pack("nodes.sampler.patches")
    record = patches.PatchRecord()

    def named(name):
        def patch(x, *_):
            return x

        patch.__qualname__ = f"{name}.execute.<locals>.patch"
        return patch

    node, replacing = named("OtherNode"), named("ReplacingNode")
    options = {
        "patches": {
            "double_block": [node],
            "forward_timestep_embed_patch": [(torch.nn.Linear, node)],
            "middle_patch": [named("IdleNode")],
        },
        "patches_replace": {"attn1": {("input", 3): replacing}},
        "cond_or_uncond": [1, 0],
        patches.PATCH_RECORD: record,
    }
    call(twins[1], options)
    with caplog.at_level(logging.WARNING):
        record.tell()
    file = r"\(tests.nodes.test_patches\)"
    expected = [
        rf"OtherNode {file}: this model has no place for its double_block, so",
        rf"ReplacingNode {file}: .* block \('input', 3\) \(it has them in input 1, input 2,",
        rf"IdleNode {file} changed nothing in this run",
    ]
    for words, line in zip(expected, caplog.messages, strict=True):
        assert re.match(words, line)


def test_a_replaced_attention_gets_the_reference_behind_the_frames_tokens(twins, core):
    """The result is that of the usual way, also for rows with and without the reference."""
    _, ours = twins
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 2, 16, 12, generator=generator)
    tokens = torch.randn(2, 1, TOKEN, generator=generator)
    steps = torch.tensor([300.0, 300.0])
    widths = [block.norm1.normalized_shape[0] for block in ours._transformer_blocks()]
    features = [torch.randn(1, 5, width, generator=generator) for width in widths]
    condition = ours.prepare(tokens, features, [False, True])
    seen = []

    class Same:
        def changes(self, name):
            return True

        def inputs(self, name, *values):
            return values

        def attend(self, name, query, key, value, rows):
            seen.append((name, rows, key.shape[1] - query.shape[1]))
            split = [x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (query, key, value)]
            found = torch.nn.functional.scaled_dot_product_attention(*split)
            found = found.transpose(1, 2).flatten(2)
            # A token for every key, as patches return that compute values alone.
            return torch.cat([found, key[:, query.shape[1] :]], dim=1)

        def output(self, name, x):
            return x

        def between(self, x):
            return x

    class Everywhere:
        time = staticmethod(lambda x: x)
        input_block = staticmethod(lambda number, x: (x, x))
        middle_block = staticmethod(lambda x: x)
        output_block = staticmethod(lambda number, x, skip: (x, skip))
        transformer = staticmethod(lambda kind, number, index: Same())

    unet = core("networks.unet").UNet.forward
    with torch.inference_mode():
        plain = unet(ours, x, steps, condition)
        patched = unet(ours, x, steps, condition, patches=Everywhere())
    torch.testing.assert_close(patched, plain, rtol=1e-3, atol=1e-3)
    own = [(rows, more) for name, rows, more in seen if name == "attn1"]
    assert own[:2] == [(slice(0, 1), 0), (slice(1, 2), 5)]
