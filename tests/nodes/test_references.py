"""Several reference pictures in the host: strengths in its attention."""

from types import SimpleNamespace

import pytest
import torch

from living_bytes import LivingBytes

KINDS = ("basic", "sub_quad", "split", "pytorch", "sage", "flash")


@pytest.fixture
def known_attention(pack, monkeypatch):
    """Return a function that makes the host use one of its attention functions, as a user can."""
    import comfy.ldm.modules.attention as attention
    from comfy.cli_args import args

    ours = pack("nodes.comfyui.attention")

    def use(kind, option="use_quad_cross_attention"):
        # SageAttention and FlashAttention need packages of their own: they may not be called.
        refusing = SimpleNamespace(__name__=f"attention_{kind}")
        chosen = getattr(attention, f"attention_{kind}", refusing)
        monkeypatch.setattr(ours, "chosen", chosen if kind in KINDS[:4] else refusing)
        if option:
            monkeypatch.setattr(args, option, True)
        monkeypatch.setattr(attention, "SDP_BATCH_LIMIT", 4)
        return ours

    return use


@pytest.mark.parametrize("rows", [1, 6], ids=["one bias", "a bias per row"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_attention_of_the_host_heeds_a_bias(known_attention, kind, rows):
    ours = known_attention(kind)
    query = torch.randn(6, 2, 5, 8)
    key, value = torch.randn(2, 6, 2, 9, 8).unbind()
    bias = torch.randn(rows, 1, 1, 9)
    bias[0, 0, 0, -1] = -torch.inf
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, bias)
    found = ours.plain_attention(query, key, value, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "tokens", "width", "own"),
    [
        ("sage", 24, 40, False),  # temporal attention
        ("flash", 24, 160, False),
        ("sage", 64, 160, False),  # the lower levels of Stable Diffusion 1.5
        ("flash", 64, 160, True),
        ("sage", 64, 80, True),
        ("split", 24, 160, True),
    ],
)
def test_attention_kernels_are_used_where_they_gain(known_attention, kind, tokens, width, own):
    ours = known_attention(kind)
    query = torch.empty(1, 1, tokens, width)
    assert (ours.function_for(query, None) is ours.chosen) == own


@pytest.mark.parametrize(
    ("device", "option", "own"),
    [
        ("cpu", "", False),
        ("cpu", "use_quad_cross_attention", True),
        ("cpu", "force_upcast_attention", True),
        ("meta", "", True),
    ],
)
def test_a_cpu_gets_the_quicker_attention_unless_its_user_has_chosen(
    known_attention, device, option, own
):
    """The host takes `sub_quad` where no kernel of a card can run and nothing else was asked."""
    ours = known_attention("sub_quad", option)
    query = torch.empty(1, 1, 64, 8, device=device)
    assert (ours.function_for(query, None) is ours.chosen) == own


@pytest.mark.parametrize("biased", [False, True])
def test_on_a_cpu_attention_keeps_no_scores(pack, biased):
    """Its memory grows with the places, not with their square."""
    query = torch.randn(1, 2, 512, 8)
    key, value = torch.randn(2, 1, 2, 1024, 8).unbind()
    bias = torch.zeros(1, 1, 1, 1024) if biased else None
    with LivingBytes() as living:
        pack("nodes.comfyui.attention").plain_attention(query, key, value, bias)
    scores = 2 * 512 * 1024 * query.element_size()
    assert living.most < 0.1 * scores


@pytest.fixture
def encode(run_node):
    """Return a function that encodes pictures of one character by Encode Reference."""

    def run(loaded, pictures, **size):
        size = {"width": 16, "height": 24} | size
        parts = ("vae", "clip_vision", "reference_net")
        networks = {name: getattr(loaded, name) for name in parts}
        return run_node("EncodeReference", image=pictures, **networks, **size)

    return run


@pytest.fixture
def combine(run_node):
    """Return a function that joins references by Combine References."""

    def run(*references, strengths=(1.0,) * 4):
        inputs = {}
        for number, one in enumerate(references, start=1):
            inputs |= {f"reference_{number}": one, f"strength_{number}": strengths[number - 1]}
        return run_node("CombineReferences", **inputs)

    return run


