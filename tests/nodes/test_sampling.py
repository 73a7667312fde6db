"""Sampling in the host equals sampling without it, and obeys what stock nodes ask of a model."""

import gc
import inspect
import logging
import weakref
from dataclasses import replace
from functools import wraps
from types import SimpleNamespace

import pytest
import torch
from standalone import denoise, relative_error

LIMIT = 1e-3  # of the largest value
KINDS = {
    "v prediction": {},
    "clean prediction, 16 channels": {"prediction": "sample", "latents": 16},
    "paper's pose guider": {"form": "paper"},
    "four levels": {"layout": "public"},
}


@pytest.fixture
def apply(run_node):
    """Return a function that binds a scene to a model by the Apply node."""

    def run(loaded, scene, model=None, **more):
        scene_inputs = {"reference": scene.reference, "pose": scene.pose}
        return run_node("Apply", model=model or loaded.model, **scene_inputs, **more)

    return run


@pytest.fixture
def ksample(pack):
    """Return a function that samples as KSampler does, with noise of our own."""

    def run(bound, noise, steps=10, cfg=2.0, sampler="euler", scheduler="simple", **more):
        import comfy.sample

        model, positive, negative, latent = bound
        return comfy.sample.sample(
            model,
            noise,
            steps,
            cfg,
            sampler,
            scheduler,
            positive,
            negative,
            comfy.sample.fix_empty_latent_channels(model, latent["samples"]),
            disable_pbar=True,
            seed=0,
            **more,
        )

    return run


@pytest.fixture
def video_noise(run_node):
    """Return a function that draws noise for a latent by the Video Noise node."""

    def run(latent, seed=3, shared=0.0):
        return run_node("VideoNoise", seed=seed, shared_noise=shared).generate_noise(latent)

    return run


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_ksampler_equals_the_standalone_run(core, load, scene, apply, ksample, video_noise, kind):
    loaded = load(**kind)
    clip = scene(loaded)
    bound = apply(loaded, clip)
    noise = video_noise(bound[3])
    expected = denoise(core, loaded, clip, noise, steps=5)
    assert relative_error(ksample(bound, noise, steps=5), expected) < LIMIT


def test_with_the_attention_that_a_user_chose_the_result_is_the_same(
    core, load, scene, apply, ksample, video_noise, pack, monkeypatch
):
    from comfy.cli_args import args
    from comfy.ldm.modules.attention import attention_sub_quad

    called = []

    @wraps(attention_sub_quad)
    def counted(*args, **more):
        called.append(1)
        return attention_sub_quad(*args, **more)

    loaded = load()
    clip = scene(loaded)
    bound = apply(loaded, clip)
    noise = video_noise(bound[3])
    monkeypatch.setattr(args, "use_quad_cross_attention", True)
    monkeypatch.setattr(pack("nodes.comfyui.attention"), "chosen", counted)
    result = ksample(bound, noise, steps=5)
    assert called
    assert relative_error(result, denoise(core, loaded, clip, noise, steps=5)) < LIMIT


def test_custom_sampler_equals_the_standalone_run(core, load, scene, apply, run_node, host_nodes):
    import comfy.samplers
    from comfy_extras import nodes_custom_sampler as stock

    loaded = load()
    clip = scene(loaded)
    model, positive, negative, latent = apply(loaded, clip)
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(2.0)
    noise = run_node("VideoNoise", seed=3, shared_noise=0.0)
    sigmas = run_node("TrailingSigmas", model=model, steps=6, denoise=1.0)  # no divisor of 1000
    sampler = comfy.samplers.sampler_object("euler")
    node = stock.SamplerCustomAdvanced
    run = node.execute if hasattr(node, "execute") else node().sample
    result = run(noise, guider, sampler, sigmas, latent)
    result = getattr(result, "args", result)[0]["samples"]
    expected = denoise(core, loaded, clip, noise.generate_noise(latent), steps=6)
    assert relative_error(result, expected) < LIMIT


