"""The page of a real server in headless Chromium, as a user meets it."""

import json
import os
import sys
from pathlib import Path

import pytest
from page_start import Start

from bundled_runs import BROWSERS, ON_EVERY_PAGE, find_browser
from comfy_hosts import REPOSITORY, find_hosts

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No request leaves the machine. To look at each request here would cost more than to answer it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
WAIT_MS = 180_000  # a busy machine needs many of them
SETTLE_MS = 1000  # before a picture that is kept to be looked at: the view still moves
# Without a graphics card each frame of an animation is painted anew: while a prompt ran, the page's
# pulsing sign took more than all else in the page. So an animation ends after its first round,
# and while nobody looks the page draws five times a second.
CALM = """
addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "*, ::before, ::after { animation-iteration-count: 1 !important; }";
  document.head.append(style);
});
const { requestAnimationFrame: ask, cancelAnimationFrame: cancel } = window;
window.requestAnimationFrame = (draw) => (window.unseen
  ? -setTimeout(() => draw(performance.now()), 200) : ask(draw));
window.cancelAnimationFrame = (id) => (id < 0 ? clearTimeout(-id) : cancel(id));
"""
UNSEEN = """
(unseen) => {
  window.unseen = unseen;
  document.documentElement.style.opacity = unseen ? "0" : "";
}
"""
SET = "([name, value]) => window.app.extensionManager.setting.set(name, value)"
WORKFLOWS = REPOSITORY / "workflows"
# Where a run names a folder for them, pictures of the page are kept; otherwise only of failures.
PICTURES = os.environ.get("ANIMATE_ANYONE_PICTURES")


EVERY_HOST = "test_bundled_workflows.py"  # the tests for further hosts
TWIN = "test_opens_and_is_its_twin"
RUN = "test_runs_and_shows_its_result"
EARLIER = "test_a_workflow_of_an_earlier_version_opens_and_runs"
# What the marker `page` names. To open a page, or to load it anew, takes longer than most tests, so
# the kinds follow each other as one page can be turned into the next. Only a new one is a
# newcomer's; "tabs" need another one; another language is read when the page is loaded.
KINDS = ("newcomer", "usual", "tabs", "nodes 2.0", "another language")


