"""The host's own nodes beside ours: what each does with our MODEL and CONDITIONING.

python tests/nodes/core_nodes.py writes docs/core-nodes.md; test_core_nodes.py runs all cases on
each host.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OLDEST = "0.3.64"  # of the supported versions
TABLE = Path(__file__).resolve().parents[2] / "docs" / "core-nodes.md"
HEAD = """# ComfyUI's nodes beside ours

What ComfyUI's own nodes do between Load Models, Apply and a sampler. *Works*: it changes the result
as it does with Stable Diffusion 1.5. *Told*: the sampler's log has a line with the node's name and
the way out. *Refused*: the sampler stops with an error that says why. Written by
`python tests/nodes/core_nodes.py`; `make test` runs every line on both ends of the supported
versions.

Patches of other packs that are made for Stable Diffusion 1.5 are called as these are: attention
(`attn1`, `attn2`, their inputs, outputs and replacements), blocks on the way down and up, the
middle block and the embedding of the time. Frames stand in the batch. Keys and values of the
reference stand behind the frame's own in `attn1`. Patches that ask for other places are told by
name, and so is a patch that changed nothing in a run.

| node | result | note |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Case:
    """A node between ours, and what has to come of it."""

    node: str
    make: Callable  # from the bench to model, positive, negative, latent
    note: str
    told: str = ""  # in the log
    refused: str = ""  # in the error
    newer: bool = False  # the oldest supported ComfyUI does not have it
    refused_by_oldest: str = ""  # in the error on the oldest supported ComfyUI
    fewest_steps: int = 1  # in which it acts, and in which what it keeps between steps is used
    same_as: Callable | None = None  # another way to the same latents; None: the plain run differs

    @property
    def steps(self):
        """Return the steps of its run: two or more where each has to be right, not one of them."""
        return max(self.fewest_steps, 2) if self.told or self.same_as else self.fewest_steps

    @property
    def result(self):
        """Return the word for the table."""
        return "refused" if self.refused else "told" if self.told else "works"

    @property
    def row_note(self):
        """Return the note for the table."""
        if self.refused_by_oldest:
            return f"{self.note} Refused in ComfyUI {OLDEST}, where it fits single pictures alone."
        return f"{self.note} Not in ComfyUI {OLDEST}.".strip() if self.newer else self.note


def call(file, name, **inputs):
    """Return the first output of one of the host's nodes."""
    cls = getattr(importlib.import_module(file), name)
    run = cls.execute if hasattr(cls, "execute") else getattr(cls(), cls.FUNCTION)
    result = run(**inputs)
    return getattr(result, "args", result)[0]


def on_model(file, name, **inputs):
    """Return a case's function for a node from MODEL to MODEL."""

    def make(bench):
        model, *rest = bench.bound
        return call(f"comfy_extras.nodes_{file}", name, model=model, **inputs), *rest

    return make


def on_positive(name, **inputs):
    """Return a case's function for a node that changes positive."""

    def make(bench):
        model, positive, *rest = bench.bound
        return model, call("nodes", name, conditioning=positive, **inputs), *rest

    return make


def with_other(name, frm="positive", **inputs):
    """Return a case's function for a node from two CONDITIONINGs."""

    def make(bench):
        model, positive, *rest = bench.bound
        other = bench.text if frm == "text" else bench.other[1]
        sides = {"conditioning_to": positive, "conditioning_from": other}
        return model, call("nodes", name, **sides, **inputs), *rest

    return make


def combined(bench):
    model, positive, *rest = bench.bound
    sides = {"conditioning_1": positive, "conditioning_2": bench.other[1]}
    return model, call("nodes", "ConditioningCombine", **sides), *rest


def zeroed(bench):
    model, positive, _, latent = bench.bound
    negative = call("nodes", "ConditioningZeroOut", conditioning=positive)
    return model, positive, negative, latent


def timesteps(bench):
    model, positive, negative, latent = bench.bound
    first, last = (
        call("nodes", "ConditioningSetTimestepRange", conditioning=half, start=start, end=end)
        for half, start, end in ((positive, 0.0, 0.5), (bench.other[1], 0.5, 1.0))
    )
    both = call("nodes", "ConditioningCombine", conditioning_1=first, conditioning_2=last)
    return model, both, negative, latent


def masked(bench):
    import torch

    mask = torch.zeros(1, 128, 96)
    mask[:, :64] = 1
    return on_positive("ConditioningSetMask", mask=mask, set_cond_area="default", strength=0.5)(
        bench
    )


