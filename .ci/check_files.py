"""Checks line ends, file ends and sizes of files that git tracks. Standard library only.

python .ci/check_files.py                check every tracked file
python .ci/check_files.py [--fix] FILES  check these files; with --fix correct line and file ends
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST_BYTES = 300_000  # git keeps every version of a file forever
LARGE = ("animate_anyone/weights/mini/", "tests/golden/")  # folders that may hold large files
UNCHANGED = ("tests/golden/",)  # written by another program; line ends are not checked
BLANKS_COUNT = (".md",)  # in Markdown two blanks at the end of a line break the line


def tracked(root: Path = ROOT) -> list[str]:
    """Return the files that git tracks, relative to the root, with slashes."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    return [name for name in run.stdout.decode().split("\0") if name]


def mended(text: bytes, name: str) -> bytes:
    """Return a text with Unix line ends, no blanks at line ends and one newline at its end.

    Binary files are returned unchanged.
    """
    if is_binary(text) or name.startswith(UNCHANGED):
        return text
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    if not name.endswith(BLANKS_COUNT):
        lines = [line.rstrip(b" \t") for line in lines]
    whole = b"\n".join(lines).rstrip(b"\n")
    return whole + b"\n" if whole else b""


def faults(name: str, content: bytes) -> list[str]:
    """Return the faults of a file as texts; an empty list if there is none."""
    found = []
    if len(content) > LARGEST_BYTES and not name.startswith(LARGE):
        found.append(
            f"has {len(content)} bytes; at most {LARGEST_BYTES} are allowed. Make it smaller, or "
            "add its folder to LARGE in .ci/check_files.py if it has to be in the repository"
        )
    if mended(content, name) != content:
        found.append(
            "has blanks or \\r at line ends, or does not end with one newline; "
            f"`python .ci/check_files.py --fix {name}` corrects it"
        )
    return found


def is_binary(content: bytes) -> bool:
    """Return whether this is a binary file by git's rule: a zero in the first 8,000 bytes."""
    return b"\0" in content[:8000]


def main(arguments: list[str]) -> int:
    """Check the named files, or all tracked ones; return the exit status."""
    fix = "--fix" in arguments
    bad = 0
    for name in [word for word in arguments if word != "--fix"] or tracked():
        path = ROOT / name
        if not path.is_file() or path.is_symlink():  # removed, or a submodule
            continue
        content = path.read_bytes()
        found = faults(name, content)
        if fix:
            path.write_bytes(mended(content, name))
        for fault in found:
            sys.stdout.write(f"{name} {fault}.\n")
        bad += bool(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