@pytest.mark.parametrize("frames", [6, 14], ids=["one window", "three windows"])
def test_animate_equals_the_standalone_run(core, load, scene, apply, run_node, frames):
    loaded = load()
    clip = scene(loaded, frames=frames, width=16, height=16)
    windows = core("diffusion.windows").WindowConfig(length=6, overlap=2, fuse="flat")
    result = run_node(
        "Animate",
        model=loaded.model,
        reference=clip.reference,
        pose=clip.pose,
        seed=5,
        steps=5,
        cfg=2.0,
        sampler="euler",
        scheduler="trailing",
        length=6,
        overlap=2,
        fusing="flat",
        shared_noise=0.25,
    )
    noise = run_node("VideoNoise", seed=5, shared_noise=0.25).generate_noise(result)
    expected = denoise(core, loaded, clip, noise, steps=5, windows=windows)
    assert relative_error(result["samples"], expected) < LIMIT


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2s_ancestral", "dpmpp_2m"])
def test_windows_of_stock_samplers_equal_the_standalone_windows(
    core, load, scene, apply, ksample, video_noise, run_node, sampler
):
    loaded = load()
    clip = scene(loaded, frames=14, width=16, height=16)
    options = {"length": 6, "overlap": 2, "fusing": "pyramid", "loop": True, "shift": True}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    bound = apply(loaded, clip, model)
    noise = video_noise(bound[3])
    result = ksample(bound, noise, steps=4, sampler=sampler)
    assert torch.isfinite(result).all()
    if sampler == "euler":
        windows = core("diffusion.windows").WindowConfig(length=6, overlap=2, loop=True, shift=True)
        expected = denoise(core, loaded, clip, noise, steps=4, windows=windows)
        assert relative_error(result, expected) < LIMIT


def test_pose_kept_as_pictures_gives_the_same_video(load, scene, apply, ksample, video_noise):
    loaded = load()
    results = []
    for keep in ("features", "pictures"):
        bound = apply(loaded, scene(loaded, keep=keep))
        results.append(ksample(bound, video_noise(bound[3]), steps=4))
    assert relative_error(results[1], results[0]) < 1e-5


def test_a_clip_that_fits_one_window_is_not_cut(load, scene, apply, ksample, video_noise, run_node):
    loaded = load()
    clip = scene(loaded)
    options = {"length": 6, "overlap": 2, "fusing": "pyramid", "loop": False, "shift": False}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=True)
    plain, cut = apply(loaded, clip), apply(loaded, clip, model)
    noise = video_noise(plain[3])
    assert relative_error(ksample(cut, noise, steps=3), ksample(plain, noise, steps=3)) < 1e-5


def test_a_seed_gives_the_same_repeated_noise_as_the_command_line(
    core, load, scene, apply, run_node, pack
):
    import comfy.samplers
    from comfy_extras import nodes_custom_sampler as stock

    loaded = load()
    clip = scene(loaded, frames=20, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "pyramid", "loop": False, "shift": False}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=True)
    model, positive, _, latent = apply(loaded, clip, model)
    seen = []

    def spy(executor, guider, sigmas, extra, callback, noise, *args, **kwargs):
        seen.append(noise)
        return executor(guider, sigmas, extra, callback, noise, *args, **kwargs)

    host = pack("nodes.comfyui.host")
    model.add_wrapper_with_key(host.Wrappers.SAMPLER_SAMPLE, "spy", spy)
    guider = stock.Guider_Basic(model)
    guider.set_conds(positive)
    noise = run_node("VideoNoise", seed=7, shared_noise=0.25)
    sigmas = run_node("TrailingSigmas", model=model, steps=1, denoise=1.0)
    node = stock.SamplerCustomAdvanced
    run = node.execute if hasattr(node, "execute") else node().sample
    run(noise, guider, comfy.samplers.sampler_object("euler"), sigmas, latent)
    animate, windows = core("animate"), core("diffusion.windows").WindowConfig
    sampling = animate.Sampling(
        seed=7, shared_noise=0.25, repeat_noise=True, windows=windows(length=8, overlap=2)
    )
    size = core("types").Size(16, 16)
    expected = animate.starting_noise(loaded.preset, 20, size, sampling)
    assert torch.equal(seen[0], expected[0].transpose(0, 1).to(seen[0]))


