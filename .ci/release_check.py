"""Lists what must be corrected before a release. Standard library only.

python .ci/release_check.py                        print the list; exit status 1 unless it is empty
python .ci/release_check.py --changed-since COMMIT print whether the version has changed, for CI
"""

import ast
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The registry documents no size limits. These are our own, so that a download stays short.
LARGEST_FILE_BYTES = 20_000_000
ARCHIVE_BYTES = 60_000_000
ICON_PX = 400
BANNER_SHAPE = 21 / 9

# Files and folders whose tracked files must all be in the archive, and folders that must not be.
NEEDED = (
    "__init__.py", "animate_anyone/", "nodes/", "web/", "locales/", "workflows/",
    "pyproject.toml", "requirements.txt", "README.md", "LICENSE",
)  # fmt: skip
SURPLUS = (".ci/", ".github/", "benchmarks/", "docs/", "tests/")

NAME = re.compile(r"[A-Za-z](?:[-_.]?[A-Za-z0-9])*")  # the registry's rule
VERSION = re.compile(r"\d+\.\d+\.\d+")
HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?[ \t]*$", re.MULTILINE)
NO_COMMIT = re.compile("0*")  # GitHub's value for "no commit before"


def settings(root: Path) -> dict[str, dict[str, str]]:
    """Return the strings of pyproject.toml by section and key (tomllib needs Python 3.11)."""
    return parse((root / "pyproject.toml").read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return the lines `key = "string"` of a TOML file, by section; other values are left out."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        if heading := re.match(r"\[([^\[\]]+)\]\s*(?:#.*)?$", line):
            section = heading[1].strip()
        elif entry := re.match(r'"?([\w.-]+)"?\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$', line):
            found.setdefault(section, {})[entry[1]] = entry[2]
    return found


def owner_facts(root: Path) -> Iterator[str]:
    """Yield what only the owner of the repository can fill in."""
    have = settings(root)
    comfy, urls = have.get("tool.comfy", {}), have.get("project.urls", {})
    if not comfy.get("PublisherId"):
        yield (
            "PublisherId in [tool.comfy] is empty; create a publisher on the registry's page and "
            "write the id shown after the @ there. It cannot be changed later"
        )
    if not re.match(r"https://github\.com/[^/]+/[^/]+$", urls.get("Repository", "")):
        yield (
            "Repository in [project.urls] is missing; the registry needs the repository's address, "
            'Repository = "https://github.com/OWNER/NAME"'
        )
    for key, file in (("Icon", "icon.png"), ("Banner", "banner.png")):
        if not re.match(r"https://[^/]+/.+/docs/registry/" + re.escape(file), comfy.get(key, "")):
            yield (
                f"{key} in [tool.comfy] is empty or another file; write the public address of "
                f"docs/registry/{file}, which exists once the repository is public"
            )
    if "OWNER" in "".join((*comfy.values(), *urls.values())):
        yield 'pyproject.toml still has "OWNER" in an address; write the account\'s name'


def names_and_pictures(root: Path) -> Iterator[str]:
    """Yield what the registry would refuse in name, version and pictures."""
    project = settings(root).get("project", {})
    name, version = project.get("name", ""), project.get("version", "")
    if not NAME.fullmatch(name) or len(name) >= 100 or "comfyui" in name.lower():
        yield (
            f"name got {name!r}; it must have fewer than 100 characters, start with a letter, hold "
            'only letters, digits and single - _ . between them, and not hold "ComfyUI"'
        )
    if not VERSION.fullmatch(version):
        yield f"version got {version!r}; it must be three numbers, as in 1.2.0"
    folder = root / "docs" / "registry"
    icon, banner = png_size(folder / "icon.png"), png_size(folder / "banner.png")
    if not icon or not banner:
        yield (
            "docs/registry/icon.png or banner.png is missing or not a PNG file; "
            "`python docs/registry/draw.py` draws both"
        )
    if icon and (icon[0] != icon[1] or icon[0] > ICON_PX):
        yield (
            f"docs/registry/icon.png has {icon[0]}x{icon[1]} pixels; it must be a square of at "
            f"most {ICON_PX}"
        )
    if banner and abs(banner[0] / banner[1] / BANNER_SHAPE - 1) > 0.01:
        yield f"docs/registry/banner.png has {banner[0]}x{banner[1]} pixels; it must be 21:9"


def changelog(root: Path) -> Iterator[str]:
    """Yield where CHANGELOG.md and the version disagree."""
    version = settings(root).get("project", {}).get("version", "")
    sections = changelog_sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    released = [heading for heading in sections if heading != "Unreleased"]
    if "Unreleased" not in sections:
        yield "CHANGELOG.md has no section [Unreleased]; later changes need one"
    elif sections["Unreleased"][1]:
        count = len(re.findall(r"^- ", sections["Unreleased"][1], re.MULTILINE))
        yield (
            f"CHANGELOG.md has {count} entries under [Unreleased]; move them below a heading with "
            "the new version and today's date, and raise version in pyproject.toml"
        )
    if not released or released[0] != version:
        newest = released[0] if released else "none"
        yield (
            f"the newest version in CHANGELOG.md is {newest}, but pyproject.toml has {version}; "
            "make them equal"
        )
    elif not sections[version][1]:
        yield f"CHANGELOG.md says nothing about {version}"
    for heading in released:
        if not sections[heading][0]:
            yield (
                f"the heading of {heading} in CHANGELOG.md has no date; write it like "
                '"## [1.2.0] - 2026-01-31"'
            )


def changelog_sections(text: str) -> dict[str, tuple[str, str]]:
    """Return (date, text) of each section by version, newest first; the date may be empty."""
    parts = HEADING.split(text)[1:]
    return {
        version: (date or "", body.strip())
        for version, date, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def repository(root: Path) -> Iterator[str]:
    """Yield uncommitted files, and a tag of this version at another commit."""
    version = settings(root).get("project", {}).get("version", "")
    changes = lines(root, "status", "--porcelain")
    if changes:
        yield f"{len(changes)} files are changed or new and not committed; commit or remove them"
    tagged = lines(root, "rev-list", "-n", "1", f"v{version}", "--", check=False)
    if tagged and tagged != lines(root, "rev-parse", "HEAD"):
        yield (
            f"the tag v{version} exists at another commit: this version is already released. "
            "Raise version in pyproject.toml and CHANGELOG.md"
        )


def archive(root: Path) -> Iterator[str]:
    """Yield what is wrong with the files that the registry would get."""
    files = archived(root)
    tracked = lines(root, "ls-files")
    for name in NEEDED:
        wanted = [file for file in tracked if belongs(file, name)]
        lost = [file for file in wanted if file not in files]
        if lost or not wanted:
            yield f".comfyignore leaves out {lost[0] if lost else name}, which the pack needs"
    for folder in SURPLUS:
        if any(belongs(file, folder) for file in files):
            yield f"{folder} would be in the archive; add /{folder} to .comfyignore"
    sizes = {file: (root / file).stat().st_size for file in files if (root / file).is_file()}
    for file, size in sizes.items():
        if size > LARGEST_FILE_BYTES:
            yield f"{file} has {size:,} bytes; at most {LARGEST_FILE_BYTES:,} in one file"
    if sum(sizes.values()) > ARCHIVE_BYTES:
        yield f"the archive holds {sum(sizes.values()):,} bytes; at most {ARCHIVE_BYTES:,}"
    for file in sorted(files):
        if file.endswith(".py"):
            yield from forbidden(file, (root / file).read_text(encoding="utf-8"))


def archived(root: Path) -> set[str]:
    """Return the files that the registry would get: tracked, and not listed in .comfyignore."""
    left_out = lines(root, "ls-files", "--cached", "--ignored", "--exclude-from=.comfyignore")
    return set(lines(root, "ls-files")) - set(left_out)


def forbidden(file: str, source: str) -> Iterator[str]:
    """Yield where a source file does what the registry's standards forbid: eval, exec, pip."""
    for node in ast.walk(ast.parse(source)):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in ("eval", "exec"):
            yield f"{file}:{called.lineno} calls {called.id}, which the registry forbids"
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.split(".")[0] in ("subprocess", "pip") for name in names):
            yield f"{file} imports subprocess or pip; the registry refuses packs that run pip"


def belongs(file: str, name: str) -> bool:
    """Return whether a file is `name`, or lies in it if `name` ends with a slash."""
    return file.startswith(name) if name.endswith("/") else file == name


def png_size(path: Path) -> tuple[int, int] | None:
    """Return width and height in pixels, or None if this is not a PNG file."""
    head = path.read_bytes()[:24] if path.is_file() else b""
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def lines(root: Path, *command: str, check: bool = True) -> list[str]:
    """Return what git prints, line by line."""
    run = subprocess.run(
        ["git", "-c", "core.quotePath=off", *command],
        cwd=root, capture_output=True, encoding="utf-8", check=check,
    )  # fmt: skip
    return run.stdout.splitlines() if run.returncode == 0 else []


def version_changed(root: Path, before: str) -> bool:
    """Return whether the version differs from the version at a commit.

    It is True without a commit: the workflow was then started by hand. It is False for a row of
    zeros: a branch was then pushed for the first time, which is not a release.
    """
    if not before:
        return True
    old = [] if NO_COMMIT.fullmatch(before) else lines(root, "show", f"{before}:pyproject.toml")
    then = parse("\n".join(old)).get("project", {}).get("version")
    return bool(old) and then != settings(root).get("project", {}).get("version")


def findings(root: Path = ROOT) -> dict[str, list[str]]:
    """Return what must be corrected before a release, by heading."""
    checks = {
        "Facts of the owner, in pyproject.toml": owner_facts,
        "Name, version and pictures": names_and_pictures,
        "CHANGELOG.md": changelog,
        "Repository": repository,
        "Archive for the registry": archive,
    }
    return {title: found for title, check in checks.items() if (found := list(check(root)))}


def main(arguments: list[str]) -> int:
    """Run the check; return the exit status."""
    if arguments[:1] == ["--changed-since"]:
        changed = version_changed(ROOT, "".join(arguments[1:]))
        sys.stdout.write(f"changed={str(changed).lower()}\n")
        return 0
    found = findings()
    for title, rows in found.items():
        sys.stdout.write(f"{title}\n" + "".join(f"  - {row}.\n" for row in rows))
    if not found:
        sys.stdout.write(
            "This version is ready for release. Push it to main: the workflow `publish` uploads it "
            "if the repository has the secret REGISTRY_ACCESS_TOKEN. Then tag the commit.\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
