"""A test that dies or hangs in a child process fails; the other tests keep their results."""

import pytest

from in_child import STALL_SECONDS, Child

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
def results(tmp_path_factory, request):
    """Return outcome and text of each test as the parent process gets them."""
    folder = tmp_path_factory.mktemp("child")
    hooks = "from in_child import pytest_runtest_logfinish, pytest_runtest_logreport\n"
    hooks += "from in_child import pytest_runtest_logstart\n"
    (folder / "conftest.py").write_text(hooks)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_all.py").write_text(TESTS)
    nodeids = [f"test_all.py::test_{name}" for name in NAMES]
    path = str(request.config.rootpath / "tests")
    quick = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    child = Child(nodeids, folder, {"PYTHONPATH": path, **quick})
    reports = {}
    for name, nodeid in zip(NAMES, nodeids, strict=True):
        if name == "hangs":
            while child.begun != nodeid:  # only the hanging test itself has little time
                child.read()
        child.stall_seconds = 1 if name == "hangs" else STALL_SECONDS
        reports[name] = child.reports(nodeid)
    return {
        name: next((r for r in of_one if r.failed), of_one[-1]) for name, of_one in reports.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["good", "between", "last"])
def test_a_good_test_passes_whatever_other_tests_do(results, name):
    assert results[name].passed


def test_a_failure_is_reported_with_its_text(results):
    assert results["bad"].failed
    assert "assert 1 == 2" in results["bad"].longreprtext


def test_a_test_that_kills_the_child_fails(results):
    assert results["dies"].failed
    assert "the child ended with 3" in results["dies"].longreprtext


def test_a_child_that_hangs_is_killed(results):
    assert results["hangs"].failed
    assert "no test began or ended for 1 seconds" in results["hangs"].longreprtext
