import weakref
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch

from animate_anyone.animate import PoseFeatures, animate, prediction, sampling_of, snap_size
from animate_anyone.diffusion.guidance import GuidanceInterval
from animate_anyone.diffusion.schedule import NoiseSchedule
from animate_anyone.diffusion.strength import Strength
from animate_anyone.diffusion.windows import WindowConfig
from animate_anyone.errors import ConfigError, InputError, WeightsError
from animate_anyone.networks.unet import UNet
from animate_anyone.types import Size


def poses_of(frames, size=Size(32, 48)):  # noqa: B008  (a frozen record)
    rng = np.random.default_rng(5)
    return rng.integers(0, 255, (frames, size.height, size.width, 3), np.uint8)


def clip_of(models, sampling=None, frames=6, reference=None, **options):
    reference = torch.rand(1, 3, 48, 32) if reference is None else reference
    return torch.cat(list(animate(models, reference, poses_of(frames), sampling, **options)))


def short(small, **changes):
    usual = sampling_of(small.preset)
    return replace(usual, **{"windows": replace(usual.windows, overlap=2), **changes})


def test_networks_are_let_go_when_they_are_not_needed_any_more(small, monkeypatch):
    models, alive = small.models(), []
    names = ("reference_net", "image_encoder", "denoiser", "pose_guider", "autoencoder")
    refs = {name: weakref.ref(getattr(models, name)) for name in names}

    told = []

    def let_go(name):
        told.append(name)
        models.let_go(name)

    def look(*_):
        alive.append({name for name, ref in refs.items() if ref() is not None})

    clip_of(small.models())  # all networks are kept without `let_go`
    chunks = animate(
        models,
        torch.rand(1, 3, 48, 32),
        poses_of(6),
        short(small, frames_per_decode=2),
        progress=look,
        let_go=let_go,
    )
    assert told == ["reference_net", "image_encoder", "encoder", "denoiser", "pose_guider"]
    assert all(each == {"denoiser", "pose_guider", "autoencoder"} for each in alive)
    alive.clear()
    assert len(torch.cat([(look(), chunk)[1] for chunk in chunks])) == 6
    assert all(each == {"autoencoder"} for each in alive)


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 11])
def test_every_length_gives_as_many_frames_as_poses(small, frames):
    clip = clip_of(small.models(), frames=frames)

    assert clip.shape == (frames, 3, 48, 32)
    assert 0 <= clip.min() <= clip.max() <= 1


