"""Sampling with less work, in front of any sampler."""

from comfy_api.latest import io

from ..comfyui import host
from ..comfyui.checks import checked
from ..comfyui.inputs import interval_inputs, step_cache_input
from .speed import with_interval, with_step_cache

CATEGORY = "animate_anyone/sampling"


class GuidanceInterval(io.ComfyNode):
    """Guides only a part of the run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_GuidanceInterval",
            display_name="Guidance Interval (Animate Anyone)",
            category=CATEGORY,
            description="Lets any sampler apply cfg in a part of the run only. The other steps do "
            "not compute the negative half and take about half the time.",
            inputs=[
                io.Model.Input("model", tooltip="The model, before or after Apply."),
                *interval_inputs(0.5, 1.0),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    @checked
    def execute(
        cls, model: host.ModelPatcher, guidance_from: float, guidance_until: float
    ) -> io.NodeOutput:
        return io.NodeOutput(with_interval(model, guidance_from, guidance_until))


class StepCache(io.ComfyNode):
    """Computes most steps in the outermost layer of the network only."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_StepCache",
            display_name="Step Cache (Animate Anyone)",
            category=CATEGORY,
            description="Lets any sampler compute only every second or third step in full; the "
            "steps between use deep features again. Faster, takes memory, and changes the result "
            "a little.",
            inputs=[
                io.Model.Input("model", tooltip="The model, before or after Apply."),
                step_cache_input(2),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    @checked
    def execute(cls, model: host.ModelPatcher, step_cache: int) -> io.NodeOutput:
        return io.NodeOutput(with_step_cache(model, step_cache))


NODES = {  # by place in the menu
    164: GuidanceInterval,
    166: StepCache,
}