def same_halves(bench):
    model, positive, _, latent = bench.bound
    return model, positive, positive, latent


def text_as_positive(bench):
    model, _, negative, latent = bench.bound
    return model, bench.text, negative, latent


def in_windows(bench):
    model = bench.windowed(2)
    return call(
        "comfy_extras.nodes_sag", "SelfAttentionGuidance", model=model, scale=0.5, blur_sigma=2.0
    ), *bench.bound[1:]


def adapted(bench):
    """Return the scene with a T2I-Adapter for Stable Diffusion 1.5 of the test's widths."""
    import torch
    from comfy.controlnet import T2IAdapter
    from comfy.t2i_adapter.adapter import Adapter_light

    torch.manual_seed(0)
    network = Adapter_light(cin=64 * 3, channels=[16, 32, 64, 64], nums_rb=1)
    adapter = T2IAdapter(network, 3, 8, "nearest-exact")
    model, positive, negative, latent = bench.bound
    picture = torch.rand(1, 128, 96, 3)
    positive, negative = (
        importlib.import_module("nodes")
        .ControlNetApplyAdvanced()
        .apply_controlnet(positive, negative, adapter, picture, 1.0, 0.0, 1.0)
    )
    return model, positive, negative, latent


def perp_neg(bench):
    """Return a guider of three conditionings, and the latent."""
    model, positive, negative, latent = bench.bound
    conds = {"positive": positive, "negative": bench.other[1], "empty_conditioning": negative}
    file = "comfy_extras.nodes_perpneg"
    return call(file, "PerpNegGuider", model=model, **conds, cfg=2.0, neg_scale=1.0), latent


def dual_cfg(bench):
    """Return a guider of two references, and the latent."""
    model, positive, negative, latent = bench.bound
    conds = {"cond1": positive, "cond2": bench.other[1], "negative": negative}
    scales = {"cfg_conds": 1.0, "cfg_cond2_negative": 2.0, "style": "regular"}
    file = "comfy_extras.nodes_custom_sampler"
    return call(file, "DualCFGGuider", model=model, **conds, **scales), latent


def hypernetwork(bench):
    """Return the scene with a hypernetwork for the widths of the test."""
    import torch
    from comfy_extras.nodes_hypernetwork import load_hypernetwork_patch

    generator = torch.Generator().manual_seed(0)
    layers = {
        f"linear.{i}.{part}": torch.randn(*shape, generator=generator) / 6
        for i, size in enumerate(((32, 16), (16, 32)))
        for part, shape in (("weight", size), ("bias", size[:1]))
    }
    path = bench.folder / "hypernetwork.pt"
    torch.save({16: [layers, layers]}, path)
    patch = load_hypernetwork_patch(str(path), 1.0)
    model = bench.bound[0].clone()
    model.set_model_attn1_patch(patch)
    model.set_model_attn2_patch(patch)
    return model, *bench.bound[1:]


class _Words:
    """A text encoder that knows one word."""

    def tokenize(self, text):
        return text

    def encode_from_tokens(self, tokens, return_pooled):
        import torch

        return torch.ones(1, 77, 32), torch.ones(1, 768)


