"""Training and evaluation from the graph."""

import gc
import sys
from types import SimpleNamespace

import pytest
import torch
from tiny_weights import files


@pytest.fixture(scope="module", autouse=True)
def _networks_of_other_tests_are_no_garbage(load):
    """Leave them out of collections: each training collects garbage four times."""
    with torch.inference_mode():
        load()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def clip(core):
    """Return pictures, skeletons and keypoints of a drawn character, as the graph holds them."""
    pair = core("evaluation.held_out").held_out_pair(3, frames=6, size=core("types").Size(32, 32))
    return SimpleNamespace(
        frames=pair.truth.movedim(1, -1).contiguous(),
        poses=torch.from_numpy(pair.poses).float() / 255,
        keypoints=core("pose.files.keypoints").to_keypoints(pair.skeletons),
    )


@pytest.fixture
def train(run_node, load, clip):
    """Return a function that trains tiny weights as the host runs a node: in inference mode."""

    def run(**changes):
        with torch.inference_mode():
            loaded = load()
            values = {
                **files("plain.safetensors"),
                "dtype": "fp32",
                "vae": loaded.vae,
                "clip_vision": loaded.clip_vision,
                "save_as": "hero",
                "if_exists": "begin again",
                "stage": 1,
                "steps": 2,
                "learning_rate": 2e-3,
                "seed": 1,
                "examples": 1,
                "frames_each": 0,
                "accumulate": 1,
                "precision": "automatic",
                "gradient_checkpointing": False,
                "save_every": 100,
                "frames": clip.frames.clone(),
                "poses": clip.poses.clone(),
            }
            *networks, report = run_node("Train", **values | changes)
        return SimpleNamespace(
            **dict(zip(("model", "reference_net", "pose_guider"), networks, strict=True)),
            loaded=loaded,
            report=report,
        )

    return run


def parameters(network):
    module = getattr(network.model, "diffusion_model", network.model)
    return {key: value.clone() for key, value in module.state_dict().items()}


def moved(trained, part):
    """Return the names of a network's tensors that training has changed."""
    patcher = getattr(trained, part)
    before = getattr(trained.loaded, part)
    patcher, before = (getattr(each, "patcher", each) for each in (patcher, before))
    old = parameters(before)
    return {k for k, v in parameters(patcher).items() if (v - old[k]).abs().max() > 1e-3}


def test_training_lowers_the_loss_and_saves_what_load_models_lists(train, run_node, base):
    trained = train(steps=20, learning_rate=6e-3)
    first, last = (float(word) for word in trained.report.split("Loss: ")[1].split()[0:6:5])
    assert last < 0.5 * first, trained.report
    assert (base / "output/animate_anyone/training/hero/stage1/checkpoints").is_dir()
    assert (
        "hero.safetensors"
        in run_node.nodes["AnimateAnyone_LoadModels"].GET_SCHEMA().inputs[1].options
    )
    model, *_ = run_node("LoadModels", **files("hero.safetensors"), dtype="fp32")
    again = parameters(model)
    for key, value in parameters(trained.model).items():
        assert torch.equal(value, again[key]), key


def test_a_run_that_never_fits_is_refused_before_its_folder_is_made(train, core, monkeypatch, base):
    monkeypatch.setattr(core("memory"), "most_memory", lambda: 100_000)
    with pytest.raises(ValueError, match=r"preset got .*, at least .* \(weights .* 0\.0 GB"):
        train(save_as="giant")
    monkeypatch.setattr(core("memory"), "most_memory", lambda: 100_000_000)
    with pytest.raises(ValueError, match="examples got 900 with 4 frames of 32x32 pixels each"):
        train(save_as="giant", examples=900)
    assert not (base / "output/animate_anyone/training/giant").exists()
    monkeypatch.undo()
    assert "A step needed at least" in train(save_as="giant", steps=1).report


def test_stage_1_leaves_the_temporal_layers_and_stage_2_moves_them_alone(train):
    first = train(learning_rate=0.02)
    assert all(moved(first, part) for part in ("model", "reference_net", "pose_guider"))
    assert not any("motion_modules" in key for key in moved(first, "model"))
    second = train(learning_rate=0.02, stage=2, save_as="mover")
    assert moved(second, "model")
    assert all("motion_modules" in key for key in moved(second, "model"))
    assert not moved(second, "reference_net")


