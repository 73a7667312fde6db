"""The time that the pack adds to the start of the page."""

SCRIPT_MS = 150
BYTES = 300_000


def test_our_scripts_take_little_of_the_pages_start(shared_page):
    start = shared_page.start
    assert start.sizes
    assert sum(start.sizes.values()) < BYTES
    assert start.script_ms < SCRIPT_MS