def test_shuffled_noise_repeats_the_first_window(load, scene, apply, ksample, run_node, pack):
    loaded = load()
    clip = scene(loaded, frames=20, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "pyramid", "loop": False, "shift": False}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=True)
    bound = apply(loaded, clip, model)
    seen = []

    def spy(executor, guider, sigmas, extra, callback, noise, *args, **kwargs):
        seen.append(noise)
        return executor(guider, sigmas, extra, callback, noise, *args, **kwargs)

    host = pack("nodes.comfyui.host")
    bound[0].add_wrapper_with_key(host.Wrappers.SAMPLER_SAMPLE, "spy", spy)
    noise = torch.randn(bound[3]["samples"].shape)
    ksample(bound, noise, steps=1)
    first = {tuple(frame.flatten().tolist()) for frame in seen[0][:8]}
    assert torch.equal(seen[0][:8], noise[:8].to(seen[0]))
    assert {tuple(frame.flatten().tolist()) for frame in seen[0]} == first


def test_guidance_runs_both_halves_in_one_call(load, scene, apply, ksample, video_noise, pack):
    calls = _count_calls(load, scene, apply, ksample, video_noise, pack, cfg=2.0)
    assert calls == [2] * 4


def test_guidance_1_runs_the_conditional_half_alone(load, scene, apply, ksample, video_noise, pack):
    calls = _count_calls(load, scene, apply, ksample, video_noise, pack, cfg=1.0)
    assert calls == [1] * 4


def _count_calls(load, scene, apply, ksample, video_noise, pack, cfg):
    loaded = load()
    bound = apply(loaded, scene(loaded))
    calls = []

    def spy(executor, x, t, context, control, options, **more):
        calls.append(len(options["cond_or_uncond"]))
        return executor(x, t, context, control, options, **more)

    bound[0].add_wrapper_with_key(pack("nodes.comfyui.host").Wrappers.DIFFUSION_MODEL, "spy", spy)
    ksample(bound, video_noise(bound[3]), steps=4, cfg=cfg)
    return calls


def test_reference_is_projected_once_per_run(load, scene, apply, ksample, video_noise, monkeypatch):
    loaded = load()
    bound = apply(loaded, scene(loaded))
    denoiser = bound[0].model.diffusion_model
    prepare, times = type(denoiser).prepare, []
    monkeypatch.setattr(
        type(denoiser), "prepare", lambda self, *a, **k: times.append(1) or prepare(self, *a, **k)
    )
    for run in (1, 2):
        ksample(bound, video_noise(bound[3]), steps=5)
        assert len(times) == run


def test_a_foreign_negative_is_sampled_in_a_call_of_its_own(
    load, scene, apply, ksample, video_noise
):
    loaded = load()
    model, positive, _, latent = apply(loaded, scene(loaded))
    negative = [[torch.randn(1, 77, 32), {}]]
    result = ksample((model, positive, negative, latent), video_noise(latent), steps=2)
    assert torch.isfinite(result).all()


def test_conditioning_area_crops_the_pose(load, scene, apply, ksample, video_noise):
    loaded = load()
    model, positive, negative, latent = apply(loaded, scene(loaded))
    part = [[positive[0][0], {**positive[0][1], "area": (4, 3, 2, 1), "strength": 1.0}]]
    bound = (model, positive + part, negative, latent)
    whole = ksample((model, positive, negative, latent), video_noise(latent), steps=2)
    result = ksample(bound, video_noise(latent), steps=2)
    assert torch.isfinite(result).all()
    assert not torch.equal(result, whole)


def test_noise_mask_and_denoise_keep_what_is_masked(load, scene, apply, ksample, video_noise):
    loaded = load()
    model, positive, negative, latent = apply(loaded, scene(loaded))
    start = {"samples": torch.randn(latent["samples"].shape)}
    mask = torch.zeros(1, 1, *start["samples"].shape[2:])
    mask[..., :3] = 1
    bound = (model, positive, negative, start)
    result = ksample(bound, video_noise(latent), steps=4, denoise=0.5, noise_mask=mask)
    assert torch.allclose(result[..., 3:], start["samples"][..., 3:], atol=1e-4)
    assert not torch.allclose(result[..., :3], start["samples"][..., :3], atol=1e-2)