def test_what_was_trained_can_be_sampled_with_after_odd_sizes(train, scene, run_node, clip):
    narrow = {"frames": clip.frames[:, :30, :26], "poses": clip.poses[:, :30, :26]}
    trained = train(steps=1, **narrow)
    loaded = trained.loaded
    loaded.reference_net, loaded.pose_guider = trained.reference_net, trained.pose_guider
    with torch.inference_mode():
        clip = scene(loaded)
        latent = run_node(
            "Animate", model=trained.model, reference=clip.reference, pose=clip.pose, seed=1,
            steps=1, cfg=1.0, sampler="euler", scheduler="trailing", length=24, overlap=2,
            fusing="flat", shared_noise=0.0,
        )  # fmt: skip
    assert latent["samples"].isfinite().all()


def test_an_interrupted_run_is_kept_and_goes_on(train, pack, monkeypatch, base):
    import comfy.model_management as management
    from comfy.utils import ProgressBar

    plain = ProgressBar.update_absolute

    def cancel_after_2(bar, value, *rest, **more):
        plain(bar, value, *rest, **more)
        if bar.total == 3 and value == 2:
            management.interrupt_current_processing()

    monkeypatch.setattr(ProgressBar, "update_absolute", cancel_after_2)
    with pytest.raises(management.InterruptProcessingException):
        train(steps=3, save_as="cut")
    monkeypatch.undo()
    assert not (base / "models/animate_anyone/cut.safetensors").exists()
    resumed = train(steps=3, save_as="cut", if_exists="go on")
    assert "Trained 3 steps, of which 2 were taken earlier" in resumed.report


def test_a_step_is_interrupted_in_its_middle_and_repeated(train, core, monkeypatch):
    import comfy.model_management as management

    trainer = core("training.loop.trainer").Trainer
    plain = trainer.train_step

    def cancelled_in_step_2(self, parts):
        if self.step == 1:
            management.interrupt_current_processing()
        return plain(self, parts)

    monkeypatch.setattr(trainer, "train_step", cancelled_in_step_2)
    with pytest.raises(management.InterruptProcessingException):
        train(steps=3, save_as="middle")
    monkeypatch.undo()
    resumed = train(steps=3, save_as="middle", if_exists="go on")
    assert "Trained 3 steps, of which 1 were taken earlier" in resumed.report


def test_files_of_others_are_not_overwritten(train, base):
    path = base / "models/animate_anyone/theirs.safetensors"
    path.write_bytes(b"theirs")
    with pytest.raises(ValueError, match=r"theirs\.safetensors exists and was not written by"):
        train(save_as="theirs")
    assert path.read_bytes() == b"theirs"
    folder = base / "output/animate_anyone/training/pictures"
    folder.mkdir(parents=True)
    with pytest.raises(ValueError, match="pictures exists and is not a training run"):
        train(save_as="pictures")
    assert folder.is_dir()
    with pytest.raises(ValueError, match="plain', which is the file to start from"):
        train(save_as="plain")


@pytest.mark.parametrize("name", ["../hero", "a\\b", "", "..", "hero.", "c:hero"])
def test_names_that_are_no_file_names_are_refused(train, name):
    with pytest.raises(ValueError, match=r"save_as got .* name of a file, without a folder"):
        train(save_as=name)


