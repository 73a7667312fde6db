"""The pack's metadata agrees with itself and with what ComfyUI expects."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from comfy_hosts import FRONT_END, find_hosts, why_no_host

ROOT = Path(__file__).resolve().parent.parent
# pip would put these over the user's variant, see requirements.txt.
FORBIDDEN = re.compile(r"^(torch|opencv|onnxruntime)", re.IGNORECASE)


def section(name):
    """Return a section of pyproject.toml as text; tomllib needs Python 3.11."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(rf"^\[{re.escape(name)}\]$(.*?)(?=^\[|\Z)", text, re.M | re.S).group(1)


def requirements():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_pyproject_and_requirements_name_the_same_packages():
    block = re.search(r"^dependencies = \[\n(.*?)^\]", section("project"), re.M | re.S).group(1)
    listed = [line.strip().strip(",")[1:-1].replace('\\"', '"') for line in block.splitlines()]
    assert listed == requirements()


def test_requirements_never_replace_what_the_user_chose():
    for line in requirements():
        assert not FORBIDDEN.match(line) or 'sys_platform == "darwin"' in line


def test_comfy_section_does_not_mount_a_web_folder_twice():
    comfy = section("tool.comfy")
    assert "PublisherId" in comfy
    assert "DisplayName" in comfy
    assert not re.search(r"^web", comfy, re.M)


def test_web_directory_is_named_only_where_there_is_one():
    root = (ROOT / "__init__.py").read_text(encoding="utf-8")
    has_web = any(path.is_file() for path in (ROOT / "web").rglob("*"))
    assert ("WEB_DIRECTORY" in root) == has_web
    assert "NODE_CLASS_MAPPINGS" not in root  # even an empty one hides the V3 nodes


def test_licence_is_apache():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a folder that looks like a ComfyUI checkout, found through COMFYUI_PATH."""
    folder = tmp_path / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfy" / "model_patcher.py").touch()
    (folder / "comfyui_version.py").write_text('__version__ = "0.9.1"\n')
    monkeypatch.setenv("COMFYUI_PATH", str(folder))
    return folder


def test_a_named_host_is_found_with_its_version(checkout):
    (host,) = find_hosts()
    assert host.path == checkout
    assert host.version == "0.9.1"
    assert host.extra_packages is None


def test_front_end_packages_beside_a_host_are_found(checkout):
    packages = checkout.parent / "site-0.9.1"
    packages.mkdir()
    assert find_hosts()[0].extra_packages == packages


def test_a_folder_that_is_no_host_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert find_hosts() == []
    assert str(tmp_path) in why_no_host()


def test_hosts_are_listed_for_the_makefile(checkout):
    command = [sys.executable, str(ROOT / "tests" / "comfy_hosts.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [str(checkout)]


def test_front_end_packages_are_told_from_other_requirements():
    text = "torch\ncomfyui-frontend-package==1.2.3\ncomfyui_workflow_templates==4\nnumpy>=1\n"
    assert FRONT_END.findall(text) == [
        "comfyui-frontend-package==1.2.3",
        "comfyui_workflow_templates==4",
    ]
