"""Tests over HTTP alone."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _on_every_host(comfy_host):
    """Let each test run on each ComfyUI."""


@pytest.fixture(scope="session")
def base(server_base):
    """Return the server's base folder."""
    return server_base