BAD = {
    "fewer poses": (lambda c: {"poses": c.poses[:4]}, "poses got 4 of 32x32 .* frames 6 of 32x32"),
    "smaller poses": (lambda c: {"poses": c.poses[:, ::2, ::2]}, "poses got 6 of 16x16"),
    "NaN": (lambda c: {"frames": c.frames * float("nan")}, "frames got NaN"),
    "no poses": (lambda c: {"poses": None}, "poses got nothing; connect"),
    "no frames": (lambda c: {"frames": None}, "frames got nothing; connect"),
    "nobody": (lambda c: {"poses": c.poses * 0}, "poses got 6 black pictures"),
    "one frame": (lambda c: {"frames": c.frames[:1], "poses": c.poses[:1]}, "a clip of 1;"),
    "unknown preset": (lambda c: {"preset": "mor"}, "preset got 'mor'; choose one of"),
    "unknown data set": (lambda c: {"data_set": "none"}, "data_set got 'none'; choose one of"),
    "too many frames": (lambda c: {"frames_each": 6}, "example of 6 cannot .* Choose 5 or fewer"),
    "stage 3": (lambda c: {"stage": 3}, "stage got 3"),
    "examples in parts": (lambda c: {"accumulate": 2}, "must be a multiple of 2"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_named(train, clip, change, words):
    with pytest.raises(ValueError, match=words):
        train(save_as="bad", **change(clip))


def test_a_vae_of_another_kind_is_refused(train, load):
    with pytest.raises(ValueError, match=r"vae got a VAE with 16 latent channels; .* needs 4"):
        train(vae=load(prediction="sample", latents=16).vae)


def test_accelerate_is_all_that_is_needed_and_a_run_goes_on_as_it_was_begun(train, monkeypatch):
    for package in ("diffusers", "transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    train(steps=1, save_as="other")
    with pytest.raises(ValueError, match=r"seed was 1 and is 2.*begin again, or choose another"):
        train(steps=1, save_as="other", if_exists="go on", seed=2)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match="pip install accelerate"):
        train(steps=1)


@pytest.fixture
def prepared(core, base):
    """Put a data set of one clip, as `prepare` writes it, into the input folder."""
    types = core("types")
    pair = core("evaluation.held_out").held_out_pair(3, frames=6, size=types.Size(32, 32))
    manifest, tracks = core("dataset.manifest"), core("dataset.tracks")
    entry = manifest.ClipEntry(
        name="one", file="one.mp4", split="", fps=30.0, frames=6, spans=(manifest.Span(0, 6),)
    )
    folder = base / "input/dancers"
    clip = manifest.clip_folder(folder, "one")
    (clip / "frames").mkdir(parents=True)
    for number, picture in enumerate(core("media").to_bytes(pair.truth)):
        core("media").write_picture(manifest.frame_path(clip, number, "png"), picture)
    crowded = torch.zeros(6, dtype=torch.bool).numpy()
    tracks.write_track(clip / "keypoints.npz", tracks.Track(pair.skeletons, crowded))
    manifest.Manifest(
        size=pair.skeletons.canvas,
        fit="pad",
        source="clips",
        pictures="png",
        min_frames=2,
        poses="drawn",
        cached={},
        clips=(entry,),
    ).write(folder)
    return folder.name


def test_a_prepared_data_set_is_trained_on(train, prepared):
    values = {"data_set": prepared, "save_as": "dancer"}
    with pytest.raises(ValueError, match="data_set got 'dancers', but frames or poses are conn"):
        train(**values)
    assert "Trained 1 steps" in train(steps=1, frames=None, poses=None, **values).report


def test_the_hosts_vae_goes_both_ways(pack, load, clip):
    loaded = load()
    coder = pack("nodes.training.train").HostAutoencoder(loaded.vae, loaded.preset)
    latents = coder.encode(clip.frames.movedim(-1, 1))
    shown = coder.decode(latents)
    assert not latents.is_inference()
    with torch.inference_mode():
        assert torch.equal(latents, loaded.vae.encode(clip.frames) * loaded.preset.latent_scale)
        theirs = latents / loaded.preset.latent_scale
        theirs = theirs.contiguous(memory_format=torch.channels_last)  # as ours on a CPU
        expected = loaded.vae.decode(theirs).movedim(-1, 1)
    assert torch.equal(shown, expected.float().clamp(0, 1))


def evaluate(run_node, result, truth, **more):
    return run_node("Evaluate", **{"result": result, "truth": truth, "title": "mine", **more})


def test_evaluation_of_a_clip_with_itself_and_with_noise(run_node, clip):
    table, psnr, ssim, _ = evaluate(run_node, clip.frames, clip.frames)
    assert (psnr, ssim) == (100, pytest.approx(1, abs=1e-3))
    assert table.splitlines()[2].startswith("| mine | 100.00 | 1.000 |")
    noisy = (clip.frames + torch.randn(clip.frames.shape) * 0.1).clamp(0, 1)
    expected = -10 * (noisy - clip.frames).square().mean((1, 2, 3)).log10().mean()
    assert evaluate(run_node, noisy, clip.frames)[1] == pytest.approx(float(expected), abs=1e-3)


def test_poses_are_measured_where_they_are_given(run_node, core):
    pair = core("evaluation.held_out").held_out_pair(5, frames=2)
    frames = pair.truth.movedim(1, -1)
    keypoints = core("pose.files.keypoints").to_keypoints(pair.skeletons)
    table, *_, found = evaluate(run_node, frames, frames, poses=keypoints)
    assert "PCK" in table
    assert found > 0.7
    lost = evaluate(run_node, torch.zeros_like(frames), frames, poses=keypoints)[-1]
    assert lost == 0
    with pytest.raises(ValueError, match="poses got 1 frames and truth 2"):
        evaluate(run_node, frames, frames, poses=keypoints[:1])


def test_a_metric_that_is_added_to_the_table_is_a_column(run_node, core, clip, monkeypatch):
    metrics, kinds = core("evaluation.metrics.table"), core("evaluation.metrics.metric")
    darkest = kinds.Metric(
        title="darkest pixel",
        digits=1,
        better="nearer 1",
        measure=kinds.OfFrames(lambda result, _, __: result.amin((1, 2, 3)) + 3),
    )
    monkeypatch.setitem(metrics.METRICS, "darkest", darkest)
    table = evaluate(run_node, torch.zeros_like(clip.frames), clip.frames)[0]
    header, _, row = table.splitlines()[:3]
    assert header.endswith("| flicker | sharpness | darkest pixel |")
    assert row.endswith("| 3.0 |")


def test_without_poses_pck_stops_what_needs_it(run_node, clip):
    from comfy_execution.graph_utils import ExecutionBlocker

    *_, pck = evaluate(run_node, clip.frames, clip.frames)
    assert isinstance(pck, ExecutionBlocker)
    assert "connect poses" in pck.message


@pytest.mark.parametrize("poses", [False, True], ids=["frames", "frames and poses"])
def test_evaluation_fills_the_bar_and_can_be_interrupted(run_node, clip, monkeypatch, poses):
    import comfy.model_management as management
    from comfy.utils import ProgressBar

    told = []
    plain = ProgressBar.update_absolute

    def follow(bar, value, total=None, *rest):
        told.append((value, total))
        plain(bar, value, total, *rest)

    monkeypatch.setattr(ProgressBar, "update_absolute", follow)
    more = {"poses": clip.keypoints} if poses else {}
    evaluate(run_node, clip.frames, clip.frames, **more)
    total = 2 * len(clip.frames) if poses else len(clip.frames)
    assert told[0] == (len(clip.frames), total)
    assert told[-1] == (total, total)

    management.interrupt_current_processing()
    with pytest.raises(management.InterruptProcessingException):
        evaluate(run_node, clip.frames, clip.frames, **more)


UNEQUAL = {
    "length": (lambda c: c.frames[:4], "result got 4 frames of 32x32 and truth 6 .*ImageFromBatch"),
    "size": (lambda c: c.frames[:, ::2], "result got 6 frames of 32x16 .*Upscale Image"),
    "NaN": (lambda c: c.frames * float("nan"), "result got NaN"),
}


@pytest.mark.parametrize(("change", "words"), UNEQUAL.values(), ids=UNEQUAL)
def test_clips_that_do_not_compare_are_refused(run_node, clip, change, words):
    with pytest.raises(ValueError, match=words):
        evaluate(run_node, change(clip), clip.frames)


def test_missing_torchmetrics_is_named(run_node, clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(ImportError, match="pip install torchmetrics"):
        evaluate(run_node, clip.frames, clip.frames)


def test_a_lora_of_the_node_is_what_the_hosts_loader_adds(train, host_nodes, scene, run_node, base):
    """Strength 1 is the trained model, strength 0 the base; the file belongs to its run."""
    path = base / "models/loras/inky.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"theirs")
    with pytest.raises(ValueError, match=r"loras.inky\.safetensors exists and was not written by"):
        train(save_as="inky", lora_rank=2)
    path.unlink()
    trained = train(save_as="inky", lora_rank=2, learning_rate=0.05)
    assert f"Saved the LoRA alone as {path}" in trained.report
    assert not moved(trained, "reference_net")
    assert not moved(trained, "pose_guider")
    assert all(".attentions." in key for key in moved(trained, "model"))
    base_model, loader = trained.loaded.model, host_nodes.LoraLoaderModelOnly()
    with torch.inference_mode():
        clip = scene(trained.loaded)

    def sampled(model):
        with torch.inference_mode():
            return run_node(
                "Animate", model=model, reference=clip.reference, pose=clip.pose, seed=1, steps=2,
                cfg=1.0, sampler="euler", scheduler="trailing", length=24, overlap=2,
                fusing="flat", shared_noise=0.0,
            )["samples"]  # fmt: skip

    plain, whole = sampled(base_model), sampled(trained.model)
    for strength in (1.0, 0.0):
        (changed,) = loader.load_lora_model_only(base_model, "inky.safetensors", strength)
        result = sampled(changed)
        if strength:
            change = (whole - plain).abs().mean()
            assert change > 1e-3
            assert (result - whole).abs().mean() < 0.02 * change
        else:
            assert torch.equal(result, plain)
    train(save_as="inky", lora_rank=2)
