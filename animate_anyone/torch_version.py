"""The versions of torch that this package needs: to run at all, and to open a pickle safely."""

import re

from .errors import PackageError

# `torch.get_autocast_dtype` and AdamW's fused step on the CPU came with 2.4.
OLDEST = (2, 4)
# Before 2.6, code in a pickle could run despite `weights_only=True` (CVE-2025-32434).
SAFE_PICKLES = (2, 6)


def version_of(
    text: str,  # as torch.__version__ has it: "2.6.0+cu124"
) -> tuple[int, int]:
    """Return major and minor number of a version."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise PackageError(
            f"torch got the version {text!r}, which does not begin with two numbers."
        )
    return int(found[1]), int(found[2])


def installed() -> tuple[int, int]:
    """Return major and minor number of the torch that runs here."""
    import torch

    return version_of(torch.__version__)


def require_torch() -> None:
    """Raise PackageError if torch is too old for this package."""
    found = installed()
    if found < OLDEST:
        raise PackageError(
            f"torch got version {_text(found)}; Animate Anyone needs {_text(OLDEST)} or newer. "
            "Update torch as its site says for your card (pytorch.org/get-started)."
        )


def pickles_are_safe() -> bool:
    """Return whether this torch reads a pickle without ever running code in it."""
    return installed() >= SAFE_PICKLES


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
