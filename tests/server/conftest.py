"""Tests over HTTP alone."""

from pathlib import Path

import pytest

from bundled_runs import page_can_run

# What the tests without a name run.
ONLY = {
    "test_the_workflow_shows_that_training_helps": "fine_tune",
    "test_a_newcomer_needs_five_clicks_at_most": "first_run",
}
HERE = Path(__file__).parent
RUNS = ("test_workflow_returns_its_video", "test_the_workflow_shows_that_training_helps")
IN_PAGE = ("test_runs_and_shows_its_result", "test_a_newcomer_needs_five_clicks_at_most")


@pytest.hookimpl(trylast=True)  # after other choices of tests
def pytest_collection_modifyitems(config, items):
    """Leave out a bundled workflow if the page runs it on the same host in this session."""
    in_page = {_subject(item) for item in items if item.name.startswith(IN_PAGE)}
    left_out = [
        item
        for item in items
        if HERE in item.path.parents and item.originalname in RUNS and _subject(item) in in_page
    ]
    if left_out and page_can_run():
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _subject(item):
    values = item.callspec.params
    return values["comfy_host"], values.get("name", ONLY.get(item.originalname))


@pytest.fixture(scope="session", autouse=True)
def _on_every_host(comfy_host):
    """Let each test run on each ComfyUI."""


@pytest.fixture(scope="session")
def base(server_base):
    """Return the server's base folder."""
    return server_base