def test_the_same_seed_gives_the_same_clip_and_another_seed_another(small):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    first, again, other = (
        clip_of(models, short(small, seed=seed), reference=reference) for seed in (1, 1, 2)
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_reference_and_pose_both_matter(small):
    models, sampling = small.models(), short(small)
    one, other = torch.rand(2, 1, 3, 48, 32)
    poses = poses_of(4)
    clips = [
        torch.cat(list(animate(models, reference, pictures, sampling)))
        for reference, pictures in ((one, poses), (other, poses), (one, poses[::-1].copy()))
    ]

    for clip in clips[1:]:
        assert not torch.allclose(clips[0], clip, rtol=0, atol=1e-5)


def test_ddim_of_one_window_equals_the_equations_written_out(tiny):
    """Guidance, zero token and missing reference of the unconditional row, v-prediction, DDIM."""
    models = tiny.models()
    sampling = replace(sampling_of(tiny.preset), steps=2)
    reference, poses = torch.rand(1, 3, 48, 32), poses_of(3)
    with torch.no_grad():
        token = models.image_encoder.encode(reference)
        features = models.reference_net.reference_features(
            models.autoencoder.encode(reference), token
        )
        guided = models.denoiser.prepare(token, features)
        free = models.denoiser.prepare(torch.zeros_like(token))
        pictures = torch.from_numpy(poses).permute(0, 3, 1, 2) / 255
        pose = models.pose_guider(pictures).transpose(0, 1)[None]
        x = torch.randn((1, 4, 3, 6, 4), generator=torch.Generator().manual_seed(0))
        alphas = [*NoiseSchedule(models.preset.schedule).alphas_cumprod[[999, 499]], torch.ones(())]
        for t, (now, then) in zip((999, 499), pairwise(alphas), strict=True):
            moment = torch.tensor([t])
            unconditional = models.denoiser(x, moment, free, pose)
            conditional = models.denoiser(x, moment, guided, pose)
            v = unconditional + 2.0 * (conditional - unconditional)
            clean = now.sqrt() * x - (1 - now).sqrt() * v
            noise = now.sqrt() * v + (1 - now).sqrt() * x
            x = then.sqrt() * clean + (1 - then).sqrt() * noise
        expected = models.autoencoder.decode(x[0].transpose(0, 1))
    clip = torch.cat(list(animate(models, reference, poses, sampling)))

    assert torch.allclose(clip, expected, atol=1e-5)


def test_guidance_of_one_runs_only_the_conditional_row(small, monkeypatch):
    rows = []
    forward = UNet.forward
    monkeypatch.setattr(
        UNet, "forward", lambda self, x, *rest: rows.append(len(x)) or forward(self, x, *rest)
    )
    clip_of(small.models(), short(small, guidance=1.0), frames=4)
    clip_of(small.models(), short(small, guidance=1.5), frames=4)

    assert rows == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("per_call", [1, 2])
def test_steps_outside_of_the_interval_run_only_the_conditional_row(small, monkeypatch, per_call):
    rows = []
    forward = UNet.forward
    monkeypatch.setattr(
        UNet, "forward", lambda self, x, *rest: rows.append(len(x)) or forward(self, x, *rest)
    )
    interval = GuidanceInterval(start=0.25, end=0.75)
    usual = short(small, steps=4, windows_per_call=per_call)
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    run = partial(clip_of, models, reference=reference)
    clip = run(replace(usual, interval=interval))

    windows = (2, 1)[per_call - 1]  # calls per step
    assert [count // per_call for count in rows] == [1] * windows + [2] * 2 * windows + [
        1
    ] * windows
    # Steps without guidance are steps of guidance 1, so the interval changes the clip.
    assert not torch.equal(clip, run(usual))
    assert torch.equal(
        run(replace(usual, interval=interval, guidance=1.0)), run(replace(usual, guidance=1.0))
    )


def test_the_whole_interval_changes_nothing(small):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    whole = short(small, interval=GuidanceInterval(start=0, end=1))
    one, other = (clip_of(models, each, reference=reference) for each in (short(small), whole))
    assert torch.equal(one, other)


def test_an_interval_without_a_step_is_refused(small):
    with pytest.raises(ConfigError, match=r"guidance interval got .* has none"):
        clip_of(small.models(), short(small, interval=GuidanceInterval(start=0.4, end=0.45)))


def calls_of(tiny, monkeypatch, sampling, frames=6):
    """Return for each call of the denoiser its number of rows and whether it was full."""
    calls, predict = [], UNet.predict

    def counted(self, x, *rest, deep=None):
        calls.append((len(x), deep is None))
        return predict(self, x, *rest, deep=deep)

    monkeypatch.setattr(UNet, "predict", counted)
    clip_of(tiny.models(), sampling, frames=frames)
    return calls


@pytest.mark.parametrize("per_call", [1, 2])
def test_step_cache_runs_full_steps_and_others_for_each_window(tiny, monkeypatch, per_call):
    sampling = short(tiny, steps=6, step_cache=2, windows_per_call=per_call)
    calls = calls_of(tiny, monkeypatch, sampling)
    windows = (2, 1)[per_call - 1]  # calls per step
    full = [full for full in (True, False, True, False, True, True) for _ in range(windows)]
    assert calls == [(2 * per_call, each) for each in full]


def test_leaving_the_interval_uses_the_features_and_entering_it_is_full(tiny, monkeypatch):
    interval = GuidanceInterval(start=0.4, end=0.7)
    sampling = short(tiny, steps=10, step_cache=4, interval=interval)
    calls = calls_of(tiny, monkeypatch, sampling, frames=4)
    #                     first two   entering            leaving       group      last
    assert [rows for rows, _ in calls] == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1]
    assert "".join("F" if full else "." for _, full in calls) == "FF..FF...F"


