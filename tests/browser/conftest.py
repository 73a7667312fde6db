"""The page of a real server in headless Chromium, as a user meets it."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

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
)
WAIT_MS = 180_000  # a busy machine needs many of them
# Without a graphics card each frame of an animation is painted anew: while a prompt ran, the page's
# pulsing sign took more than all else in the page. So an animation ends after its first round.
CALM = """
addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "*, ::before, ::after { animation-iteration-count: 1 !important; }";
  document.head.append(style);
});
"""
WORKFLOWS = REPOSITORY / "workflows"
# Kept where a run names a folder for them, else gone with the test's own.
PICTURES = os.environ.get("ANIMATE_ANYONE_PICTURES")


EVERY_HOST = "test_bundled_workflows.py"  # the tests for further hosts
RUN = "test_runs_and_shows_its_result"
EARLIER = "test_a_workflow_of_an_earlier_version_opens_and_runs"


def pytest_collection_modifyitems(config, items):
    """Mark the tests of this folder, leave out those of further hosts, and sort them by page.

    Beyond the first host only the bundled workflows are tried. To open a page takes longer than
    most tests, and only one is kept, so tests that use the same page follow each other.
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
    """Return what tests are sorted by: the host, the kind of page, and what is left on the page."""
    hosts, values = find_hosts(), item.callspec.params
    place = hosts.index(values["comfy_host"]) if values["comfy_host"] in hosts else 0
    own = item.get_closest_marker("own_page") is not None
    # A workflow and its earlier version are the same prompt: the second run is a cached one.
    runs = values["name"] if item.originalname in (RUN, EARLIER) else ""
    leaves_panel_open = item.path.name == "test_help.py"
    traces = (leaves_panel_open, "hub" in item.fixturenames)
    return place, own, values.get("nodes2", False), traces, runs


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
        """Wait for a prompt that is not the `newest` of before; return its entry in the history."""
        wait = self.server.patience()
        while not (new := self.newest() - before):
            wait.check("the prompt")
            self.page.wait_for_timeout(1000 * wait.pause)
        return self.server.get(f"/history/{new.pop()}").popitem()[1]

    def alerts(self):
        """Return the texts of the page's own visible messages."""
        return self.page.locator(".p-toast-message").all_inner_texts()

    def fit(self):
        """Bring the whole graph into view."""
        self.evaluate("() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")

    def picture(self, name, **options):
        """Keep a screenshot; return its file."""
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path, **options)
        return path

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


class Pages:
    """The open pages of one server; a test may take over one that an earlier test has left."""

    def __init__(self, chromium, server, pictures):
        """Begin without a page."""
        self.chromium, self.server, self.pictures = chromium, server, pictures
        self.kept = {}  # what a page was opened with -> a page that no test uses

    def open(self, *, nodes2, locale, size, newcomer):
        """Open ComfyUI in a new page."""
        chosen = {"Comfy.TutorialCompleted": not newcomer, "Comfy.VueNodes.Enabled": nodes2}
        chosen |= {"Comfy.Locale": locale, "Comfy.Workflow.Persist": False}
        chosen |= {"Comfy.VueNodes.AutoScaleLayout": False, "Comfy.ColorPalette": "dark"}
        # Less work for a page without a graphics card: what it draws, and fetches after each run.
        chosen |= {"LiteGraph.Canvas.MaximumFps": 20, "Comfy.Queue.MaxHistoryItems": 4}
        self.server.post("/settings", chosen)
        context = self.chromium.new_context(viewport={"width": size[0], "height": size[1]})
        context.route(
            lambda address: urlsplit(address).hostname not in ("127.0.0.1", None),
            lambda route: route.abort(),
        )
        context.add_init_script(CALM)
        comfy = ComfyPage(context.new_page(), self.server, self.pictures)
        comfy.page.set_default_timeout(WAIT_MS)
        comfy.page.goto(self.server.address)
        comfy.ready()
        return comfy

    def take(self, key):
        """Return a page that an earlier test has left, reset to a new state, or None."""
        comfy = self.kept.pop(key, None)
        if comfy is not None:
            comfy.page.set_default_timeout(WAIT_MS)
            comfy.page.mouse.move(0, 0)
            comfy.evaluate("() => window.app.graph.clear()")
            comfy.errors.clear()
        return comfy

    def leave(self, key, comfy):
        """Keep a page for later tests, and only this one: a page that nobody sees draws as well."""
        self.close()
        comfy.evaluate("() => window.app.graph.clear()")
        self.kept[key] = comfy

    def close(self):
        """Close the kept pages."""
        while self.kept:
            self.kept.popitem()[1].page.context.close()


@pytest.fixture(scope="session")
def pages(chromium, server, pictures):
    """Return the pages of this server."""
    pages = Pages(chromium, server, pictures)
    yield pages
    pages.close()


@contextmanager
def opener(pages):
    """Yield a function that opens ComfyUI in a page; pages are closed after the block."""
    used = []

    def open_one(
        *,
        nodes2=False,
        locale="en",
        size=(1600, 1000),
        newcomer=False,
        fresh=False,  # a page of its own, loaded now and closed afterwards
    ):
        options = {"nodes2": nodes2, "locale": locale, "size": size, "newcomer": newcomer}
        key = None if fresh else json.dumps(options)
        comfy = pages.take(key) if key else None
        if comfy is None:
            pages.close()
            comfy = pages.open(**options)
        used.append((key, comfy))
        return comfy

    try:
        yield open_one
    finally:
        for key, comfy in used:
            if key:
                pages.leave(key, comfy)
            else:
                comfy.page.context.close()


@pytest.fixture
def open_page(pages):
    """Return a function that opens ComfyUI, in a page that an earlier test left if there is one."""
    with opener(pages) as open_one:
        yield open_one


@pytest.fixture
def shared_page(open_page):
    """Return the usual page; each test loads a graph of its own."""
    return open_page()
