"""Every kind of file that people bring is read as its case says, or refused by name."""

import re
from pathlib import Path

import pytest
from PIL import features

from animate_anyone.errors import InputError
from benchmarks.brought.case import REFUSED, RIGHT, WRONG, Case, MismatchError, tried
from benchmarks.brought.table import GROUPS

CASES = [case for cases in GROUPS.values() for case in cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_right_or_refused(case, tmp_path):
    if "AVIF" in case.name and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    outcome = tried(case, tmp_path)
    assert outcome.kind == (RIGHT if case.refusal is None else REFUSED), outcome.seen


def test_the_table_in_docs_lists_every_case():
    """Make it again after a change: python -m benchmarks.brought --out docs/what-people-bring.md"""
    table = (Path(__file__).parents[3] / "docs/what-people-bring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \| .* \| (right|refused) \| ", table, re.MULTILINE)
    assert [name for name, _ in rows] == [case.name for case in CASES]


def test_names_are_unique():
    assert len({case.name for case in CASES}) == len(CASES)


def raising(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    ("refusal", "read", "kind"),
    [
        (None, lambda path: "fine", RIGHT),
        (None, raising(MismatchError("red is green")), WRONG),
        (None, raising(InputError("no")), WRONG),  # it should have been read
        ("no video", raising(InputError("it holds no video")), REFUSED),
        ("no video", raising(InputError("something is wrong")), WRONG),  # does not say what
        ("no video", lambda path: "fine", WRONG),  # should have been refused
    ],
)
def test_the_judgement(refusal, read, kind, tmp_path):
    case = Case(name="a", expected="b", make=lambda folder: folder, read=read, refusal=refusal)
    assert tried(case, tmp_path).kind == kind
