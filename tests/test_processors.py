"""The command that runs the numeric tests with the arithmetic of several processors."""

import os
from itertools import combinations, product
from pathlib import Path

import pytest

import processors

ROOT = Path(__file__).resolve().parent.parent
PLAIN = {name: values[0] for name, values in processors.SETTINGS.items()}
ALONE = ["-o", "pythonpath=", "--noconftest"]


@pytest.fixture
def tests(tmp_path, monkeypatch):
    """Return a function that writes a file of tests, which need no plugin of pytest."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def write(text):
        path = tmp_path / "test_some.py"
        path.write_text(text)
        return [str(path)]

    return write


def test_every_two_settings_meet_in_few_combinations():
    chosen = processors.covering()
    for (one, ones), (other, others) in combinations(processors.SETTINGS.items(), 2):
        assert {(row[one], row[other]) for row in chosen} == set(product(ones, others))
    assert len(chosen) <= 12 < len(processors.every())


def test_the_first_combination_is_the_machine_itself():
    assert processors.covering()[0] == PLAIN


def test_the_numeric_tests_exist():
    assert all((ROOT / path).exists() for path in processors.NUMERIC)


def test_the_variables_reach_the_tests(tests, monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AVX2")  # variables that a combination leaves empty are unset
    text = "import os\n"
    for name, value in (("OMP_NUM_THREADS", "3"), ("MKL_CBWR", None)):
        text += f"def test_{name}(): assert os.environ.get({name!r}) == {value!r}\n"
    outcome = processors.try_one({**PLAIN, "OMP_NUM_THREADS": "3"}, tests(text), more=ALONE)
    assert (outcome.passed, outcome.good) == (2, True)


def test_a_failure_is_named_and_fails_the_combination(tests, capsys):
    outcome = processors.try_one(
        PLAIN, tests("def test_a(): pass\n\ndef test_b(): assert False\n"), more=ALONE
    )
    assert (outcome.passed, outcome.good) == (1, False)
    assert [name.rsplit("::")[-1] for name in outcome.failed] == ["test_b"]
    assert "assert False" in capsys.readouterr().out
    table = processors.table([processors.Outcome(PLAIN, passed=2), outcome]).splitlines()
    assert table[1].endswith("ok")
    assert table[2].endswith("FAILED")
    assert table[3].endswith("test_some.py::test_b: failed in line 2")


def test_a_combination_without_tests_fails(tests):
    outcome = processors.try_one(PLAIN, tests("x = 1\n"), more=ALONE)
    assert not outcome.good
    assert outcome.trouble == "pytest ended with 5"


@pytest.mark.slow
def test_a_test_that_hangs_is_named():
    outcome, (reader, writer) = processors.Outcome(PLAIN), os.pipe()
    with os.fdopen(reader, "rb") as source:
        os.write(writer, b"test_some.py::test_a[b c] PASSED [ 50%]\ntest_some.py::test_d ")
        processors._read_results(source, outcome, patience=1)
        os.close(writer)
    assert outcome.passed == 1
    assert outcome.trouble == "no progress for 1 s in test_some.py::test_d"


def test_a_combination_that_hangs_is_killed(tests, monkeypatch):
    def read_results(source, outcome, patience):
        outcome.trouble = "no progress"
        return ""

    monkeypatch.setattr(processors, "_read_results", read_results)
    outcome = processors.try_one(
        PLAIN, tests("import time\ndef test_a(): time.sleep(1e6)\n"), more=ALONE
    )  # without the kill this would never return
    assert not outcome.good


def test_one_bad_combination_makes_the_command_fail(monkeypatch, capsys):
    tried = []

    def try_one(chosen, paths, **_):
        tried.append(paths)
        failed = ["test_x"] if chosen["MKL_CBWR"] else []
        return processors.Outcome(chosen, passed=1, failed=failed)

    monkeypatch.setattr(processors, "try_one", try_one)
    assert processors.main(["tests/test_some.py"]) == 1
    assert len(tried) == len(processors.covering())
    assert set(map(tuple, tried)) == {("tests/test_some.py",)}
    assert "test_x: failed in line" in capsys.readouterr().out
    monkeypatch.setattr(processors, "SETTINGS", {"MKL_CBWR": ("",)})
    assert processors.main(["--all"]) == 0
