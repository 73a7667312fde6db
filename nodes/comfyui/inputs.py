"""Inputs that nodes of several files have."""

from comfy_api.latest import io


def interval_inputs(start: float, end: float, *, optional: bool = False) -> list[io.Input]:
    """Return the inputs for the guided part of the run, with these defaults."""
    share = {"min": 0.0, "max": 1.0, "step": 0.05, "optional": optional}
    return [
        io.Float.Input(
            "guidance_from",
            default=start,
            tooltip="Where the guided part of the run begins, as a share of its steps: 0 is the "
            "first step. Steps outside of the part use cfg 1 and take about half the time.",
            **share,
        ),
        io.Float.Input(
            "guidance_until",
            default=end,
            tooltip="Where the guided part of the run ends, as a share of its steps: 1 is the end. "
            "With 0 and 1 all steps are guided.",
            **share,
        ),
    ]


def step_cache_input(default: int, *, optional: bool = False) -> io.Input:
    """Return the input for the step cache."""
    return io.Int.Input(
        "step_cache",
        default=default,
        min=1,
        max=100,
        optional=optional,
        tooltip="Every so many steps are computed in full; the steps between compute only the "
        "outermost layer of the network. 1: all in full. 2 to 4 suit 20 steps. The first 15 % of "
        "the steps and the last are always full. Needs memory; the log says how much.",
    )
