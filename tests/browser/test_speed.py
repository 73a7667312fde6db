"""What the pack costs the page when it opens."""

SCRIPT_MS = 150
BYTES = 300_000
OURS = "/extensions/animate_anyone/"


def spent_ms(profile):
    """Return the processor time of our scripts in a profile of the page."""
    urls = {node["id"]: node["callFrame"]["url"] for node in profile["nodes"]}
    spent = zip(profile["samples"], profile["timeDeltas"], strict=True)
    return sum(delta for node, delta in spent if OURS in urls[node]) / 1000


def test_our_scripts_take_little_of_the_pages_start(open_page):
    comfy = open_page()
    session = comfy.page.context.new_cdp_session(comfy.page)
    session.send("Profiler.enable")
    session.send("Profiler.start")
    comfy.reload()
    comfy.page.wait_for_timeout(500)
    profile = session.send("Profiler.stop")["profile"]
    files = comfy.evaluate(
        "(ours) => performance.getEntriesByType('resource')"
        ".filter((e) => e.name.includes(ours) && /[.](js|css)$/.test(e.name))"
        ".map((e) => [e.name, e.decodedBodySize])",
        OURS,
    )
    assert files
    assert sum(size for _, size in files) < BYTES
    assert spent_ms(profile) < SCRIPT_MS
