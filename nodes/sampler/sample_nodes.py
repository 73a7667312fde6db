"""Sampling: all in one node, or as parts for the stock samplers."""

from typing import Literal, get_args

from comfy_api.latest import io

from ...animate_anyone.diffusion.windows import WindowConfig
from ..comfyui import host
from ..comfyui.checks import checked
from ..comfyui.inputs import interval_inputs, step_cache_input
from ..comfyui.sockets import Pose, PoseSocket, Reference, ReferenceSocket
from ..page.window_view import MAX_WINDOW_LENGTH
from .sample import (
    TRAILING,
    VideoNoise,
    animate,
    bind,
    strengths_of,
    trailing_sigmas,
    windowed,
    with_less_work,
)

CATEGORY = "animate_anyone/sampling"
Fusing = Literal["pyramid", "flat"]
MOST_STRENGTH = 10.0
LARGEST_SEED = 2**63 - 1


def scene_inputs() -> list[io.Input]:
    """Return the inputs for model, reference and driving motion."""
    return [
        io.Model.Input(
            "model",
            tooltip="From Load Models; a LoRA and patches for Stable Diffusion 1.5 may follow it. "
            "The log names what cannot act.",
        ),
        ReferenceSocket.Input("reference", tooltip="From Encode Reference."),
        PoseSocket.Input(
            "pose", tooltip="From Encode Pose; it sets the length and the size of the video."
        ),
    ]


def window_inputs() -> list[io.Input]:
    """Return the inputs for the windows into which a long clip is divided."""
    return [
        io.Int.Input(
            "length",
            default=24,
            min=1,
            max=MAX_WINDOW_LENGTH,
            tooltip="Frames in a window, which the motion modules process together. 24 suits the "
            "public weights; more needs more memory, and each weight set has a maximum. A clip "
            "that is not longer is one window.",
        ),
        io.Int.Input(
            "overlap",
            default=4,
            min=0,
            max=MAX_WINDOW_LENGTH - 1,
            tooltip="Frames that neighbouring windows share. More makes seams softer and costs "
            "time.",
        ),
        io.Combo.Input(
            "fusing",
            options=list(get_args(Fusing)),
            tooltip="How frames that several windows share are averaged: pyramid gives the middle "
            "of a window more weight, flat gives all frames the same weight.",
        ),
    ]


def seed_input() -> io.Input:
    """Return the input for the seed."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=LARGEST_SEED,
        control_after_generate=True,
        tooltip="The same seed gives the same video.",
    )


def shared_input() -> io.Input:
    """Return the input for the share of noise that all frames have in common."""
    return io.Float.Input(
        "shared_noise",
        default=0.0,
        min=0.0,
        max=1.0,
        step=0.05,
        tooltip="The share of the noise that all frames have in common, 0 to 1. More makes the "
        "clip calmer; too much freezes the picture.",
    )


def strength_inputs() -> list[io.Input]:
    """Return the inputs for how much pose and reference count, and in which part of the run."""
    what = {
        "pose": ("the drawn poses count", "Lower it if limbs look stiff or the skeleton shows."),
        "reference": (
            "all reference pictures together count",
            "Their image token counts in full at all steps.",
        ),
    }
    inputs: list[io.Input] = []
    for name, (counts, more) in what.items():
        about = f"How much {counts}: 1 as in training, 0 not at all. {more}"
        part = f"of the part of the run in which {counts}, as a share of its steps. Outside of it"
        ranges = {"min": 0.0, "step": 0.05, "optional": True}
        strength = io.Float.Input(
            f"{name}_strength", default=1.0, max=MOST_STRENGTH, tooltip=about, **ranges
        )
        ends = [
            io.Float.Input(
                f"{name}_{end}",
                default=default,
                max=1.0,
                tooltip=f"The {where} {part} {left_out}.",
                **ranges,
            )
            for end, default, where, left_out in (
                ("from", 0.0, "beginning", "the strength is 0; 0 is the first step"),
                ("until", 1.0, "end", "the strength is 0; 1 is the last step"),
            )
        ]
        inputs += [strength, *ends]
    return inputs


class Apply(io.ComfyNode):
    """Prepares a video for any sampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Apply",
            display_name="Apply Reference and Pose (Animate Anyone)",
            category=CATEGORY,
            description="Prepares model, conditioning and an empty latent for a stock sampler. Use "
            "euler with the scheduler simple, or Trailing Sigmas. dpm_fast, dpm_adaptive and the "
            "scheduler linear_quadratic do not suit.",
            inputs=[
                *scene_inputs(),
                io.Conditioning.Input(
                    "control_text",
                    optional=True,
                    tooltip="Only for ControlNet: the text that it reads, from CLIP Text Encode.",
                ),
                *strength_inputs(),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative"),
                io.Latent.Output(display_name="latent"),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model: host.ModelPatcher,
        reference: Reference,
        pose: Pose,
        control_text: list | None = None,
        pose_strength: float = 1.0,
        pose_from: float = 0.0,
        pose_until: float = 1.0,
        reference_strength: float = 1.0,
        reference_from: float = 0.0,
        reference_until: float = 1.0,
    ) -> io.NodeOutput:
        strengths = strengths_of(
            (pose_strength, pose_from, pose_until),
            (reference_strength, reference_from, reference_until),
        )
        return io.NodeOutput(*bind(model, reference, pose, control_text, strengths=strengths))


