"""Finds the ComfyUI installations that the node tests run on. Standard library only.

python tests/comfy_hosts.py            print their folders, one per line, the main one first
python tests/comfy_hosts.py --install  install what they need into the running environment
"""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FRONT_END = re.compile(
    r"^comfyui[-_](?:frontend[-_]package|workflow[-_]templates|embedded[-_]docs)==.+$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class ComfyHost:
    """One ComfyUI checkout."""

    path: Path
    version: str

    @property
    def extra_packages(self) -> Path | None:
        """Return the folder with this host's own front-end packages, or None.

        Two hosts in one environment need different versions of these packages. The folder is
        `site-<version>` beside the checkout, or the one that `--install` made. Tests put it first
        on PYTHONPATH.
        """
        beside = self.path.parent / f"site-{self.version}"
        return next((folder for folder in (beside, self.made_packages) if folder.is_dir()), None)

    @property
    def made_packages(self) -> Path:
        """Return the folder into which `install` puts the front-end packages."""
        return Path(sys.prefix) / f"site-{self.version}"


def find_hosts() -> list[ComfyHost]:
    """Return the hosts in order of preference.

    If COMFYUI_PATH is set, only its folders are used (several are separated as in PATH). Else it
    is the ComfyUI whose custom_nodes holds this repository; else ~/comfy/ComfyUI and its siblings
    ComfyUI-<version>.
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
        return f"COMFYUI_PATH is {named!r}, which is not a ComfyUI checkout"
    return "no ComfyUI: set COMFYUI_PATH, clone into its custom_nodes, or use ~/comfy/ComfyUI"


def install(hosts: list[ComfyHost]) -> None:
    """Install the main host's requirements, and the other hosts' front-end packages in folders.

    The hash of the requirements is saved in the environment, so a second call is quick.
    """
    if not hosts:
        sys.stdout.write(f"Rings 2 to 4 will be skipped: {why_no_host()}\n")
        return
    main, *others = hosts
    requirements = main.path / "requirements.txt"
    stamp = Path(sys.prefix) / ".host"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        sys.stdout.write(f"Installing the requirements of ComfyUI {main.version}\n")
        _pip("-r", str(requirements))
        stamp.write_text(wanted)
    for host in others:
        packages = FRONT_END.findall((host.path / "requirements.txt").read_text())
        if host.extra_packages is None and packages:
            sys.stdout.write(f"Installing the front end of ComfyUI {host.version}\n")
            _pip("--no-deps", "--target", str(host.made_packages), *packages)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True)


def _is_host(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy" / "model_patcher.py").is_file()


def _version(folder: Path) -> str:
    file = folder / "comfyui_version.py"
    found = re.search(r'"([^"]+)"', file.read_text()) if file.is_file() else None
    return found.group(1) if found else "unknown"


if __name__ == "__main__":
    if sys.argv[1:] == ["--install"]:
        install(find_hosts())
    else:
        for found in find_hosts():
            sys.stdout.write(f"{found.path}\n")