def test_lora_changes_every_kind_of_layer_and_is_taken_back(
    load, scene, apply, ksample, video_noise
):
    import comfy.sd

    loaded = load()
    clip = scene(loaded)
    state = loaded.model.model.diffusion_model.state_dict()
    block = "down_blocks.0.attentions.0.transformer_blocks.0"
    names = (f"{block}.attn1.to_k", f"{block}.attn2.to_v", "conv_in", f"{block}.ff.net.2")
    lora = {}
    for name in names:
        shape = state[f"{name}.weight"].shape
        key = f"lora_unet_{name.replace('.', '_')}"
        lora[f"{key}.lora_up.weight"] = torch.randn(shape[0], 2, *[1] * (len(shape) - 2))
        lora[f"{key}.lora_down.weight"] = torch.randn(2, *shape[1:])
        lora[f"{key}.alpha"] = torch.tensor(1.0)
    patched, _ = comfy.sd.load_lora_for_models(loaded.model, None, lora, 1.0, 0.0)
    assert len(patched.patches) == len(names)
    noise = video_noise(apply(loaded, clip)[3])
    before = ksample(apply(loaded, clip), noise, steps=3)
    with_lora = ksample(apply(loaded, clip, patched), noise, steps=3)
    after = ksample(apply(loaded, clip), noise, steps=3)
    assert relative_error(with_lora, before) > 0.01
    assert relative_error(after, before) < 1e-5


def test_lora_on_reference_keys_reaches_the_derived_values(
    core, load, scene, apply, ksample, video_noise
):
    import comfy.sd

    loaded = load()
    clip = scene(loaded)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v"
    up, down = torch.randn(16, 2), torch.randn(2, 16)
    key = f"lora_unet_{name.replace('.', '_')}"
    lora = {f"{key}.lora_up.weight": up, f"{key}.lora_down.weight": down}
    patched, _ = comfy.sd.load_lora_for_models(loaded.model, None, lora, 1.0, 0.0)
    bound = apply(loaded, clip, patched)
    noise = video_noise(bound[3])
    weight = loaded.networks["denoiser"].get_submodule(name).weight
    with torch.no_grad():
        weight += up @ down
    try:
        expected = denoise(core, loaded, clip, noise, steps=4)
    finally:
        with torch.no_grad():
            weight -= up @ down
    assert relative_error(ksample(bound, noise, steps=4), expected) < LIMIT


class PaintedControl:
    """A ControlNet whose residuals are the brightness of the picture it is shown."""

    def __new__(cls, hint, skips):
        import comfy.controlnet

        class Control(comfy.controlnet.ControlBase):
            def get_control(self, x, t, cond, batched_number, *_):
                hint = self.cond_hint_original
                frames = x.shape[0] // batched_number
                assert len(hint) == frames, "the hint was not cut to the window"
                copies.add(self)
                seen.append((len(hint), len(copies)))
                shown.append(tuple(hint[:, 0, 0, 0].tolist()))
                light = hint.mean(dim=(1, 2, 3)).repeat(batched_number)[:, None, None, None]
                output = [light.expand(-1, *skip) for skip in skips]
                return {"input": [], "middle": [output[-1]], "output": output}

            def get_models(self):
                return []

        seen, shown, copies = [], [], weakref.WeakSet()
        control = Control()
        control.set_cond_hint(hint)
        control.seen, control.shown = seen, shown  # the latter: the first pixel of each picture
        return control


@pytest.fixture
def skips():
    """Return the shapes of the tiny network's skip connections at 16 x 16 pixels."""
    return [(16, 2, 2), (16, 2, 2), (16, 1, 1), (32, 1, 1)]


