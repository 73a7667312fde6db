"""Guidance interval and step cache in the host: equal to the core's, with all kinds of samplers."""

from types import SimpleNamespace

import pytest
import torch
from standalone import relative_error

LIMIT = 1e-3  # of the largest value
CACHE = "animate_anyone_step_cache"


@pytest.fixture
def sampled(load, scene, run_node, pack):
    """Return a function that samples as KSampler does; it also returns what the model was asked."""

    def run(model=None, *, frames=6, steps=10, cfg=2.0, sampler="euler", change=None, **loading):
        import comfy.sample

        loaded = load(**loading)
        clip = scene(loaded, frames=frames, width=16, height=16)
        inputs = {"reference": clip.reference, "pose": clip.pose}
        model = (model or (lambda model: model))(loaded.model)
        model, positive, negative, latent = run_node("Apply", model=model, **inputs)
        if change is not None:
            model, positive, negative = change(model, positive, negative)
        noise = run_node("VideoNoise", seed=3, shared_noise=0.0).generate_noise(latent)
        network, calls = model.model.diffusion_model, []
        found = SimpleNamespace(loaded=loaded, clip=clip, noise=noise, calls=calls)
        predict, forward = type(network).predict, type(network)._denoise

        def predicted(self, *args, deep=None, **more):
            calls[-1] = (calls[-1][0], deep is None)
            return predict(self, *args, deep=deep, **more)

        def denoised(self, x, timesteps, context, control, options, **more):
            calls.append((len(options["cond_or_uncond"]), True))
            return forward(self, x, timesteps, context, control, options, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(network), "predict", predicted)
            patch.setattr(type(network), "_denoise", denoised)
            found.latents = comfy.sample.sample(
                *(model, noise, steps, cfg, sampler, "simple", positive, negative),
                comfy.sample.fix_empty_latent_channels(model, latent["samples"]),
                disable_pbar=True,
                seed=0,
            )
        assert CACHE not in model.model_options.get("transformer_options", {})
        return found

    return run


@pytest.fixture
def core_run(core):
    """Return a function that samples the same clip by the core's own function."""

    def run(found, **changes):
        preset, networks = found.loaded.preset, found.loaded.networks
        animate, token = core("animate"), found.clip.reference.token
        features = found.clip.reference.features
        with torch.no_grad():
            pose = networks["pose_guider"](found.clip.pictures.movedim(-1, 1)).transpose(0, 1)[None]

        class Condition:
            guided = True

            def for_windows(self, count, *, guided=True, strength=1.0):
                tokens = [torch.zeros_like(token), token] if guided else [token]
                attends = [False, True] if guided else [True]
                return networks["denoiser"].prepare(torch.cat(tokens), features, attends)

        models = SimpleNamespace(denoiser=networks["denoiser"], preset=preset)
        shown = SimpleNamespace(of=lambda frames: pose[:, :, list(frames)])
        sampling = animate.Sampling(steps=10, guidance=2.0, **changes)
        noise = found.noise.transpose(0, 1)[None]
        with torch.no_grad():
            result = animate.denoise(models, Condition(), shown, noise, sampling)
        return result[0].transpose(0, 1) / preset.latent_scale

    return run


def by_nodes(run_node, *, cache=1, part=(0.0, 1.0), windows=None):
    """Return a function that sets interval, step cache and windows on a model by the nodes."""

    def change(model):
        if part != (0.0, 1.0):
            shares = {"guidance_from": part[0], "guidance_until": part[1]}
            model = run_node("GuidanceInterval", model=model, **shares)
        if cache != 1:
            model = run_node("StepCache", model=model, step_cache=cache)
        if windows:
            model = run_node("ContextWindows", model=model, **windows, shuffle_noise=False)
        return model

    return change


def shown(calls):
    """Return the calls in a line: 2 or 1 rows, with a dot behind a call that is not full."""
    return " ".join(f"{rows}{'' if full else '.'}" for rows, full in calls)


@pytest.mark.parametrize(
    ("cache", "part", "calls"),
    [
        (1, (0.3, 0.7), "1 1 1 2 2 2 2 1 1 1"),
        (3, (0.0, 1.0), "2 2 2. 2. 2 2. 2. 2 2. 2"),
        (3, (0.3, 0.6), "1 1 1. 2 2 2. 1. 1 1. 1"),
    ],
    ids=["interval", "cache", "both"],
)
def test_nodes_equal_the_core(sampled, core_run, run_node, core, cache, part, calls):
    found = sampled(by_nodes(run_node, cache=cache, part=part))
    interval = core("diffusion.guidance").GuidanceInterval(start=part[0], end=part[1])
    expected = core_run(found, interval=interval, step_cache=cache)
    assert shown(found.calls) == calls
    assert relative_error(found.latents, expected) < LIMIT