class Animate(io.ComfyNode):
    """Samples the latents of a video in one node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Animate",
            display_name="Animate (Animate Anyone)",
            category=CATEGORY,
            description="Generates the video: the character of the reference in the poses of the "
            "clip.",
            inputs=[
                *scene_inputs(),
                seed_input(),
                io.Int.Input(
                    "steps",
                    default=20,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps. 20 to 30 for the public weights, 1 for aa-mini; 10, "
                    "20, 25, 40 and 50 divide their schedule evenly.",
                ),
                io.Float.Input(
                    "cfg",
                    default=3.5,
                    min=1.0,
                    max=30.0,
                    step=0.1,
                    tooltip="How strongly to follow the reference. 3.5 for the public weights, 1 "
                    "for aa-mini; 1 takes half the time.",
                ),
                io.Combo.Input(
                    "sampler",
                    options=list(host.SAMPLERS),
                    default="euler",
                    tooltip="euler is the DDIM of the paper. It suits all presets. heun and "
                    "dpm_2_ancestral need 8 steps or more; dpm_fast and dpm_adaptive do not suit.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=[TRAILING, *host.SCHEDULERS],
                    tooltip="trailing starts from pure noise, as in the training of these "
                    "networks. linear_quadratic does not suit.",
                ),
                *window_inputs(),
                shared_input(),
                *strength_inputs(),
                *interval_inputs(0.0, 1.0, optional=True),
                step_cache_input(1, optional=True),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="What to start from: the latent of Continue, or an encoded background "
                    "after Set Latent Noise Mask. What its noise mask leaves out stays. Without a "
                    "noise mask all of it is sampled.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model: host.ModelPatcher,
        reference: Reference,
        pose: Pose,
        seed: int,
        steps: int,
        cfg: float,
        sampler: str,
        scheduler: str,
        length: int,
        overlap: int,
        fusing: Fusing,
        shared_noise: float,
        pose_strength: float = 1.0,
        pose_from: float = 0.0,
        pose_until: float = 1.0,
        reference_strength: float = 1.0,
        reference_from: float = 0.0,
        reference_until: float = 1.0,
        guidance_from: float = 0.0,
        guidance_until: float = 1.0,
        step_cache: int = 1,
        latent: dict | None = None,
    ) -> io.NodeOutput:
        config = WindowConfig(length=length, overlap=overlap, fuse=fusing)
        strengths = strengths_of(
            (pose_strength, pose_from, pose_until),
            (reference_strength, reference_from, reference_until),
        )
        model = with_less_work(model, guidance_from, guidance_until, step_cache)
        scene = bind(model, reference, pose, windows=config, strengths=strengths)
        noise = VideoNoise(seed, shared_noise)
        options: dict = {"steps": steps, "cfg": cfg, "sampler": sampler, "scheduler": scheduler}
        options["start"] = latent
        return io.NodeOutput(animate(scene, noise, **options), ui={"aa_frames": [len(pose)]})


class ContextWindows(io.ComfyNode):
    """Samples long clips in windows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ContextWindows",
            display_name="Context Windows (Animate Anyone)",
            category=CATEGORY,
            description="Lets a stock sampler generate clips of any length, window by window. "
            "ControlNet pictures are divided in the same way.",
            inputs=[
                io.Model.Input("model", tooltip="The model, before or after Apply."),
                *window_inputs(),
                io.Boolean.Input(
                    "loop",
                    default=False,
                    tooltip="Treat the clip as a loop, in which the first frame follows the last.",
                ),
                io.Boolean.Input(
                    "shift",
                    default=False,
                    tooltip="Move the seams between windows at every step, so that none becomes "
                    "visible. May need one more window.",
                ),
                io.Boolean.Input(
                    "shuffle_noise",  # `repeat_noise`; saved workflows hold this id
                    default=False,
                    tooltip="Start all windows from the same noise, in a different order for each, "
                    "so that distant windows agree better on parts that do not move.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model: host.ModelPatcher,
        length: int,
        overlap: int,
        fusing: Fusing,
        loop: bool,
        shift: bool,
        shuffle_noise: bool,
    ) -> io.NodeOutput:
        config = WindowConfig(length=length, overlap=overlap, fuse=fusing, loop=loop, shift=shift)
        return io.NodeOutput(windowed(model, config, repeat_noise=shuffle_noise))


class TrailingSigmas(io.ComfyNode):
    """Provides the noise levels that zero terminal SNR needs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_TrailingSigmas",
            display_name="Trailing Sigmas (Animate Anyone)",
            category=CATEGORY,
            description="Noise levels for SamplerCustom: evenly spread, starting from pure noise. "
            "They equal the scheduler simple if the number of steps divides 1000.",
            inputs=[
                io.Model.Input("model", tooltip="The model whose noise schedule is used."),
                io.Int.Input(
                    "steps", default=20, min=1, max=1000, tooltip="Number of sampling steps."
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="1 starts from pure noise. Less keeps more of the input latent.",
                ),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas")],
        )

    @classmethod
    @checked
    def execute(cls, model: host.ModelPatcher, steps: int, denoise: float) -> io.NodeOutput:
        return io.NodeOutput(trailing_sigmas(model, steps, denoise))


class VideoNoiseNode(io.ComfyNode):
    """Provides noise that is drawn for a whole clip at once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_VideoNoise",
            display_name="Video Noise (Animate Anyone)",
            category=CATEGORY,
            description="Noise for SamplerCustomAdvanced: the same as the Animate node and the "
            "command line draw from this seed.",
            inputs=[seed_input(), shared_input()],
            outputs=[io.Noise.Output(display_name="noise")],
        )

    @classmethod
    @checked
    def execute(cls, seed: int, shared_noise: float) -> io.NodeOutput:
        return io.NodeOutput(VideoNoise(seed, shared_noise))


NODES = {  # by place in the menu
    140: Animate,
    150: Apply,
    160: ContextWindows,
    170: TrailingSigmas,
    180: VideoNoiseNode,
}