@pytest.mark.parametrize("shift", [False, True])
def test_controlnet_sees_the_pictures_of_each_window(
    load, scene, apply, ksample, video_noise, run_node, core, skips, shift
):
    loaded = load()
    clip = scene(loaded, frames=20, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "pyramid", "loop": False, "shift": shift}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    model, positive, negative, latent = apply(loaded, clip, model)
    noise = video_noise(latent)
    plain = ksample((model, positive, negative, latent), noise, steps=2)
    hint = torch.rand(20, 3, 16, 16)
    control = PaintedControl(hint, skips)
    positive, negative = (
        [[half[0][0], {**half[0][1], "control": control, "control_apply_to_uncond": False}]]
        for half in (positive, negative)
    )
    result = ksample((model, positive, negative, latent), noise, steps=2)
    assert relative_error(result, plain) > 1e-3
    windows = 4 if shift else 3
    assert len(control.seen) == 2 * windows, "two steps of all windows, both halves in one call"
    assert {copies for _, copies in control.seen} == {1}, "a window keeps its own copy alone"
    core_windows, options = core("diffusion.windows"), {"fuse": options.pop("fusing"), **options}
    config = core_windows.WindowConfig(**options)
    planned = [w for step in (0, 1) for w in core_windows.plan_windows(20, config, step)]
    pictures = hint[:, 0, 0, 0]
    assert control.shown == [tuple(pictures[[*w.frames]].tolist()) for w in planned]


def test_copies_for_other_cards_are_cut_too(pack):
    control, clone = (PaintedControl(torch.rand(6, 3, 8, 8), []) for _ in range(2))
    control.multigpu_clones = {"cuda:1": clone}
    cut = pack("nodes.sampler.windows").WindowCut((1, 2), 6).control(control)
    other = cut.multigpu_clones["cuda:1"]
    assert torch.equal(other.cond_hint_original, clone.cond_hint_original[1:3])
    assert control.multigpu_clones["cuda:1"] is clone, "the original is not changed"


@pytest.fixture
def easy_cache():
    """Return a function that puts the host's EasyCache in front of a model."""
    from comfy_extras import nodes_easycache

    def run(model, threshold=0.6):
        node = nodes_easycache.EasyCacheNode.execute(model, threshold, 0.15, 0.95, False)
        return node.args[0]

    return run


@pytest.mark.parametrize("shift", [False, True])
def test_easycache_keeps_windows_apart(
    load,
    scene,
    apply,
    ksample,
    video_noise,
    run_node,
    pack,
    easy_cache,
    comfy_host,
    monkeypatch,
    caplog,
    shift,
):
    """Windows that shared the host's cache gave each other's residuals: noise in the clip."""
    # On 0.3.64 EasyCache adds the residual of one half to both, and fails on clips.
    cfg = 1.0 if comfy_host.version.startswith("0.3.") else 2.0
    network, prepared = pack("nodes.sampler.denoiser").HostDenoiser, []
    prepare = network.prepare
    monkeypatch.setattr(network, "prepare", lambda *a: (prepared.append(1), prepare(*a))[1])
    loaded = load()
    clip = scene(loaded, frames=14, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "flat", "loop": False, "shift": shift}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    model, positive, negative, latent = apply(loaded, clip, model)
    noise = video_noise(latent)
    exact = ksample((model, positive, negative, latent), noise, steps=8, cfg=cfg)
    caplog.set_level(logging.INFO)
    prepared.clear()
    cached = easy_cache(model)
    result = ksample((cached, positive, negative, latent), noise, steps=8, cfg=cfg)
    assert "EasyCache - skipped" in caplog.text
    assert "EasyCache - skipped 0/" not in caplog.text
    assert ("the windows do not shift" in caplog.text) == shift
    assert len(prepared) == 1, "the reference is projected once in a run, not once a window"
    assert relative_error(result, exact) < 0.1


def test_controlnet_of_another_length_is_refused(
    load, scene, apply, ksample, video_noise, run_node, skips
):
    loaded = load()
    clip = scene(loaded, frames=20, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "flat", "loop": False, "shift": False}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    model, positive, negative, latent = apply(loaded, clip, model)
    control = PaintedControl(torch.rand(12, 3, 16, 16), skips)
    positive = [[positive[0][0], {**positive[0][1], "control": control}]]
    with pytest.raises(ValueError, match="ControlNet's image got 12 frames for a clip of 20"):
        ksample((model, positive, negative, latent), video_noise(latent), steps=1)