def pytest_collection_modifyitems(config, items):
    """Mark the tests of this folder, leave out those of further hosts, and sort them by page.

    Beyond the first host only the bundled workflows are tried. Tests that use the same page follow
    each other.
    """
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.browser)
    left_out = [item for item in ours if not _is_tried(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    kept = iter(sorted((item for item in ours if _is_tried(item)), key=_page_of))
    items[:] = [next(kept) if item in ours else item for item in items if item not in left_out]


def _is_tried(item):
    values = item.callspec.params
    if values["comfy_host"] not in find_hosts()[1:]:
        return True
    if item.originalname == RUN:
        return values["name"] in ON_EVERY_PAGE
    return item.path.name == EVERY_HOST


def _page_of(item):
    """Return what tests are sorted by: the host, the kind of page, and what is run on it."""
    hosts, values = find_hosts(), item.callspec.params
    place = hosts.index(values["comfy_host"]) if values["comfy_host"] in hosts else 0
    marker = item.get_closest_marker("page")
    kind = marker.args[0] if marker else "nodes 2.0" if values.get("nodes2") else "usual"
    # A newcomer, a workflow and its earlier version run much the same prompt, of which ComfyUI
    # keeps results until the next one.
    order = {TWIN: 0, RUN: 1, EARLIER: 1}.get(item.originalname, 2)
    runs = (values["name"] != "first_run", values["name"]) if order == 1 else ()
    return place, KINDS.index(kind), order, runs, "hub" in item.fixturenames


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep a picture of each page on which a test has failed, and let no other test use it."""
    report = yield
    if report.failed and (pages := item.funcargs.get("pages")):
        for number, comfy in enumerate(pages.used):
            comfy.failed = True
            comfy.screenshot(f"failed_{item.originalname}_{number}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Close the pages after the last test of a page: they would draw what other tests run."""
    pages = item.funcargs.get("pages")
    result = yield
    if pages and (nextitem is None or Path(__file__).parent not in nextitem.path.parents):
        pages.close()
    return result


@pytest.fixture(scope="session", autouse=True)
def _on_every_host(comfy_host):
    """Let each test run on each ComfyUI."""


@pytest.fixture(scope="session")
def chromium():
    """Return a running Chromium; without one the test is skipped."""
    found = find_browser()
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


class ComfyPage:
    """A page with ComfyUI, and the actions of tests on it."""

    def __init__(self, page, server, pictures):
        """Wrap a page that is open already."""
        self.page, self.server, self.pictures = page, server, pictures
        self.timeout_error = sys.modules["playwright.sync_api"].TimeoutError
        self.errors = []  # error messages of our scripts
        self.failed = False
        self.start = None  # what the page's start took, once it is open
        page.on("pageerror", lambda error: self._note(error.stack or str(error)))
        page.on("console", lambda line: line.type == "error" and self._note(self._told(line)))

    def _told(self, line):
        return f"{line.text} ({line.location.get('url', '')})"

    def _note(self, text):
        if "animate_anyone" in text or "AnimateAnyone" in text:
            self.errors.append(text)

    def evaluate(self, script, value=None):
        """Return the result of a function in the page."""
        return self.page.evaluate(script, value)

    def wait(self, script, value=None, timeout=WAIT_MS):
        """Wait until a function in the page returns a true value."""
        return self.page.wait_for_function(script, arg=value, timeout=timeout)

    def ready(self):
        """Wait until the page can be used."""
        self.wait("() => window.app?.extensionManager && window.app?.graph")
        self.wait("() => Object.keys(LiteGraph.registered_node_types).length > 100")
        self.wait("() => document.getElementById('animate-anyone-style')")

    def reload(self):
        """Reload the page, as F5 does."""
        self.page.reload()
        self.ready()

    def load(self, name_or_graph):
        """Load a bundled workflow by name, or any graph, as the menu does."""
        graph, name = name_or_graph, "test"
        if isinstance(graph, str):
            name = graph
            graph = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
        self.evaluate("([g, n]) => window.app.loadGraphData(g, true, true, n)", [graph, name])
        self.page.wait_for_timeout(300)

    def prompt(self):
        """Return what the page would send to the server."""
        return self.evaluate("async () => (await window.app.graphToPrompt()).output")

    def kinds(self):
        """Return the types of the nodes in the graph that the page does not know."""
        return self.evaluate(
            "() => window.app.graph._nodes.map((n) => n.type)"
            ".filter((t) => !window.LiteGraph.registered_node_types[t])"
        )

    def queue(self):
        """Press Run; return the prompt's entry in the history when it has ended."""
        before = self.newest()
        self.evaluate("() => { window.app.queuePrompt(0); }")
        return self.ended(before)

    def newest(self):
        """Return the newest prompt of the history, alone in a set.

        The whole history holds every graph, and to send it again and again would keep the server
        from its work.
        """
        return set(self.server.get("/history", max_items=1))

    def ended(self, before):
        """Wait for a prompt that is not the `newest` of before; return its entry in the history.

        Meanwhile the page draws hardly, as one in the background does: without a graphics card the
        processor paints each step of progress, and nobody looks.
        """
        wait = self.server.patience()
        self.evaluate(UNSEEN, True)
        try:
            while not (new := self.newest() - before):
                wait.check("the prompt")
                self.page.wait_for_timeout(1000 * wait.pause)
        finally:
            self.evaluate(UNSEEN, False)
        return self.server.get(f"/history/{new.pop()}").popitem()[1]

    def alerts(self):
        """Return the texts of the page's own visible messages."""
        return self.page.locator(".p-toast-message").all_inner_texts()

    def fit(self):
        """Bring the whole graph into view."""
        self.evaluate("() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")

    def picture(self, name):
        """Keep a screenshot if a run asks for them: for the machine each is a fifth of a second."""
        if PICTURES:
            self.page.wait_for_timeout(SETTLE_MS)
            self.screenshot(name)

    def screenshot(self, name):
        """Keep a screenshot."""
        self.page.screenshot(path=self.pictures / f"{name}.png")

    def node(self, kind):
        """Return a handle of the first node of one of our kinds."""
        return self.page.evaluate_handle(
            "(kind) => window.app.graph._nodes.find((n) => n.type === `AnimateAnyone_${kind}`)",
            kind,
        )


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Return the folder for screenshots."""
    folder = Path(PICTURES) if PICTURES else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _settings(options):
    """Return the settings by which pages differ; they count when a page is loaded."""
    return {"Comfy.VueNodes.Enabled": options["nodes2"], "Comfy.Locale": options["locale"]}


class Pages:
    """The open pages of one server; a test may take over those that an earlier test has left."""

    def __init__(self, chromium, server, pictures):
        """Begin without a page."""
        self.chromium, self.server, self.pictures = chromium, server, pictures
        self.used, self.free = [], []  # by the test that runs; by none

    def take(self, options, size):
        """Return a page with these options, new or left by an earlier test."""
        if options["newcomer"] or not self.free:
            comfy = self._open(options, size)  # with the errors of its start, if there were any
        else:
            comfy = self.free.pop(0)
            comfy.errors.clear()
        self.used.append(comfy)
        comfy.page.set_default_timeout(WAIT_MS)
        comfy.page.set_viewport_size({"width": size[0], "height": size[1]})
        comfy.page.mouse.move(0, 0)
        comfy.evaluate("() => window.app.graph.clear()")
        settings = _settings(options)
        if _settings(comfy.options) != settings:
            self.server.post("/settings", settings)
            comfy.reload()
        comfy.options = options
        return comfy

    def leave(self):
        """Keep the pages of this test, and no other: a page that nobody sees draws as well."""
        used, self.used = self.used, []
        if used:
            self.close()
        for comfy in used:
            if comfy.failed:
                comfy.page.context.close()
                continue
            comfy.evaluate("() => window.app.graph.clear()")
            if comfy.options["newcomer"]:
                comfy.evaluate(SET, ["Comfy.TutorialCompleted", True])
                comfy.options = comfy.options | {"newcomer": False}
            self.free.append(comfy)

    def close(self):
        """Close the pages that no test uses."""
        while self.free:
            self.free.pop().page.context.close()

    def _open(self, options, size):
        """Open ComfyUI in a new page."""
        chosen = _settings(options) | {"Comfy.TutorialCompleted": not options["newcomer"]}
        chosen |= {"Comfy.Workflow.Persist": False, "Comfy.ColorPalette": "dark"}
        chosen |= {"Comfy.VueNodes.AutoScaleLayout": False}
        # Less work for a page without a graphics card: what it draws, and fetches after each run.
        chosen |= {"LiteGraph.Canvas.MaximumFps": 20, "Comfy.Queue.MaxHistoryItems": 4}
        self.server.post("/settings", chosen)
        context = self.chromium.new_context(viewport={"width": size[0], "height": size[1]})
        context.add_init_script(CALM)
        comfy = ComfyPage(context.new_page(), self.server, self.pictures)
        comfy.options = options
        comfy.page.set_default_timeout(WAIT_MS)
        start = Start(comfy.page)
        comfy.page.goto(self.server.address)
        comfy.ready()
        comfy.page.wait_for_timeout(500)
        start.end()
        comfy.start = start
        return comfy


@pytest.fixture(scope="session")
def pages(chromium, server, pictures):
    """Return the pages of this server."""
    pages = Pages(chromium, server, pictures)
    yield pages
    pages.close()


@pytest.fixture
def open_page(pages):
    """Return a function that opens ComfyUI, in a page that an earlier test left if there is one."""

    def open_one(*, nodes2=False, locale="en", size=(1600, 1000), newcomer=False):
        return pages.take({"nodes2": nodes2, "locale": locale, "newcomer": newcomer}, size)

    yield open_one
    pages.leave()


@pytest.fixture
def shared_page(open_page):
    """Return the usual page; each test loads a graph of its own."""
    return open_page()
