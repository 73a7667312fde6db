"""One test that dies or hangs in a child fails alone."""

import pytest

from in_child import Child

TESTS = """
import os, time

def test_good(): pass

def test_bad(): assert 1 == 2

def test_dies(): os._exit(3)

def test_between(): pass

def test_hangs(): time.sleep(600)

def test_last(): pass
"""
NAMES = ("good", "bad", "dies", "between", "hangs", "last")


@pytest.fixture(scope="module")
def told(tmp_path_factory, request):
    """Return outcome and text of each test, as the parent sees them."""
    folder = tmp_path_factory.mktemp("child")
    hooks = "from in_child import pytest_runtest_logfinish, pytest_runtest_logreport\n"
    hooks += "from in_child import pytest_runtest_logstart\n"
    (folder / "conftest.py").write_text(hooks)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_all.py").write_text(TESTS)
    nodeids = [f"test_all.py::test_{name}" for name in NAMES]
    path = str(request.config.rootpath / "tests")
    child = Child(nodeids, folder, {"PYTHONPATH": path}, stall_seconds=15)
    reports = {name: child.reports(nodeid) for name, nodeid in zip(NAMES, nodeids, strict=True)}
    return {
        name: next((r for r in of_one if r.failed), of_one[-1]) for name, of_one in reports.items()
    }


@pytest.mark.parametrize("name", ["good", "between", "last"])
def test_what_passes_passes_whatever_its_neighbours_do(told, name):
    assert told[name].passed


def test_a_failure_is_told_with_its_text(told):
    assert told["bad"].failed
    assert "assert 1 == 2" in told["bad"].longreprtext


def test_a_death_is_the_failure_of_the_test_that_died(told):
    assert told["dies"].failed
    assert "the child ended with 3" in told["dies"].longreprtext


def test_a_child_that_hangs_is_given_up(told):
    assert told["hangs"].failed
    assert "no test began or ended for 15 seconds" in told["hangs"].longreprtext