def test_stock_context_windows_equal_ours(load, scene, apply, ksample, video_noise, run_node):
    import comfy.context_windows as stock

    if "total_frames" not in inspect.signature(stock.IndexListContextWindow).parameters:
        pytest.skip("this host's own windows cannot cut latents whose frames are the batch")
    loaded = load()
    clip = scene(loaded, frames=28, width=16, height=16)
    noise = video_noise(apply(loaded, clip)[3])
    options = {"length": 16, "overlap": 4, "fusing": "flat", "loop": False, "shift": False}
    ours = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    theirs = loaded.model.clone()
    theirs.model_options["context_handler"] = stock.IndexListContextHandler(
        stock.get_matching_context_schedule("standard_static"),
        stock.get_matching_fuse_method("flat"),
        context_length=16,
        context_overlap=4,
        dim=0,
        causal_window_fix=False,
    )
    results = [ksample(apply(loaded, clip, m), noise, steps=3) for m in (ours, theirs)]
    assert relative_error(results[1], results[0]) < 1e-5
    theirs.model_options["context_handler"].causal_window_fix = True  # adds a frame, and drops it
    assert torch.isfinite(ksample(apply(loaded, clip, theirs), noise, steps=1)).all()


def test_interrupt_ends_the_run_between_windows(load, scene, apply, ksample, video_noise, run_node):
    import comfy.model_management as management

    loaded = load()
    clip = scene(loaded, frames=20, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "flat", "loop": False, "shift": False}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    bound = apply(loaded, clip, model)
    calls = []

    def spy(executor, *args, **kwargs):
        calls.append(1)
        management.interrupt_current_processing(True)
        return executor(*args, **kwargs)

    import comfy.patcher_extension

    wrappers = comfy.patcher_extension.WrappersMP
    bound[0].add_wrapper_with_key(wrappers.DIFFUSION_MODEL, "spy", spy)
    with pytest.raises(management.InterruptProcessingException):
        ksample(bound, video_noise(bound[3]), steps=3)
    assert len(calls) == 1
    bound[0].remove_wrappers_with_key(wrappers.DIFFUSION_MODEL, "spy")
    assert torch.isfinite(ksample(bound, video_noise(bound[3]), steps=1)).all()


def test_trailing_sigmas_equal_simple_where_the_steps_divide_the_schedule(load, run_node):
    import comfy.samplers

    loaded = load()
    sampling = loaded.model.get_model_object("model_sampling")
    for steps in (10, 20, 25, 50):
        simple = comfy.samplers.calculate_sigmas(sampling, "simple", steps).cpu()
        ours = run_node("TrailingSigmas", model=loaded.model, steps=steps, denoise=1.0)
        assert torch.allclose(ours, simple, rtol=1e-4)
    part = run_node("TrailingSigmas", model=loaded.model, steps=5, denoise=0.5)
    whole = run_node("TrailingSigmas", model=loaded.model, steps=10, denoise=1.0)
    assert torch.equal(part, whole[5:])


def test_video_noise_is_the_noise_of_the_core(core, run_node):
    noise = run_node("VideoNoise", seed=11, shared_noise=0.3)
    drawn = noise.generate_noise({"samples": torch.zeros(5, 4, 3, 2)})
    generator = torch.Generator().manual_seed(11)
    expected = core("diffusion.noise").draw_noise((1, 4, 5, 3, 2), generator, shared=0.3)
    assert noise.seed == 11
    assert torch.equal(drawn, expected[0].transpose(0, 1))


def test_latent_of_another_length_is_refused(load, scene, apply, ksample, video_noise):
    loaded = load()
    model, positive, negative, latent = apply(loaded, scene(loaded))
    short = {"samples": latent["samples"][:4]}
    with pytest.raises(ValueError, match="latent got 4 frames, the pose has 6; they must agree"):
        ksample((model, positive, negative, short), video_noise(short), steps=1)


