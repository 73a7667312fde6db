"""The time that the pack adds to the start of the page."""

SCRIPT_MS = 150
BYTES = 300_000
OURS = "/extensions/animate_anyone/"


def share_of_ours(profile):
    """Return our scripts' share of the working time in a profile of the page."""
    frames = {node["id"]: node["callFrame"] for node in profile["nodes"]}
    at_work = [frames[node] for node in profile["samples"]]
    at_work = [frame for frame in at_work if frame["functionName"] not in ("(idle)", "(program)")]
    return sum(OURS in frame["url"] for frame in at_work) / len(at_work)


def test_our_scripts_take_little_of_the_pages_start(shared_page):
    comfy = shared_page
    session = comfy.page.context.new_cdp_session(comfy.page)
    # Processor time of the page's main thread, whatever else the machine does.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    session.send("Profiler.enable")
    session.send("Profiler.start")
    comfy.reload()
    comfy.page.wait_for_timeout(500)
    profile = session.send("Profiler.stop")["profile"]
    metrics = session.send("Performance.getMetrics")["metrics"]
    script = next(one["value"] for one in metrics if one["name"] == "ScriptDuration")
    files = comfy.evaluate(
        "(ours) => performance.getEntriesByType('resource')"
        ".filter((e) => e.name.includes(ours) && /[.](js|css)$/.test(e.name))"
        ".map((e) => [e.name, e.decodedBodySize])",
        OURS,
    )
    assert files
    assert sum(size for _, size in files) < BYTES
    assert 1000 * script * share_of_ours(profile) < SCRIPT_MS
