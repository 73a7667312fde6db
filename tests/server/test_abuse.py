"""A short form of the campaign on a server: hand-made prompts and odd requests, without a fault.

The whole one: python -m benchmarks.abuse --only prompts routes interrupts
"""

import pytest

from benchmarks.abuse.host import prompts, routes
from benchmarks.abuse.host.server import Served

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def served(server, base, comfy_host):
    return Served(comfy_host.version, server, base, 0)


def test_prompts_made_by_hand_are_no_fault(served):
    tally = prompts.each(served, 0, 10, names=("first_run",))
    assert tally.faults == []
    assert tally.tried == 10


def test_odd_requests_are_no_fault(served):
    tally = routes.each(served, 0, 30)
    assert tally.faults == []
    assert tally.tried == 31