def test_latent_of_another_size_is_refused(load, scene, apply, ksample, video_noise):
    loaded = load()
    model, positive, negative, _ = apply(loaded, scene(loaded))
    wide = {"samples": torch.zeros(6, 4, 7, 8)}
    with pytest.raises(ValueError, match="latent got 64x56 pixels, the pose is for 48x56"):
        ksample((model, positive, negative, wide), video_noise(wide), steps=1)


def test_more_frames_than_the_motion_table_point_to_windows(
    load, scene, apply, ksample, video_noise
):
    loaded = load()
    bound = apply(loaded, scene(loaded, frames=33, width=16, height=16))
    with pytest.raises(ValueError, match=r"33 frames; .* 32\. Sample in windows"):
        ksample(bound, video_noise(bound[3]), steps=1)


def test_a_window_longer_than_the_motion_table_is_refused(load, run_node):
    options = {"overlap": 2, "fusing": "flat", "loop": False, "shift": False}
    with pytest.raises(ValueError, match=r"length got 33; .* positions for 32 frames"):
        run_node("ContextWindows", model=load().model, length=33, **options, shuffle_noise=False)


def test_a_video_of_no_numbers_is_refused(load, scene, run_node):
    loaded = load()
    clip = scene(loaded)
    broken = loaded.model.clone()
    weight = loaded.model.model.diffusion_model.conv_out.bias
    broken.add_patches({"diffusion_model.conv_out.bias": ("diff", (weight * float("nan"),))})
    options = {"steps": 1, "cfg": 2.0, "sampler": "euler", "scheduler": "simple", "seed": 0}
    windows = {"length": 24, "overlap": 4, "fusing": "flat", "shared_noise": 0.0}
    inputs = {"model": broken, "reference": clip.reference, "pose": clip.pose}
    with pytest.raises(Exception, match=r"NaN or infinite.* Load the models again"):
        run_node("Animate", **inputs, **options, **windows)


def test_parts_of_another_weight_set_are_refused(load, scene, apply):
    loaded, other = load(), load(latents=16, prediction="sample")
    with pytest.raises(ValueError, match="reference got one made with tiny test weights"):
        apply(loaded, replace(scene(loaded), reference=scene(other).reference))


def test_models_of_others_are_refused(load, scene, apply):
    loaded = load()
    stranger = SimpleNamespace(model=torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="model got a Linear; connect the model of Load Models"):
        apply(loaded, scene(loaded), stranger)


def test_previews_show_the_sixteen_channels(load, weights):
    loaded = load(prediction="sample", latents=16)
    latents = loaded.model.model.latent_format
    assert latents.latent_channels == 16
    assert latents.scale_factor == 1.0


def test_nothing_is_logged_per_step(load, scene, apply, ksample, video_noise, run_node, caplog):
    loaded = load()
    clip = scene(loaded, frames=14, width=16, height=16)
    options = {"length": 8, "overlap": 2, "fusing": "flat", "loop": False, "shift": False}
    model = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    bound = apply(loaded, clip, model)
    ksample(bound, video_noise(bound[3]), steps=1)  # loading says something, once
    counts = []
    for steps in (1, 3):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            ksample(bound, video_noise(bound[3]), steps=steps)
        counts.append(len(caplog.records))
    assert counts[0] == counts[1]


@pytest.fixture
def collected(caplog):
    """Return a function that collects garbage and lets the host look at its models; fails if it
    then misses one that is still loaded.
    """

    def look():
        import comfy.model_management as management

        gc.collect()
        with caplog.at_level(logging.INFO):
            management.free_memory(0, management.get_torch_device())
        assert "memory leak" not in caplog.text

    return look


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # dpm_adaptive's
def test_no_prompt_leaves_a_model_that_the_host_cannot_find(load, scene, run_node, collected):
    loaded = load()
    clip = scene(loaded, frames=3, width=16, height=16)
    options = {"seed": 1, "steps": 3, "cfg": 2.0, "scheduler": "trailing", "shared_noise": 0.0}
    options |= {"length": 3, "overlap": 1, "fusing": "flat", "model": loaded.model}
    for sampler in ("dpm_adaptive", "dpm_fast", "euler", "euler"):
        gc.disable()  # so that what hangs together is collected together
        run_node("Animate", reference=clip.reference, pose=clip.pose, sampler=sampler, **options)
        gc.enable()
        collected()


