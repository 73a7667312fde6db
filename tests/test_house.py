"""The pack's metadata files agree with each other and with what ComfyUI expects."""

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import release_check
from check_files import LARGEST_BYTES, faults, tracked
from comfy_hosts import FRONT_END, find_hosts, why_no_host

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")
# Installing these would replace the user's own variant, see requirements.txt.
LEFT_OUT = {"torch", "cv2"}
WITH_A_REASON = {"pytest>=8.0,<9.2"}  # requirements-dev.txt says it
FORBIDDEN = re.compile(r"^(torch|opencv|onnxruntime)", re.IGNORECASE)


def section(name):
    """Return a section of pyproject.toml as text; tomllib needs Python 3.11."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(rf"^\[{re.escape(name)}\]$(.*?)(?=^\[|\Z)", text, re.M | re.S).group(1)


def requirements(file="requirements.txt"):
    """Return the requirements in a file, without comments."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and line[0] != "#"]


def imported_at_once(path):
    """Return the third-party packages that a file imports outside of functions."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return {{"PIL": "Pillow"}.get(name, name) for name in names - sys.stdlib_module_names}


def load_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_pyproject_and_requirements_name_the_same_packages():
    block = re.search(r"^dependencies = \[\n(.*?)^\]", section("project"), re.M | re.S).group(1)
    listed = [line.strip().strip(",")[1:-1].replace('\\"', '"') for line in block.splitlines()]
    assert listed == requirements()


def test_what_the_core_imports_at_once_is_required():
    """A package that comes with ComfyUI is easily forgotten; then the command line lacks it."""
    named = {Requirement(line).name.lower() for line in requirements()} | LEFT_OUT
    for path in sorted((ROOT / "animate_anyone").rglob("*.py")):
        lacking = {name for name in imported_at_once(path) if name.lower() not in named}
        assert not lacking, f"{path}: add {lacking} to requirements.txt and pyproject.toml"


def test_requirements_never_replace_what_the_user_chose():
    for line in requirements():
        assert not FORBIDDEN.match(line) or 'sys_platform == "darwin"' in line


def test_packages_for_development_end_below_the_next_major_release():
    for line in requirements("requirements-dev.txt"):
        wanted = Requirement(line)
        (upper,) = [bound.version for bound in wanted.specifier if bound.operator == "<"]
        (lower,) = [bound.version for bound in wanted.specifier if bound.operator == ">="]
        parts, below = ([int(n) for n in version.split(".")] for version in (upper, lower))
        assert parts > below, line
        # A tighter bound than the next major release is one that has its reason beside it.
        assert len(parts) == 1 or line in WITH_A_REASON, line


def test_packages_that_comfyui_shares_have_no_upper_bound():
    for line in requirements():
        assert all(bound.operator == ">=" for bound in Requirement(line).specifier), line


def test_installed_packages_lie_within_the_bounds():
    for line in requirements("requirements-dev.txt"):
        wanted = Requirement(line)
        try:
            have = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            continue  # not installed; tests that need it are skipped
        assert wanted.specifier.contains(have, prereleases=True), f"{line}: {have} is installed"


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
    if sys.platform != "win32":  # which knows no such right
        assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    ["CHANGELOG.md", "SECURITY.md", "README.md", "LICENSE", ".comfyignore", ".gitattributes",
     ".github/pull_request_template.md", "animate_anyone/py.typed"],
)  # fmt: skip
def test_files_of_a_public_project_are_there(name):
    assert (ROOT / name).is_file()


def test_the_readme_links_to_the_other_documents():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "--depth 1" in text
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"):
        assert f"[{name}]({name})" in text


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "README.md"])
def test_files_that_a_page_links_to_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    code = [word for word in re.findall(r"`([^`\s]+)`", text) if "<" not in word]
    named = [word for word in code if re.match(r"(animate_anyone|nodes|tests|docs|web)/", word)]
    links = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not link.startswith("http")]
    folder = (ROOT / page).parent
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_newest_version_of_the_changelog_is_the_projects():
    sections = release_check.changelog_sections((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    first, newest, *_ = sections
    assert first == "Unreleased"
    assert newest == release_check.settings(ROOT)["project"]["version"]
    assert sections[newest][0], "a released version has a date"


def test_every_file_of_the_core_would_be_packaged():
    block = re.search(r'^"\*" = \[(.*?)\]', section("tool.setuptools.package-data"), re.M).group(1)
    patterns = re.findall(r'"([^"]+)"', block)
    for path in (ROOT / "animate_anyone").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert any(path.match(pattern) for pattern in patterns), path


def test_graphics_cards_have_the_names_that_the_registry_reads():
    cards = re.findall(r'"Environment :: GPU :: ([^"]+)"', section("project"))
    assert cards == ["NVIDIA CUDA", "AMD ROCm", "Intel Arc", "Apple Metal"]


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda path: path.name)
def test_forms_and_workflows_of_github_are_yaml(path):
    assert isinstance(load_yaml(path), dict)


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_fields_of_a_form_have_ids_and_labels(name):
    form = load_yaml(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in fields)
    assert {"comfyui", "card"} <= set(ids)


@pytest.mark.parametrize("path", sorted((GITHUB / "workflows").glob("*.yml")), ids=lambda p: p.stem)
def test_workflows_have_least_rights_and_named_actions(path):
    flow = load_yaml(path)
    assert flow["permissions"] == {"contents": "read"}
    assert "concurrency" in flow
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert "permissions" not in job
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.search(r"^actions/.+@v\d+$|@[0-9a-f]{40}$", action) for action in used)


def test_core_tests_run_on_every_supported_python_and_system():
    matrix = load_yaml(GITHUB / "workflows" / "tests.yml")["jobs"]["core"]["strategy"]["matrix"]
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', section("project"))
    assert matrix["python"] == named
    systems = {entry["os"].split("-")[0] for entry in matrix["include"]} | {"ubuntu"}
    assert systems == {"ubuntu", "macos", "windows"}


def test_workflow_and_makefile_install_the_same_torch():
    line = re.search(r"^TORCH := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert load_yaml(GITHUB / "workflows" / "tests.yml")["env"]["TORCH"] == line.group(1)


def test_core_tests_have_all_packages_that_the_makefile_installs():
    steps = load_yaml(GITHUB / "workflows" / "tests.yml")["jobs"]["core"]["steps"]
    installed = " ".join(step["run"] for step in steps if "pip install" in step.get("run", ""))
    assert set(re.findall(r"-r (\S+)", installed)) == {p.name for p in ROOT.glob("require*.txt")}


def test_workflow_takes_the_newest_and_the_oldest_comfyui_of_the_readme():
    script = (GITHUB / "workflows" / "tests.yml").read_text(encoding="utf-8")
    taken = re.findall(r"--branch v([\d.]+)", script)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    oldest, newest = re.search(r"the tests run on ([\d.]+) and ([\d.]+)\.", readme).groups()
    assert taken == [newest, oldest]
    assert f'requires-comfyui = ">={oldest}"' in section("tool.comfy")


def test_hooks_run_the_tools_of_the_checkout():
    config = load_yaml(ROOT / ".pre-commit-config.yaml")
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "files"}
    assert all(hook["entry"].startswith(".venv/bin/python ") for hook in hooks)


@needs_git
def test_tracked_files_end_as_they_should_and_are_small():
    paths = [(name, ROOT / name) for name in tracked() if (ROOT / name).is_file()]
    assert [(name, bad) for name, path in paths if (bad := faults(name, path.read_bytes()))] == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.py", b"a = 1 \n", "blanks"),
        ("a.js", b"a;\r\n", "blanks"),
        ("a.py", b"a = 1", "one newline"),
        ("a.py", b"a = 1\n\n", "one newline"),
        ("a.png", bytes(LARGEST_BYTES + 1), "at most"),
    ],
)
def test_a_file_that_should_not_be_committed_is_reported(name, content, message):
    (fault,) = faults(name, content)
    assert message in fault


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.md", b"two  \nlines\n"), ("a.bin", b"\0 \n"), ("a.py", b""),
     ("tests/golden/a.json", b"{}")],
)  # fmt: skip
def test_meaningful_blanks_and_binary_files_are_unchanged(name, content):
    assert faults(name, content) == []


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


def test_a_folder_without_comfyui_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert find_hosts() == []
    assert str(tmp_path) in why_no_host()


def test_hosts_are_listed_for_the_makefile(checkout):
    command = [sys.executable, str(ROOT / "tests" / "comfy_hosts.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [str(checkout)]


def test_front_end_packages_are_distinguished_from_other_requirements():
    text = "torch\ncomfyui-frontend-package==1.2.3\ncomfyui_workflow_templates==4\nnumpy>=1\n"
    assert FRONT_END.findall(text) == [
        "comfyui-frontend-package==1.2.3",
        "comfyui_workflow_templates==4",
    ]
