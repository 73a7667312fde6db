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
        script = next(one["value"] for one in metrics if one["name"] == "ScriptDuration")
        self.sizes = dict(self._page.evaluate(FILES, OURS))
        self.script_ms = 1000 * script * _share_of_ours(profile)
        self._session.detach()


def _share_of_ours(profile):
    """Return our scripts' share of the working time in a profile of the page."""
    frames = {node["id"]: node["callFrame"] for node in profile["nodes"]}
    at_work = [frames[node] for node in profile["samples"]]
    at_work = [frame for frame in at_work if frame["functionName"] not in ("(idle)", "(program)")]
    return sum(OURS in frame["url"] for frame in at_work) / len(at_work)