def test_with_windows_that_shift_the_nodes_equal_the_core(sampled, core_run, run_node, core):
    options = {"length": 6, "overlap": 2, "fusing": "pyramid", "loop": False, "shift": True}
    found = sampled(by_nodes(run_node, cache=3, part=(0.3, 0.6), windows=options), frames=10)
    windows = core("diffusion.windows").WindowConfig(length=6, overlap=2, shift=True)
    interval = core("diffusion.guidance").GuidanceInterval(start=0.3, end=0.6)
    expected = core_run(found, interval=interval, step_cache=3, windows=windows)
    assert relative_error(found.latents, expected) < LIMIT
    assert len({rows for rows, full in found.calls if not full}) == 2


def test_animate_does_the_same_as_the_nodes(sampled, run_node):
    found = sampled(by_nodes(run_node, cache=2, part=(0.25, 0.75)))
    widgets = {"seed": 3, "steps": 10, "cfg": 2.0, "sampler": "euler", "scheduler": "simple"}
    widgets |= {"length": 16, "overlap": 4, "fusing": "pyramid", "shared_noise": 0.0}
    inputs = {"reference": found.clip.reference, "pose": found.clip.pose, **widgets}
    parts = {"guidance_from": 0.25, "guidance_until": 0.75, "step_cache": 2}
    result = run_node("Animate", model=found.loaded.model, **inputs, **parts)
    assert torch.equal(result["samples"], found.latents)


def test_whole_interval_and_cache_of_1_change_nothing(sampled, run_node):
    usual = sampled(steps=4)

    def change(model):
        model = run_node("StepCache", model=model, step_cache=3)  # the later node counts
        model = run_node("StepCache", model=model, step_cache=1)
        return run_node("GuidanceInterval", model=model, guidance_from=0.0, guidance_until=1.0)

    assert torch.equal(sampled(change, steps=4).latents, usual.latents)


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2s_ancestral", "dpmpp_2m"])
def test_samplers_with_two_calls_a_step_are_counted_by_calls(sampled, run_node, sampler):
    found = sampled(by_nodes(run_node, cache=2), steps=8, sampler=sampler)
    full = "".join("F" if each else "." for _, each in found.calls)
    assert full.endswith("F")
    assert ".." not in full
    assert full.count(".") >= (5 if len(full) > 8 else 2)
    assert torch.isfinite(found.latents).all()


@pytest.mark.parametrize("first", ["interval", "override"])
def test_the_hosts_own_override_of_cfg_works_beside_the_interval(sampled, run_node, first):
    from comfy_extras import nodes_custom_sampler as stock

    if not hasattr(stock, "CFGOverride"):
        pytest.skip("this ComfyUI has no CFGOverride")

    def change(model):
        ours = by_nodes(run_node, part=(0.3, 1.0))
        override = lambda model: stock.CFGOverride.execute(model, 1.0, 0.0, 0.02).args[0]  # noqa: E731
        for each in (ours, override) if first == "interval" else (override, ours):
            model = each(model)
        return model

    found = sampled(change)
    assert [rows for rows, _ in found.calls][:3] == [1, 1, 1]
    assert [rows for rows, _ in found.calls][-1] == 2


def test_perturbed_attention_has_features_of_its_own(sampled, run_node):
    from comfy_extras import nodes_pag

    def change(model, positive, negative):
        node = nodes_pag.PerturbedAttentionGuidance
        model = (
            node.execute(model, 3.0).args[0]
            if hasattr(node, "execute")
            else node().patch(model, 3.0)[0]
        )
        return model, positive, negative

    found = sampled(by_nodes(run_node, cache=3), change=change)
    # Each step calls the model for the pair, then for the perturbed half; both by the same rule.
    assert shown(found.calls[::2]) == "2 2 2. 2. 2 2. 2. 2 2. 2"
    assert shown(found.calls[1::2]) == "1 1 1. 1. 1 1. 1. 1 1. 1"


