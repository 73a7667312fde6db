"""The node that trains a weight set further."""

from comfy_api.latest import io, ui

from ..comfyui import host
from ..comfyui.checks import checked
from ..comfyui.sockets import PoseGuiderSocket, ReferenceNetSocket
from ..models.load_nodes import SLOTS, LoadModels
from .train import IF_EXISTS, NO_DATA_SET, PRECISIONS, Material, data_sets, save_fault, train


class Train(io.ComfyNode):
    """Fine-tunes a weight set."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Train",
            display_name="Train (Animate Anyone)",
            category="animate_anyone/training",
            description="Trains a weight set further, on a clip of your own character or on a "
            "prepared data set, and saves the result for Load Models. A cancelled run is kept and "
            "resumes when it is queued again. Needs accelerate (pip install accelerate).",
            inputs=[
                *LoadModels.define_schema().inputs,
                io.Vae.Input("vae", tooltip="The autoencoder that belongs to the weights."),
                io.ClipVision.Input(
                    "clip_vision", tooltip="The image encoder that belongs to the weights."
                ),
                io.String.Input(
                    "save_as",
                    default="my_character",
                    tooltip="Name of the new weight set: NAME.safetensors in models/animate_anyone "
                    "and the run's folder animate_anyone/training/NAME in ComfyUI's output. Only "
                    "files that the run has written itself are overwritten.",
                ),
                io.Combo.Input(
                    "if_exists",
                    options=list(IF_EXISTS),
                    tooltip="What to do with an earlier run of this name: go on resumes it, if "
                    "only steps, learning_rate and accumulate have changed; begin again deletes it "
                    "first.",
                ),
                *_run_inputs(),
                *_batch_inputs(),
                *_material_inputs(),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                ReferenceNetSocket.Output(display_name="reference net"),
                PoseGuiderSocket.Output(display_name="pose guider"),
                io.String.Output(display_name="report"),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, save_as: str | None = None) -> bool | str:
        return save_fault(save_as)

    @classmethod
    @checked
    def execute(
        cls,
        preset: str,
        denoiser: str,
        motion: str,
        reference_net: str,
        pose_guider: str,
        dtype: str,
        vae: host.Vae,
        clip_vision: host.ClipVision,
        save_as: str,
        if_exists: str,
        stage: int,
        steps: int,
        learning_rate: float,
        seed: int,
        examples: int,
        frames_each: int,
        accumulate: int,
        precision: str,
        gradient_checkpointing: bool,
        save_every: int,
        frames: io.Image.Type | None = None,
        poses: io.Image.Type | None = None,
        data_set: str = NO_DATA_SET,
        lora_rank: int = 0,
    ) -> io.NodeOutput:
        files: dict[str, str] = dict(
            zip(SLOTS, (denoiser, motion, reference_net, pose_guider), strict=True)
        )
        settings = {"stage": stage, "steps": steps, "learning_rate": learning_rate, "seed": seed}
        settings |= {"examples": examples, "frames": frames_each, "accumulate": accumulate}
        settings |= {"gradient_checkpointing": gradient_checkpointing, "save_every": save_every}
        settings |= {"lora": lora_rank}
        material = Material(frames, poses, data_set, vae, clip_vision)
        run = (save_as, if_exists, precision, dtype)
        *networks, report = train(preset, files, settings, material, *run)
        return io.NodeOutput(*networks, report, ui=ui.PreviewText(report))


def _run_inputs() -> list[io.Input]:
    """Return the inputs for stage, steps, learning rate and seed."""
    return [
        io.Int.Input(
            "stage",
            default=1,
            min=1,
            max=2,
            tooltip="1 trains how the character looks, on single frames. 2 trains how it moves: "
            "only the temporal layers, on consecutive frames.",
        ),
        io.Int.Input(
            "steps",
            default=200,
            min=1,
            max=1_000_000,
            tooltip="Steps of the whole run, including steps before a resume. For one clip some "
            "hundreds; more overfits to the clip.",
        ),
        io.Float.Input(
            "learning_rate",
            default=1e-4,
            min=1e-7,
            max=0.1,
            step=1e-7,
            tooltip="The size of a step: up to 0.001 for aa-mini, about 0.00001 for Stable "
            "Diffusion 1.5 networks. It falls to zero in the second half of the run.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**32 - 1,
            control_after_generate=False,
            tooltip="The same seed draws the same examples and noise.",
        ),
    ]


def _batch_inputs() -> list[io.Input]:
    """Return the inputs for batch, precision, memory and checkpoints."""
    return [
        io.Int.Input(
            "examples",
            default=1,
            min=1,
            max=1024,
            tooltip="Reference pictures in each step. More is steadier and slower.",
        ),
        io.Int.Input(
            "frames_each",
            default=0,
            min=0,
            max=512,
            tooltip="Frames to learn with each reference. 0 means 4 in stage 1, and up to 24 "
            "consecutive frames in stage 2.",
        ),
        io.Int.Input(
            "accumulate",
            default=1,
            min=1,
            max=1024,
            tooltip="Parts into which the examples of a step are divided; it must divide examples "
            "without remainder. More parts need less memory.",
        ),
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            tooltip="Number format of the computation; weights are kept in fp32. automatic is bf16 "
            "if the device is fast at it.",
        ),
        io.Boolean.Input(
            "gradient_checkpointing",
            default=False,
            tooltip="Compute intermediate values twice instead of keeping them: far less memory, a "
            "third more time.",
        ),
        io.Int.Input(
            "save_every",
            default=200,
            min=1,
            max=1_000_000,
            tooltip="Steps from one checkpoint to the next, in case of a crash. A cancelled run is "
            "saved anyway.",
        ),
    ]


def _material_inputs() -> list[io.Input]:
    """Return the inputs for the training data: a clip, or a data set."""
    return [
        io.Image.Input(
            "frames",
            optional=True,
            tooltip="A clip of the character, one picture per frame. Both sides become multiples "
            "of 8.",
        ),
        io.Image.Input(
            "poses",
            optional=True,
            tooltip="Its skeletons, from Extract Pose and Draw Pose: one per frame, of the same "
            "size.",
        ),
        io.Combo.Input(
            "data_set",
            options=data_sets(),
            default=NO_DATA_SET,
            optional=True,
            tooltip="Instead of frames and poses: a folder in ComfyUI's input folder (or a link "
            "there) that `python -m animate_anyone prepare` has made.",
        ),
        io.Int.Input(
            "lora_rank",
            default=0,
            min=0,
            max=1024,
            optional=True,
            tooltip="Above 0: train a LoRA of this rank in place of the weights, in the denoiser's "
            "attention (stage 1) or its temporal layers (stage 2), and save it as a second file "
            "NAME.safetensors in models/loras. 8 is usual.",
        ),
    ]


NODES = {210: Train}  # by place in the menu