def test_copies_of_two_nodes_lead_back_to_the_loaded_model(
    load, scene, run_node, apply, ksample, video_noise, collected
):
    loaded = load()
    clip = scene(loaded, frames=3, width=16, height=16)
    options = {"length": 2, "overlap": 1, "fusing": "flat", "loop": False, "shift": False}
    windows = run_node("ContextWindows", model=loaded.model, **options, shuffle_noise=False)
    bound = apply(loaded, clip, windows)
    ksample(bound, video_noise(bound[3]), steps=1)
    ring = [windows, bound]
    ring.append(ring)
    del windows, bound, ring
    collected()
    assert loaded.model.parent is None


def test_attention_over_more_rows_than_kernels_take_is_split(pack, monkeypatch):
    import comfy.ldm.modules.attention as attention

    ours = pack("nodes.comfyui.attention")
    monkeypatch.setattr(attention, "SDP_BATCH_LIMIT", 4)
    monkeypatch.setattr(ours, "chosen", attention.attention_pytorch)
    query, key, value = torch.randn(3, 10, 2, 5, 8).unbind()
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    for attend in (pack("nodes.sampler.denoiser").host_attention({}), ours.plain_attention):
        assert torch.allclose(attend(query, key, value), expected, atol=1e-6)


TOLD = {  # sampler, scheduler, steps: words in the log, or None
    "heun, few": ("heun", "simple", 4, "heun with 4 steps gives wrong colours"),
    "heun": ("heun", "simple", 8, None),
    "dpm_2_ancestral": ("dpm_2_ancestral", "simple", 4, "dpm_2_ancestral with 4 steps"),
    "dpm_fast": ("dpm_fast", "simple", 20, "dpm_fast does not suit"),
    "dpm_adaptive": ("dpm_adaptive", "simple", 20, "dpm_adaptive does not suit"),
    "linear_quadratic": ("euler", "linear_quadratic", 20, "the last noise level is 8"),
    "euler": ("euler", "simple", 2, None),
    "karras": ("dpmpp_2m", "karras", 4, None),
}


@pytest.mark.parametrize(("sampler", "scheduler", "steps", "words"), TOLD.values(), ids=TOLD)
def test_samplers_that_do_not_suit_are_told(load, pack, sampler, scheduler, steps, words):
    import comfy.samplers

    host, suited = pack("nodes.comfyui.host"), pack("nodes.sampler.suited")
    chosen = comfy.samplers.sampler_object(sampler)
    sigmas = host.stock_sigmas(load().model, scheduler, steps)
    found = suited.unsuited(chosen, sigmas)
    assert (found is None) if words is None else (words in found)
    assert suited.unsuited(chosen, sigmas / 1000) is None, "not from pure noise"


@pytest.mark.parametrize(("usual", "told"), [(20, True), (1, False)])
def test_far_fewer_steps_than_the_weights_need_are_told(
    load, scene, apply, ksample, video_noise, caplog, monkeypatch, usual, told
):
    loaded = load()
    bound = apply(loaded, scene(loaded, frames=2, width=16, height=16))
    network = bound[0].model
    monkeypatch.setattr(network, "preset", replace(network.preset, steps=usual))
    ksample(bound, video_noise(bound[3]), steps=2)
    lines = [each.message for each in caplog.records if "are made for" in each.message]
    assert len(lines) == told
    assert not told or "steps got 2, but these weights are made for 20" in lines[0]


def test_a_run_with_an_unsuited_sampler_logs_one_line(
    load, scene, apply, ksample, video_noise, caplog
):
    loaded = load()
    bound = apply(loaded, scene(loaded, frames=2, width=16, height=16))
    ksample(bound, video_noise(bound[3]), steps=2, sampler="heun")
    ksample(bound, video_noise(bound[3]), steps=2)
    assert [each.message for each in caplog.records if "wrong colours" in each.message] == [
        "Animate Anyone: heun with 2 steps gives wrong colours or noise; it needs 8 or more. "
        "Choose euler, or more steps."
    ]