def test_windows_hold_still_within_a_group(tiny, monkeypatch):
    usual = short(tiny, steps=8, step_cache=3)
    windows, seen = replace(usual.windows, shift=True), []
    plan = prediction.plan_windows

    def planned(frames, config, step=0):
        seen.append(step)
        return plan(frames, config, step)

    monkeypatch.setattr(prediction, "plan_windows", planned)
    clip_of(tiny.models(), replace(usual, windows=windows), frames=11)
    assert seen[-8:] == [0, 1, 1, 1, 2, 2, 2, 3]


def test_a_step_cache_of_one_changes_nothing_and_a_larger_one_little(tiny):
    models, reference = tiny.models(), torch.rand(1, 3, 48, 32)
    usual = short(tiny, steps=8)
    exact, off, near, far = (
        clip_of(models, replace(usual, step_cache=every), reference=reference)
        for every in (1, 1, 2, 8)
    )
    assert torch.equal(exact, off)
    assert 0 < (near - exact).norm() < (far - exact).norm() < 0.2 * exact.norm()


def test_a_step_cache_without_memory_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(prediction, "free_on", lambda _: 0)
    with pytest.raises(InputError, match="step_cache got a clip for which it keeps"):
        clip_of(tiny.models(), short(tiny, step_cache=2))


def test_a_step_cache_larger_than_the_steps_is_refused(tiny):
    with pytest.raises(ConfigError, match="step_cache got 4 with 3 steps"):
        clip_of(tiny.models(), short(tiny, step_cache=4))


def test_reference_is_encoded_once_per_clip(small, monkeypatch):
    calls = []
    features = UNet.reference_features
    monkeypatch.setattr(
        UNet,
        "reference_features",
        lambda self, *rest: calls.append(1) or features(self, *rest),
    )
    clip_of(small.models(), short(small), frames=11)

    assert len(calls) == 1


@pytest.mark.parametrize("per_call", [2, 3, 99])
def test_windows_in_one_call_give_the_same_as_one_by_one(small, per_call):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    single, together = (
        clip_of(models, short(small, windows_per_call=n), frames=11, reference=reference)
        for n in (1, per_call)
    )

    assert torch.allclose(single, together, atol=1e-5)


def test_pose_features_on_demand_equal_stored_ones(small):
    guider, poses = small.models().pose_guider, poses_of(19)
    kept, made = PoseFeatures(guider, poses), PoseFeatures(guider, poses, kept_bytes=0)

    assert kept.of((3, 18, 7)).shape == (1, 8, 3, 6, 4)
    assert torch.allclose(kept.of((3, 18, 7)), made.of((3, 18, 7)), atol=1e-6)


def test_frames_are_decoded_on_demand(small):
    models = small.models()
    decoded = []
    original = models.autoencoder.decode
    models.autoencoder.decode = lambda x: decoded.append(len(x)) or original(x)
    chunks = animate(
        models, torch.rand(1, 3, 48, 32), poses_of(7), short(small, frames_per_decode=3)
    )

    assert decoded == []
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]


def test_progress_counts_windows_of_all_steps_and_may_interrupt(small):
    seen = []
    clip_of(small.models(), short(small), progress=lambda *values: seen.append(values))
    assert seen == [(i, 6) for i in range(1, 7)]

    class StopError(Exception):
        pass

    def interrupt(done, total):
        raise StopError

    with pytest.raises(StopError):
        clip_of(small.models(), short(small), progress=interrupt)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m_sde"])
def test_samplers_run_and_repeat(small, sampler):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    clips = [
        clip_of(models, short(small, sampler=sampler), frames=2, reference=reference)
        for _ in range(2)
    ]

    assert torch.equal(*clips)


