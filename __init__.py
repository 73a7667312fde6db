"""ComfyUI's way in. Nothing is imported until ComfyUI asks for the nodes."""

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:  # noqa: ANN401 - the class exists only inside the host
    """Return the extension that holds our nodes."""
    from .nodes import AnimateAnyoneExtension

    return AnimateAnyoneExtension()
