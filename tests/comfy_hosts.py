"""Finds the ComfyUI installations that the node tests run on. Standard library only.

`python tests/comfy_hosts.py` writes their folders, one per line, the first one is the main one.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ComfyHost:
    """One ComfyUI checkout."""

    path: Path
    version: str

    @property
    def extra_packages(self) -> Path | None:
        """A folder with the front-end packages of an older host, beside it: site-<version>.

        Two hosts in one environment need different versions of those; the tests put the folder
        in front on PYTHONPATH.
        """
        folder = self.path.parent / f"site-{self.version}"
        return folder if folder.is_dir() else None


def find_hosts() -> list[ComfyHost]:
    """Return the hosts in order of preference.

    COMFYUI_PATH (several parted like PATH) alone decides if it is set; else the ComfyUI in whose
    custom_nodes this repository lies; else ~/comfy/ComfyUI and its siblings ComfyUI-<version>.
    """
    named = os.environ.get("COMFYUI_PATH")
    if named:
        folders = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    elif REPOSITORY.parent.name == "custom_nodes":
        folders = [REPOSITORY.parent.parent]
    else:
        home = Path.home() / "comfy"
        folders = [home / "ComfyUI", *sorted(home.glob("ComfyUI-*"))]
    return [ComfyHost(folder.resolve(), _version(folder)) for folder in folders if _is_host(folder)]


def why_no_host() -> str:
    """Return where `find_hosts` looked, for a skip message."""
    named = os.environ.get("COMFYUI_PATH")
    if named:
        return f"COMFYUI_PATH is {named!r}, which is no ComfyUI checkout"
    return "no ComfyUI: set COMFYUI_PATH, clone into its custom_nodes, or use ~/comfy/ComfyUI"


def _is_host(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy" / "model_patcher.py").is_file()


def _version(folder: Path) -> str:
    file = folder / "comfyui_version.py"
    found = re.search(r'"([^"]+)"', file.read_text()) if file.is_file() else None
    return found.group(1) if found else "unknown"


if __name__ == "__main__":
    for host in find_hosts():
        sys.stdout.write(f"{host.path}\n")