def test_half_precision_networks_give_nearly_the_same(small):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    exact = clip_of(models, short(small), reference=reference)
    for network in (models.denoiser, models.reference_net, models.pose_guider):
        network.to(torch.bfloat16)

    assert (clip_of(models, short(small), reference=reference) - exact).abs().max() < 0.1


@pytest.mark.parametrize(
    "changes",
    [
        {"shared_noise": 0.5},
        {"repeat_noise": True},
        {"windows": WindowConfig(length=4, overlap=1, loop=True, fuse="flat")},
        {"windows": WindowConfig(length=4, overlap=2, shift=True)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_options_change_the_clip_and_keep_its_length(small, changes):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    usual, other = (
        clip_of(models, sampling, frames=9, reference=reference)
        for sampling in (short(small), replace(short(small), **changes))
    )

    assert usual.shape == other.shape
    assert not torch.equal(usual, other)


@pytest.mark.parametrize("size", [(1, 1), (300, 20), (32, 48), (1500, 1500)])
def test_reference_of_any_size_is_fitted(small, size, caplog):
    clip = clip_of(small.models(), short(small), frames=2, reference=torch.rand(1, 3, *size[::-1]))

    assert clip.shape == (2, 3, 48, 32)
    assert ("edges are continued" in caplog.text) == (size != (32, 48))
    assert ("reference is 1x1 pixels, which shows nothing" in caplog.text) == (size == (1, 1))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (torch.rand(9, 3, 48, 32), "reference got 9 pictures; one to 8 pictures"),
        ([], "reference got 0 pictures"),
        ([torch.rand(1, 3, 48, 32), torch.rand(2, 3, 4, 4)], r"reference 2 got shape \(2, 3, 4, 4"),
        (torch.rand(1, 4, 48, 32), r"reference got shape \(1, 4, 48, 32\); it must be \(1, 3"),
        (torch.rand(1, 3, 0, 32), r"reference got shape \(1, 3, 0, 32\)"),
        (torch.full((1, 3, 48, 32), torch.nan), "reference got NaN or infinite values"),
    ],
)
def test_references_that_cannot_be_used_are_named(small, reference, message):
    with pytest.raises(InputError, match=message):
        clip_of(small.models(), reference=reference)


def test_several_pictures_are_seen_and_the_strengths_count(small):
    models, (one, other) = small.models(), torch.rand(2, 1, 3, 48, 32)
    small = torch.rand(1, 3, 5, 9)
    alone = clip_of(models, reference=one)
    assert torch.equal(clip_of(models, reference=[one], strengths=[1]), alone)
    assert torch.equal(clip_of(models, reference=[other, one], strengths=[0, 1]), alone)
    twice = clip_of(models, reference=torch.cat([one, one]), strengths=(0.5, 0.5))
    assert torch.allclose(twice, alone, atol=1e-5)
    for more in ([one, other], [one, small], [one, other, small]):
        assert not torch.allclose(clip_of(models, reference=more), alone, atol=1e-4)


def test_strengths_that_cannot_be_used_are_named(small):
    two = torch.rand(2, 3, 48, 32)
    for strengths, message in (([1], "strengths got 1 values for 2"), ([0, 0], "none would be")):
        with pytest.raises(InputError, match=message):
            animate(small.models(), two, poses_of(2), strengths=strengths)


def test_strengths_in_parts_of_the_run(small):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)

    def clip(reference=reference, strengths=None, **changes):
        return clip_of(models, short(small, **changes), reference=reference, strengths=strengths)

    usual = clip()
    explicit = {"pose_strength": Strength(end=1.0), "reference_strength": Strength(value=1.0)}
    assert torch.equal(clip(**explicit), usual)
    half = clip(reference_strength=Strength(value=0.5))
    assert torch.equal(half, clip(strengths=[0.5]))
    two = torch.cat([reference, 1 - reference])
    assert torch.allclose(
        clip(two, [1, 2], reference_strength=Strength(value=0.5)), clip(two, [0.5, 1]), atol=1e-5
    )
    third = {"start": 0.0, "end": 1 / 3}
    results = [
        half,
        clip(reference_strength=Strength(**third)),
        clip(pose_strength=Strength(value=0.5)),
        clip(pose_strength=Strength(**third)),
        clip(pose_strength=Strength(value=2.0, **third)),
        clip(pose_strength=Strength(value=0.0)),
        usual,
    ]
    for first, other in combinations(results, 2):
        assert not torch.allclose(first, other, atol=1e-4)


