"""The release check finds each fault in a repository that has only this fault."""

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import release_check
from release_check import findings

ROOT = Path(__file__).resolve().parent.parent
needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")
PYPROJECT = """\
[project]
name = "animate-anyone" # a comment
version = "1.2.0"
dependencies = [
    "numpy>=1.25.0",
]

[project.urls]
Repository = "https://github.com/somebody/animate-anyone"
"Bug Tracker" = "https://github.com/somebody/animate-anyone/issues"

[tool.comfy]
PublisherId = "somebody"
Icon = "https://raw.githubusercontent.com/somebody/animate-anyone/main/docs/registry/icon.png"
Banner = "https://raw.githubusercontent.com/somebody/animate-anyone/main/docs/registry/banner.png"
"""
CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.2.0] - 2026-11-30

### Added

- A node.

## [1.1.0] - 2026-11-01

- The first version.
"""


def git(folder, *command):
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", *who, *command], cwd=folder, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", width, height)


@pytest.fixture
def ready(tmp_path):
    """Return a repository that is ready for release."""
    files = {
        "pyproject.toml": PYPROJECT,
        "CHANGELOG.md": CHANGELOG,
        ".comfyignore": (ROOT / ".comfyignore").read_text(encoding="utf-8"),
        "animate_anyone/__init__.py": '"""The core."""\nmodel = model.eval()\n',
        **{f"{folder}file.json": "{}" for folder in release_check.NEEDED if folder[-1] == "/"},
        **{f"{folder}file.py": "eval('1')" for folder in release_check.SURPLUS},
        **dict.fromkeys(("__init__.py", "requirements.txt", "README.md", "LICENSE"), ""),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "registry").mkdir()
    (tmp_path / "docs" / "registry" / "icon.png").write_bytes(png(400, 400))
    (tmp_path / "docs" / "registry" / "banner.png").write_bytes(png(1260, 540))
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "more")


def changed(folder, name, old, new):
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    commit(folder)


def rows(folder):
    return [row for found in findings(folder).values() for row in found]


def test_a_finished_repository_has_no_findings(ready):
    assert findings(ready) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("pyproject.toml", 'PublisherId = "somebody"', 'PublisherId = ""', "PublisherId"),
        ("pyproject.toml", "Repository = ", "# Repository = ", "Repository"),
        ("pyproject.toml", "somebody/animate-anyone\"\n\"", "OWNER/NAME\"\n\"", '"OWNER"'),
        ("pyproject.toml", "registry/icon.png", "icon.png", "Icon"),
        ("pyproject.toml", 'Banner = "https://raw.', 'Banner = "http://raw.', "Banner"),
        ("pyproject.toml", '"animate-anyone"', '"comfyui-animate-anyone"', "name got"),
        ("pyproject.toml", '"animate-anyone"', '"2d-anyone"', "name got"),
        ("pyproject.toml", '"animate-anyone"', '"animate--anyone"', "name got"),
        ("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- One.\n- Two.\n", "has 2 entries"),
        ("CHANGELOG.md", "## [Unreleased]\n", "", "no section"),
        ("CHANGELOG.md", " - 2026-11-01", "", "1.1.0 in CHANGELOG.md has no date"),
        ("CHANGELOG.md", "## [1.2.0] - 2026-11-30\n", "", "has 1 entries"),
        ("CHANGELOG.md", "### Added\n\n- A node.\n", "", "says nothing about 1.2.0"),
        (".comfyignore", "/docs/", "docs/\nlocales/", "leaves out locales/file.json"),
        (".comfyignore", "/tests/", "", "tests/ would be in the archive"),
    ],
)  # fmt: skip
def test_a_missing_entry_is_reported(ready, file, old, new, message):
    changed(ready, file, old, new)
    assert any(message in row for row in rows(ready))


def test_a_version_without_its_heading_is_reported(ready):
    changed(ready, "pyproject.toml", 'version = "1.2.0"', 'version = "1.3.0"')
    assert rows(ready) == [
        "the newest version in CHANGELOG.md is 1.2.0, but pyproject.toml has 1.3.0; make them equal"
    ]


def test_a_version_has_three_numbers(ready):
    changed(ready, "pyproject.toml", 'version = "1.2.0"', 'version = "1.2"')
    assert any("three numbers" in row for row in rows(ready))


def test_an_uncommitted_file_is_reported(ready):
    (ready / "nodes" / "more.py").touch()
    assert rows(ready) == ["1 files are changed or new and not committed; commit or remove them"]


def test_a_tag_is_reported_only_at_another_commit(ready):
    git(ready, "tag", "v1.2.0")
    assert findings(ready) == {}
    changed(ready, "README.md", "", "more")
    (row,) = rows(ready)
    assert "tag v1.2.0 exists" in row


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [("icon.png", (400, 300), "a square"), ("icon.png", (512, 512), "at most 400"),
     ("banner.png", (1280, 720), "21:9")],
)  # fmt: skip
def test_pictures_of_another_shape_are_reported(ready, name, size, message):
    (ready / "docs" / "registry" / name).write_bytes(png(*size))
    commit(ready)
    assert any(message in row for row in rows(ready))


def test_a_missing_picture_is_reported(ready):
    (ready / "docs" / "registry" / "icon.png").unlink()
    commit(ready)
    (row,) = rows(ready)
    assert "draws both" in row


def test_large_files_are_reported(ready, monkeypatch):
    (ready / "web" / "film.mp4").write_bytes(bytes(2000))
    commit(ready)
    monkeypatch.setattr(release_check, "LARGEST_FILE_BYTES", 1999)
    (row,) = rows(ready)
    assert row.startswith("web/film.mp4 has 2,000 bytes")
    monkeypatch.setattr(release_check, "ARCHIVE_BYTES", 1999)
    assert any(row.startswith("the archive holds") for row in rows(ready))


@pytest.mark.parametrize(
    ("line", "message"),
    [("exec('1')", "calls exec"), ("import subprocess", "imports subprocess or pip"),
     ("from pip._internal import main", "imports subprocess or pip")],
)  # fmt: skip
def test_calls_that_the_registry_forbids_are_reported(ready, line, message):
    (ready / "nodes" / "more.py").write_text(line)
    commit(ready)
    (row,) = rows(ready)
    assert row.startswith("nodes/more.py")
    assert message in row


def test_the_version_is_compared_with_the_one_before_the_push(ready):
    before = git(ready, "rev-parse", "HEAD")
    changed(ready, "README.md", "", "more")
    assert not release_check.version_changed(ready, before)
    changed(ready, "pyproject.toml", 'version = "1.2.0"', 'version = "1.3.0"')
    assert release_check.version_changed(ready, before)
    assert release_check.version_changed(ready, "")
    assert not release_check.version_changed(ready, "0" * 40)


def test_settings_are_read_as_tomllib_reads_them():
    tomllib = pytest.importorskip("tomllib", reason="tomllib needs Python 3.11")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    whole = tomllib.loads(text)
    for section, entries in release_check.parse(text).items():
        part = whole
        for key in section.split("."):
            part = part[key]
        assert entries.items() <= part.items()
    assert set(release_check.parse(text)["tool.comfy"]) == set(whole["tool"]["comfy"])


@needs_git
def test_this_repository_lacks_only_facts_of_its_owner_or_of_a_release():
    allowed = re.compile(
        r"(PublisherId|Repository|Icon|Banner) in \[|.* entries under \[Unreleased\]"
        r"|\d+ files are changed|the tag v"
    )
    assert [row for row in rows(ROOT) if not allowed.match(row)] == []


@pytest.mark.slow
@needs_git
def test_the_command_fails_while_something_is_missing():
    run = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "release_check.py")],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert run.returncode == (0 if "This version is ready for release" in run.stdout else 1)
    assert all(f"  - {row}.\n" in run.stdout for row in release_check.owner_facts(ROOT))
