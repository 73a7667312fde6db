"""Shared by all tests: seeds, threads, ComfyUI hosts, parallel workers, and a summary by ring."""

import gc
import os
import random
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from comfy_hosts import ComfyHost, find_hosts, why_no_host

pytest_plugins = ["argument_order", "comfy_server"]
HOSTS = find_hosts()
WORKER = "PYTEST_XDIST_WORKER" in os.environ
GOLDEN = Path(__file__).parent / "golden"
RINGS = {
    1: "core (no ComfyUI, no network, no GPU)",
    2: "nodes in process",
    3: "headless server",
    4: "browser",
}
RING_FOLDERS = {"nodes": 2, "server": 3, "browser": 4}
MANY_MODULES = 300
_kept = {"modules": 0}  # how many there were when the garbage collector last was told

settings.register_profile("short", max_examples=60, deadline=None, derandomize=True)
settings.register_profile("quick", max_examples=20, deadline=None, derandomize=True)
settings.load_profile("short")


def pytest_configure(config):
    """Set the number of threads; the parent of parallel workers runs no test and needs no torch."""
    if "OMP_NUM_THREADS" in os.environ or not (WORKER or config.getoption("dist", "no") == "no"):
        return
    import torch

    if WORKER:  # one worker per core: more threads would only compete
        os.environ["OMP_NUM_THREADS"] = "1"  # also for the processes that tests start
        torch.set_num_threads(1)
    else:
        torch.set_num_threads(min(4, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def seed():
    """Start every test from the same random state.

    Without a graphics card `torch.manual_seed` formats the stack for each kind of card that might
    still be found, which takes 1 ms.
    """
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    if torch.cuda.is_available():
        torch.manual_seed(0)
    else:
        torch.default_generator.manual_seed(0)


@pytest.fixture
def small_disk():
    """Return a context manager that limits the size of files in bytes, as on a full disk.

    Use it only around the writer: the limit holds for the file of pytest's own output too.
    """
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of files")

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture(scope="session")
def golden():
    """Return the folder with numbers that the public implementation computed."""
    return GOLDEN


@pytest.fixture(
    scope="session",
    params=HOSTS or [None],
    ids=lambda host: host.version if host else "no host",
)
def comfy_host(request) -> ComfyHost:
    """Run the test once for each ComfyUI that was found; skip it if none was found."""
    if request.param is None:
        pytest.skip(why_no_host())
    return request.param


def pytest_make_parametrize_id(val, argname):
    """Name a long text by its length: names of tests go from process to process many times."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > 100 else None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items):
    """Assign tests to groups, each of which runs in one worker, and put long tests first.

    A group is all tests of one ComfyUI, or all tests of a file, which share fixtures.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group_of(item)))
    result = yield  # pytest itself sorts too, by fixtures
    if WORKER:
        items.sort(key=_place)
    return result


def pytest_collection_finish():
    """Let Python's garbage collector look less often, and never at what is imported by now."""
    gc.set_threshold(20_000, 20, 20)
    _keep_what_is_imported()


def pytest_runtest_teardown():
    """Do the same after a test that was the first to import a large package."""
    if len(sys.modules) > _kept["modules"] + MANY_MODULES:
        _keep_what_is_imported()


def _keep_what_is_imported():
    """Leave all objects out of later garbage collections.

    torch and its relatives are a million objects, and to look at all of them takes 0.3 s each time.
    """
    gc.collect()
    gc.freeze()
    _kept["modules"] = len(sys.modules)


def host_of(item) -> ComfyHost | None:
    """Return the ComfyUI that a test runs on; None for tests that need none."""
    return item.callspec.params.get("comfy_host") if hasattr(item, "callspec") else None


def _place(item) -> tuple[int, ...]:
    """Return the place of a test in the run, for workers that take group after group.

    One worker begins with the pages of the first host. Another needs longer for the nodes on all
    hosts and the core's long files, so that no two browsers run beside each other, which is slow.
    Then come the server and the pages of the next host; the core's other files, which are short,
    fill both workers up to the end.
    """
    host, ring = host_of(item), ring_of(item.nodeid)
    if host is None:
        return (2,) if item.get_closest_marker("slow") else (4,)
    number = HOSTS.index(host)
    if ring == 2:
        return 1, number
    return 3 if number else 0, number, ring if number else -ring


def _group_of(item) -> str:
    host = host_of(item)
    if host is None:
        return str(item.path.relative_to(Path(__file__).parent).as_posix())
    return f"{'nodes' if ring_of(item.nodeid) == 2 else 'server'} {host.version}"


def pytest_runtest_setup(item):
    """Skip what this machine cannot run."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
    if any(map(item.get_closest_marker, ("host", "server", "browser"))) and not HOSTS:
        pytest.skip(why_no_host())


def pytest_terminal_summary(terminalreporter, config):
    """Print the number of tests by ring, and a warning for each ring that did not run."""
    everything = config.args_source is not pytest.Config.ArgsSource.ARGS
    counts, reasons = _by_ring(terminalreporter.stats)
    terminalreporter.section("rings")
    for line in [f"host: ComfyUI {host.version}, {host.path}" for host in HOSTS] or [why_no_host()]:
        terminalreporter.line(line)
    for ring, title in RINGS.items():
        count = counts[ring]
        if not (everything or count.total()):
            continue
        line = f"ring {ring} {title}: {count['passed']} passed, {count['failed']} failed"
        line += f", {count['error']} errors, {count['skipped']} skipped"
        terminalreporter.line(line, red=bool(count["failed"] + count["error"]))
        if count["passed"] + count["failed"] + count["error"] == 0:
            why = "; ".join(reasons[ring]) or "it has no tests"
            terminalreporter.line(f"!!! RING {ring} DID NOT RUN: {why}", yellow=True, bold=True)


def _by_ring(stats):
    counts = {ring: Counter() for ring in RINGS}
    reasons = {ring: {} for ring in RINGS}  # a dict keeps the order and removes duplicates
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, []):
            ring = ring_of(report.nodeid)
            counts[ring][outcome] += 1
            if outcome == "skipped":
                reasons[ring][_reason(report)] = None
    return counts, reasons


def ring_of(nodeid):
    """Return the ring of a test, which depends on its folder."""
    parts = Path(nodeid.split("::")[0]).parts
    return next((RING_FOLDERS[part] for part in parts if part in RING_FOLDERS), 1)


def _reason(report):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