def boxed(bench):
    """Return the scene with a box for a word, by GLIGEN's layers of the test's widths."""
    import torch
    from comfy.gligen import GatedSelfAttentionDense, Gligen, PositionNet
    from comfy.model_patcher import ModelPatcher

    torch.manual_seed(0)
    widths = [16] * 2 + [32] * 2 + [64] * 6 + [32] * 3 + [16] * 3  # of all transformers, in order
    layers = [GatedSelfAttentionDense(width, 32, 2, width // 2) for width in widths]
    network = Gligen(layers, PositionNet(768, 32), 768)
    for name, value in network.named_parameters():
        value.data = torch.ones(()) if "alpha" in name else torch.randn(value.shape) / 8
    patcher = ModelPatcher(network, torch.device("cpu"), torch.device("cpu"))
    box = {"text": "cat", "width": 48, "height": 64, "x": 16, "y": 32}
    more = {"clip": _Words(), "gligen_textbox_model": patcher}
    model, positive, *rest = bench.bound
    node = importlib.import_module("nodes").GLIGENTextBoxApply()
    return model, node.append(conditioning_to=positive, **more, **box)[0], *rest


DOWNSCALE = {
    "block_number": 3,
    "downscale_factor": 2.0,
    "start_percent": 0.0,
    "end_percent": 0.35,
    "downscale_after_skip": True,
    "downscale_method": "bicubic",
    "upscale_method": "bicubic",
}
FREE = {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}
TILES = {"tile_size": 32, "swap_size": 2, "max_depth": 0, "scale_depth": False}
LAYERS = {"double_layers": "7", "single_layers": "7", "start_percent": 0.0, "end_percent": 1.0}
CACHE = {"reuse_threshold": 1.0, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
HALF = {"q": 0.5, "k": 0.5, "v": 0.5, "out": 0.5}

CASES = [
    Case(
        "FreeU",
        on_model("freelunch", "FreeU", **FREE),
        "The public weights. aa-mini has no "
        "blocks of the widths that it looks for, and the log tells it.",
    ),
    Case("FreeU_V2", on_model("freelunch", "FreeU_V2", **FREE), "As FreeU."),
    Case(
        "HyperTile",
        on_model("hypertile", "HyperTile", **TILES),
        "Every tile sees its part of the frame and the whole reference.",
    ),
    Case(
        "HyperTile, pictures smaller than two tiles",
        on_model("hypertile", "HyperTile", **{**TILES, "tile_size": 256}),
        "Nothing is divided.",
        told=r"HyperTile \(comfy_extras.nodes_hypertile\) changed nothing in this run",
    ),
    Case(
        "TomePatchModel",
        on_model("tomesd", "TomePatchModel", ratio=0.5),
        "Merges the frame's own tokens.",
    ),
    Case(
        "PatchModelAddDownscale",
        on_model("model_downscale", "PatchModelAddDownscale", **DOWNSCALE),
        "Not together with a ControlNet, which is refused.",
    ),
    Case(
        "PatchModelAddDownscale, a block that does not exist",
        on_model("model_downscale", "PatchModelAddDownscale", **{**DOWNSCALE, "block_number": 20}),
        "The public weights have blocks 0 to 11 on the way down, aa-mini 0 to 5.",
        told="PatchModelAddDownscale .* changed nothing",
    ),
    Case(
        "PerturbedAttentionGuidance",
        on_model("pag", "PerturbedAttentionGuidance", scale=3.0),
        "Half as much time more, as everywhere.",
        fewest_steps=2,
    ),
    Case(
        "SelfAttentionGuidance",
        on_model("sag", "SelfAttentionGuidance", scale=0.5, blur_sigma=2.0),
        "Clips that fit one window.",
        fewest_steps=2,
    ),
    Case(
        "SelfAttentionGuidance with Context Windows",
        in_windows,
        "It remembers the attention of one call.",
        refused="SelfAttentionGuidance got a clip of 3 frames in windows of 2",
    ),
    Case(
        "NAGuidance",
        on_model("nag", "NAGuidance", nag_scale=5.0, nag_alpha=0.5, nag_tau=1.5),
        "Acts where both halves run in one call.",
        newer=True,
        fewest_steps=2,
    ),
    Case(
        "HypernetworkLoader",
        hypernetwork,
        "Acts on the frame's tokens and the image token, not on the reference's.",
    ),
    Case(
        "SkipLayerGuidanceDiT",
        on_model("slg", "SkipLayerGuidanceDiT", **LAYERS, scale=3.0, rescaling_scale=0.0),
        "For other kinds of networks.",
        told=r"SkipLayerGuidanceDiT \(.*\): this model has no blocks of the kind 'dit'",
    ),
    Case(
        "SkipLayerGuidanceDiTSimple",
        on_model("slg", "SkipLayerGuidanceDiTSimple", **LAYERS),
        "For other kinds of networks.",
        told="SkipLayerGuidanceDiTSimple .* no blocks of the kind 'dit'",
    ),
    Case(
        "UNetSelfAttentionMultiply",
        on_model("attention_multiply", "UNetSelfAttentionMultiply", **HALF),
        "Spatial attention, that to the reference too.",
    ),
    Case(
        "UNetCrossAttentionMultiply",
        on_model("attention_multiply", "UNetCrossAttentionMultiply", **HALF),
        "`v` and `out`. Attention to one token does not depend on `q` and `k`.",
    ),
    Case(
        "UNetTemporalAttentionMultiply",
        on_model(
            "attention_multiply",
            "UNetTemporalAttentionMultiply",
            self_structural=0.5,
            self_temporal=1.0,
            cross_structural=0.5,
            cross_temporal=1.0,
        ),
        "The structural values act. The temporal ones are "
        "for the layers of Stable Video Diffusion and do nothing here.",
        told="UNetTemporalAttentionMultiply: self_temporal and cross_temporal .* change nothing",
    ),
    Case(
        "EasyCache",
        on_model("easycache", "EasyCacheNode", **CACHE),
        "Leaves steps out, in each window by itself.",
        fewest_steps=6,
        refused_by_oldest="EasyCache got both halves of guidance in one call .* Use LazyCache",
    ),
    Case(
        "LazyCache",
        on_model("easycache", "LazyCacheNode", **CACHE),
        "Leaves steps out, for the whole clip at once.",
        fewest_steps=6,
    ),
    Case(
        "GLIGENTextBoxApply",
        boxed,
        "Layers of GLIGEN for Stable Diffusion 1.5, with the public weights.",
    ),
    Case(
        "RenormCFG",
        on_model("lumina2", "RenormCFG", cfg_trunc=100.0, renorm_cfg=0.5),
        "Frame by frame; by itself it takes one picture.",
    ),
    Case("RescaleCFG", on_model("model_advanced", "RescaleCFG", multiplier=0.7), ""),
    Case(
        "ModelSamplingDiscrete",
        on_model("model_advanced", "ModelSamplingDiscrete", sampling="v_prediction", zsnr=False),
        "Only with the kind of prediction that the weights have.",
    ),
    Case("APG", on_model("apg", "APG", eta=0.5, norm_threshold=5.0, momentum=0.0), ""),
    Case("TCFG", on_model("tcfg", "TCFG"), ""),
    Case("FreSca", on_model("fresca", "FreSca", scale_low=1.0, scale_high=1.5, freq_cutoff=2), ""),
    Case("Mahiro", on_model("mahiro", "Mahiro"), ""),
    Case("CFGZeroStar", on_model("cfg", "CFGZeroStar"), "", fewest_steps=2),
    Case("CFGNorm", on_model("cfg", "CFGNorm", strength=0.5), ""),
    Case(
        "PerpNegGuider",
        perp_neg,
        "For instance another reference as negative, and Apply's negative as the empty one.",
    ),
    Case("DualCFGGuider", dual_cfg, "Two references, each with its own strength."),
    Case("EpsilonScaling", on_model("eps", "EpsilonScaling", scaling_factor=1.05), ""),
    Case(
        "T2I-Adapter (ControlNetApplyAdvanced)",
        adapted,
        "Adapters for Stable Diffusion 1.5, with the public weights.",
        fewest_steps=2,
    ),
    Case("ConditioningCombine of two references", combined, "The predictions are averaged."),
    Case(
        "ConditioningConcat of two references",
        with_other("ConditioningConcat"),
        "The second picture would be lost; use ConditioningCombine.",
        refused="positive got 2 image tokens, its reference has 1; ConditioningConcat",
    ),
    Case(
        "ConditioningConcat with a text",
        with_other("ConditioningConcat", frm="text"),
        "These networks know no texts.",
        told="positive got 77 tokens of a text by ConditioningConcat",
    ),
    Case(
        "ConditioningAverage of two references",
        with_other("ConditioningAverage", conditioning_to_strength=0.5),
        "Only the image token is mixed; use ConditioningCombine.",
        told="positive has another image token than its reference, as ConditioningAverage",
    ),
    Case(
        "ConditioningMultiply",
        on_positive("ConditioningMultiply", multiplier=0.5),
        "Scales the image token, not the reference.",
        newer=True,
    ),
    Case(
        "ConditioningZeroOut as negative",
        zeroed,
        "Becomes what Apply gives as negative: the zeroed half does not see the reference.",
        same_as=lambda bench: bench.bound,
    ),
    Case(
        "positive as negative too",
        same_halves,
        "Guidance has nothing to compare.",
        told="negative sees the reference picture as positive does",
    ),
    Case(
        "a text as positive (CLIPTextEncode)",
        text_as_positive,
        "No reference and no pose.",
        told="positive is no conditioning of Apply Reference and Pose",
    ),
    Case(
        "ConditioningSetArea",
        on_positive("ConditioningSetArea", width=96, height=64, x=0, y=0, strength=0.5),
        "Crops the pose too.",
    ),
    Case("ConditioningSetMask", masked, ""),
    Case(
        "ConditioningSetTimestepRange",
        timesteps,
        "One reference after the other.",
        fewest_steps=2,
    ),
]


def table():
    """Return the document."""
    rows = [f"| {case.node} | {case.result} | {case.row_note} |\n" for case in CASES]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