def test_control_residuals_act_at_all_steps(sampled, run_node, pack):
    def change(model, positive, negative):
        def controlled(executor, x, t, context, control, options, **more):
            level = model.model.diffusion_model
            widths = [16, 16, 16, 32]
            sides = [x.shape[2:], x.shape[2:], [-(-side // 2) for side in x.shape[2:]]]
            sides.append(sides[-1])
            control = {
                "output": [torch.ones(1, c, *hw) for c, hw in zip(widths, sides, strict=True)]
            }
            assert level is not None
            return executor(x, t, context, control, options, **more)

        wrappers = pack("nodes.comfyui.host").Wrappers
        model.add_wrapper_with_key(wrappers.DIFFUSION_MODEL, "control", controlled)
        return model, positive, negative

    plain = sampled(by_nodes(run_node, cache=3))
    found = sampled(by_nodes(run_node, cache=3), change=change)
    exact = sampled(change=change)
    assert shown(found.calls) == shown(plain.calls)
    assert (
        relative_error(found.latents, exact.latents)
        < relative_error(plain.latents, exact.latents) / 3
    )


@pytest.mark.parametrize("name", ["EasyCache", "LazyCache"])
def test_the_hosts_caches_are_refused_beside_ours(sampled, run_node, core, name):
    from comfy_extras import nodes_easycache

    node = getattr(nodes_easycache, f"{name}Node")
    values = (0.2, 0.15, 0.95, False)
    with pytest.raises(core("errors").InputError, match=f"step_cache got a model with {name}"):
        sampled(
            by_nodes(run_node, cache=2),
            change=lambda model, *halves: (node.execute(model, *values).args[0], *halves),
        )


@pytest.mark.parametrize("keyframes", [0, 1, 2])
def test_hooks_that_change_weights_within_a_run_are_refused(sampled, run_node, core, keyframes):
    import comfy.hooks

    def change(model, positive, negative):
        name = "diffusion_model.conv_in.weight"
        shape = model.model.state_dict()[name].shape
        hooks = comfy.hooks.create_hook_lora({}, 1.0, 0.0)
        for hook in hooks.hooks:
            hook.weights, hook.need_weight_init = {name: (torch.randn(shape),)}, False
        frames = comfy.hooks.HookKeyframeGroup()
        for number in range(keyframes):
            frames.add(comfy.hooks.HookKeyframe(1.0 - number / 2, start_percent=0.01 * number))
        if keyframes:
            hooks.set_keyframes_on_hooks(frames)
        positive = [[token, {**more, "hooks": hooks}] for token, more in positive]
        return model, positive, negative

    run = lambda: sampled(by_nodes(run_node, cache=3), steps=6, change=change)  # noqa: E731
    if keyframes < 2:
        # A hook that stays the same keeps features of its own half.
        assert {full for _, full in run().calls} == {True, False}
        return
    with pytest.raises(core("errors").InputError, match="step_cache got a conditioning with hooks"):
        run()


def test_more_memory_than_there_is_is_refused_before_sampling(
    sampled, run_node, core, pack, monkeypatch
):
    monkeypatch.setattr(pack("nodes.comfyui.host"), "free_on", lambda _: 0)
    with pytest.raises(core("errors").InputError, match=r"step_cache got .* it keeps .* GB"):
        sampled(by_nodes(run_node, cache=2))


def test_bad_values_are_refused_in_words(sampled, run_node, core, load):
    model, errors = load().model, core("errors")
    with pytest.raises(errors.ConfigError, match=r"guidance interval got from 0\.8 until 0\.2"):
        run_node("GuidanceInterval", model=model, guidance_from=0.8, guidance_until=0.2)
    with pytest.raises(errors.InputError, match="step_cache got 0"):
        run_node("StepCache", model=model, step_cache=0)
    with pytest.raises(errors.ConfigError, match="step_cache got 5 with 4 steps"):
        sampled(by_nodes(run_node, cache=5), steps=4)
    with pytest.raises(errors.ConfigError, match="with 4 steps it has none of them"):
        sampled(by_nodes(run_node, part=(0.4, 0.5)), steps=4)


def test_guiders_without_a_cfg_of_the_usual_kind_are_told(sampled, run_node, caplog, load, scene):
    import comfy.samplers
    from comfy_extras import nodes_custom_sampler as stock

    loaded = load()
    clip = scene(loaded, frames=4, width=16, height=16)
    model = by_nodes(run_node, part=(0.3, 0.7))(loaded.model)
    inputs = {"reference": clip.reference, "pose": clip.pose}
    model, positive, negative, latent = run_node("Apply", model=model, **inputs)
    guider = stock.Guider_DualCFG(model)
    guider.set_conds(positive, negative, negative)
    guider.set_cfg(2.0, 1.5)
    noise = run_node("VideoNoise", seed=7, shared_noise=0.0)
    sigmas = run_node("TrailingSigmas", model=model, steps=4, denoise=1.0)
    node = stock.SamplerCustomAdvanced
    run = node.execute if hasattr(node, "execute") else node().sample
    run(noise, guider, comfy.samplers.sampler_object("euler"), sigmas, latent)
    assert "Guider_DualCFG computes its conditionings itself" in caplog.text
    sampled(by_nodes(run_node, part=(0.3, 0.7)), steps=4, cfg=1.0)
    assert "cfg is 1, which guides no step" in caplog.text


@pytest.mark.parametrize("node", ["GuidanceInterval", "StepCache"])
def test_a_run_without_a_step_gives_back_its_latents(load, scene, run_node, node):
    import comfy.sample
    import comfy.samplers

    loaded = load()
    clip = scene(loaded, frames=2, width=16, height=16)
    half = {"guidance_from": 0.25, "guidance_until": 0.75}
    options = {"GuidanceInterval": half, "StepCache": {"step_cache": 2}}[node]
    model = run_node(node, model=loaded.model, **options)
    model, positive, negative, latent = run_node(
        "Apply", model=model, reference=clip.reference, pose=clip.pose
    )
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    sampler, one_sigma = comfy.samplers.sampler_object("euler"), torch.tensor([14.6])
    found = comfy.sample.sample_custom(
        *(model, torch.zeros_like(samples), 2.0, sampler, one_sigma, positive, negative, samples),
        disable_pbar=True,
    )
    assert torch.equal(found, samples)
