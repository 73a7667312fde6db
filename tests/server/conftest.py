"""Tests over HTTP alone."""

import pytest


@pytest.fixture(scope="session")
def base(server_base):
    """Return the server's base folder."""
    return server_base