def test_a_step_cache_does_not_mix_strengths(tiny):
    models, reference = tiny.models(), torch.rand(1, 3, 48, 32)
    part = {"pose_strength": Strength(end=0.5), "reference_strength": Strength(start=0.25)}
    full, cached = (
        clip_of(models, short(tiny, steps=4, step_cache=n, **part), reference=reference)
        for n in (1, 3)
    )
    assert full.shape == cached.shape
    with pytest.raises(ConfigError, match=r"pose interval got from 0.4 until 0.45; with 3 steps"):
        clip_of(models, short(tiny, pose_strength=Strength(of="pose", start=0.4, end=0.45)))


@pytest.mark.parametrize(
    ("poses", "message"),
    [
        (poses_of(0), "poses got 0 frames; a clip needs one or more"),
        (poses_of(2, Size(30, 48)), "size got 30x48; both sides must be multiples of 8. Choose 32"),
        (poses_of(2, Size(32, 0)), "size got 32x0"),
        (poses_of(2)[0], r"poses got uint8 of shape \(48, 32, 3\)"),
        (poses_of(2) / 255, "poses got float64"),
    ],
)
def test_poses_that_cannot_be_used_are_named(small, poses, message):
    with pytest.raises(InputError, match=message):
        animate(small.models(), torch.rand(1, 3, 48, 32), poses)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, r"steps got 0; it must be a whole number in 1\.\.1000"),
        ({"steps": 1001}, "steps got 1001"),
        ({"guidance": 0.5}, "cfg got 0.5; it must be 1 or more. Choose 1"),
        ({"guidance": float("nan")}, "cfg got nan"),
        ({"sampler": "magic"}, "sampler got 'magic'; choose one of ddim"),
        ({"windows_per_call": 0}, "windows_per_call got 0"),
        ({"frames_per_decode": 0}, "frames_per_decode got 0"),
        ({"shared_noise": 2.0}, "shared got 2.0"),
        (
            {"windows": WindowConfig(length=7)},
            "window got 7 frames; the motion modules of tiny test weights have positions for 6",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_that_cannot_be_used_are_named(small, changes, message):
    with pytest.raises(InputError, match=message):
        clip_of(small.models(), short(small, **changes), frames=9)


def test_short_clip_needs_no_long_motion_table(small):
    sampling = replace(short(small), windows=WindowConfig(length=24))

    assert len(clip_of(small.models(), sampling, frames=5)) == 5


@pytest.mark.parametrize("part", ["autoencoder", "image_encoder"])
def test_weights_without_encoders_are_refused(small, part):
    models = small.models()
    setattr(models, part, None)

    with pytest.raises(WeightsError, match=f"{part} got none; tiny test weights needs one"):
        clip_of(models)


def test_nan_weights_are_reported_in_the_first_step(small):
    models = small.models()
    models.denoiser.conv_in.weight.data[0] = torch.nan

    with pytest.raises(WeightsError, match=r"NaN or infinite values \(in step 1 of 3\)"):
        clip_of(models)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (Size(512, 768), Size(512, 768)),
        (Size(500, 301), Size(496, 304)),
        (Size(1, 3), Size(8, 8)),
    ],
)
def test_sizes_are_snapped_to_the_nearest_multiple_of_eight(size, expected):
    assert snap_size(size) == expected
