"""What the start of a page took, and how much of it was ours."""

OURS = "/extensions/animate_anyone/"
FILES = """
(ours) => performance.getEntriesByType('resource')
  .filter((e) => e.name.includes(ours) && /[.](js|css)$/.test(e.name))
  .map((e) => [e.name, e.decodedBodySize])
"""


class Start:
    """The start of a page, measured from now on."""

    def __init__(self, page):
        """Begin before the page is loaded."""
        self._page = page
        self._session = page.context.new_cdp_session(page)
        # Processor time of the page's main thread, whatever else the machine does.
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._session.send("Profiler.enable")
        self._session.send("Profiler.start")

    def end(self):
        """Stop measuring; set `sizes`, bytes of our files, and `script_ms`, the work of ours."""
        profile = self._session.send("Profiler.stop")["profile"]
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        # Not ScriptDuration: it leaves out what runs after an await, as all of an extension does.
        busy = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
        self.sizes = dict(self._page.evaluate(FILES, OURS))
        self.script_ms = 1000 * busy * _share_of_ours(profile)
        self._session.detach()


def _share_of_ours(profile):
    """Return our scripts' share of the time in which the page was at work, in a profile of it."""
    frames = {node["id"]: node["callFrame"] for node in profile["nodes"]}
    at_work = [frames[node] for node in profile["samples"]]
    at_work = [frame for frame in at_work if frame["functionName"] != "(idle)"]
    return sum(OURS in frame["url"] for frame in at_work) / len(at_work)