@pytest.fixture
def sampled(run_node, scene):
    """Return a function that samples a clip of a reference by Animate, in two windows."""

    def run(loaded, reference, model=None, **changes):
        pose = scene(loaded, frames=3, width=16, height=16).pose
        usual = {"seed": 1, "steps": 2, "cfg": 2.0, "sampler": "euler", "scheduler": "trailing"}
        usual |= {"length": 2, "overlap": 1, "fusing": "flat", "shared_noise": 0.0}
        inputs = {"model": model or loaded.model, "reference": reference, "pose": pose}
        return run_node("Animate", **inputs, **usual | changes)["samples"]

    return run


def pictures_of(count):
    return torch.rand(count, 24, 16, 3, generator=torch.Generator().manual_seed(2))


def test_a_batch_is_the_same_as_references_combined(load, encode, combine, sampled):
    loaded, pictures = load(), pictures_of(3)
    batch = encode(loaded, pictures)
    single = [encode(loaded, pictures[[i]]) for i in range(3)]
    joined = combine(*single)
    for one, other in zip(batch.features, joined.features, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(
        sampled(loaded, batch), sampled(loaded, combine(combine(*single[:2]), single[2]))
    )
    assert torch.equal(batch.token, single[0].token)
    assert not torch.allclose(sampled(loaded, batch), sampled(loaded, single[0]), atol=1e-4)


def test_strengths_count_and_zero_leaves_out(load, encode, combine, sampled):
    loaded = load()
    one, other = (encode(loaded, pictures_of(2)[[i]]) for i in range(2))
    alone = sampled(loaded, one)
    assert torch.equal(sampled(loaded, combine(one, other, strengths=(1.0, 0.0))), alone)
    assert torch.equal(sampled(loaded, combine(other, one, strengths=(0.0, 1.0))), alone)
    twice = sampled(loaded, combine(one, one, strengths=(0.5, 0.5)))
    torch.testing.assert_close(twice, alone, atol=1e-4, rtol=0)
    wide = encode(loaded, pictures_of(1), width=48)
    for strengths in ((1.0, 1.0), (1.0, 0.2)):
        assert not torch.allclose(
            sampled(loaded, combine(one, wide, strengths=strengths)), alone, atol=1e-4
        )


def test_a_run_with_strengths_equals_the_core(
    core, load, encode, combine, sampled, run_node, scene
):
    from standalone import denoise, relative_error

    loaded = load()
    one, other = (encode(loaded, pictures_of(2)[[i]]) for i in range(2))
    reference = combine(one, other, strengths=(1.0, 0.3))
    result = sampled(loaded, reference, length=3)
    clip = scene(loaded, frames=3, width=16, height=16)
    clip.reference = reference
    noise = run_node("VideoNoise", seed=1, shared_noise=0.0).generate_noise({"samples": result})
    expected = denoise(core, loaded, clip, noise, steps=2)
    assert relative_error(result, expected) < 1e-3


def test_more_references_are_counted_in_the_memory(load, encode, combine, scene, run_node):
    loaded = load()
    one = encode(loaded, pictures_of(1))
    pose = scene(loaded, frames=3, width=16, height=16).pose

    def needed(reference):
        model, positive, negative, _ = run_node(
            "Apply", model=loaded.model, reference=reference, pose=pose
        )
        shapes = [model.model.extra_conds_shapes(**cond[0][1]) for cond in (positive, negative)]
        assert shapes[1] == {}
        return model.model.memory_required(
            [2, 4, 2, 2], cond_shapes={"scene": [shapes[0]["scene"]]}
        )

    plain = loaded.model.model.memory_required([2, 4, 2, 2])
    counts = [needed(reference) for reference in (one, combine(one, one), combine(*[one] * 3))]
    assert counts[0] == plain
    assert counts[2] - counts[1] == pytest.approx(counts[1] - counts[0], rel=0.01)
    assert counts[1] > counts[0]
    assert needed(combine(one, one, strengths=(1.0, 0.0))) == plain


def test_attention_that_a_patch_replaces_is_told_of_strengths(
    load, encode, combine, sampled, caplog
):
    loaded = load(layout="public")
    one = encode(loaded, pictures_of(1))

    def replaced(query, key, value, options):
        return query

    model = loaded.model.clone()
    model.set_model_attn1_replace(replaced, "middle", 0)
    for strengths, told in (((1.0, 0.5), True), ((1.0, 1.0), False)):
        caplog.clear()
        sampled(loaded, combine(one, one, strengths=strengths), model)
        assert ("all reference pictures count in full" in caplog.text) == told


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ((1.0, -0.5), "strength_2 got -0.5; it must be a number from 0.0 to 10.0"),
        ((float("nan"), 1.0), "strength_1 got nan"),
        ((0.0, 0.0), "strength got 0 for all 2 pictures; 0 leaves a picture out"),
    ],
)
def test_strengths_that_cannot_be_used_are_named(load, encode, combine, strengths, message):
    one = encode(load(), pictures_of(1))
    with pytest.raises(ValueError, match=message):
        combine(one, one, strengths=strengths)


