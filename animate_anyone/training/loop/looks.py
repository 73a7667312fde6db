"""Looks whether the user has cancelled, within a step too: a step may take minutes on a CPU."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ...protocols import Look


class Looks:
    """Calls a function before each layer, forwards and backwards, and remembers if it raised."""

    def __init__(self, look: Look | None) -> None:
        """Use a function that raises to interrupt; None: nothing is watched."""
        self._look, self.interrupted = look, False

    def watch(self, networks: nn.Module) -> None:
        """Look before each layer with weights; `networks` compute the same as before."""
        if self._look is None:
            return
        for part in networks.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.register_forward_hook(self._after_layer)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function that may raise to interrupt."""
        try:
            function()
        except BaseException:  # whatever the caller raises
            self.interrupted = True
            raise

    def _after_layer(self, layer: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ANN401
        assert self._look is not None
        self.call(self._look)
        if output.requires_grad:
            output.register_hook(self._backwards)

    def _backwards(self, gradient: Tensor) -> None:
        assert self._look is not None
        self.call(self._look)