def test_references_that_cannot_be_used_are_named(load, encode, combine, sampled, caplog):
    loaded, wide = load(), load(layout="public")
    five = encode(loaded, pictures_of(5))
    with pytest.raises(ValueError, match="Combine References got 10 pictures in all; a character"):
        combine(five, five)
    with pytest.raises(ValueError, match="image got 9 pictures; a character has one to 8"):
        encode(loaded, pictures_of(9))
    foreign = encode(wide, pictures_of(1))
    with pytest.raises(ValueError, match="reference_2 got one made with tiny test weights"):
        combine(five, foreign)
    with pytest.raises(ValueError, match="reference got one made with tiny test weights; the mod"):
        sampled(loaded, foreign)
    assert "shows nothing of a character" not in caplog.text
    encode(loaded, pictures_of(1)[:, :1, :1])
    assert "image is 1x1 pixels, which shows nothing of a character" in caplog.text


def keypoints_of(core, people=2, frames=3):
    corners = torch.tensor([[1, 1], [7, 1], [7, 15], [1, 15]], dtype=torch.float64)
    xy = corners[torch.arange(18) % 4].expand(frames, people, 18, 2).clone().numpy()
    xy[:, 1:, :, 0] += 8  # the right half of the picture
    clip = core("pose.skeleton.joints").body_clip(core("types").Size(16, 16), xy)
    return core("pose.files.keypoints").to_keypoints(clip)


def test_each_person_has_a_reference(core, load, encode, run_node, sampled):
    loaded = load()
    one, other = (encode(loaded, pictures_of(2)[[i]]) for i in range(2))
    usual = {"strength_1": 1.0, "strength_2": 1.0}

    def both(first, last, **more):
        return run_node("CombineReferences", reference_1=first, reference_2=last, **usual | more)

    keypoints = keypoints_of(core)
    result = sampled(loaded, both(one, other, keypoints=keypoints))
    assert result.isfinite().all()
    assert not torch.allclose(result, sampled(loaded, both(one, other)), atol=1e-4)
    swapped = sampled(loaded, both(other, one, keypoints=keypoints))
    assert not torch.allclose(result, swapped, atol=1e-3)
    with pytest.raises(ValueError, match="keypoints got 3 persons for 2 references; person 3 has"):
        both(one, other, keypoints=keypoints_of(core, people=3))
    with pytest.raises(ValueError, match="keypoints got 1 persons for 2 references; reference_2 b"):
        both(one, other, keypoints=keypoints_of(core, people=1))
    with pytest.raises(ValueError, match=r"reference_2 got strength 0; with keypoints each"):
        both(one, other, keypoints=keypoints, strength_2=0.0)
    short = both(one, other, keypoints=keypoints_of(core, frames=2))
    with pytest.raises(ValueError, match="reference got keypoints of 2 frames, the pose has 3"):
        sampled(loaded, short)
