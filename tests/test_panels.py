"""A new panel needs one file and one line in the entry file; then its node has the panel."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
ENTRY = "animate_anyone.js"
LINE = '  import("./{name}"),\n'
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="the page's scripts need Node.js to run")
# Stand-ins for ComfyUI's page modules: only what loading our files and creating a node needs.
PAGE = {
    "app.js": "export const app = { registerExtension: (one) => (globalThis.extension = one) };",
    "api.js": "export const api = { addEventListener() {}, removeEventListener() {} };",
}
PANEL = """
import { addPanel } from "./lib/host.js";

/** @type {import("./animate_anyone.js").Feature} */
export const feature = {
  nodes: { Wave: (node) => addPanel(node, "wave", node.picture, { height: 77 }) },
  widgets: { AA_WAVE: () => "a widget" },
};
"""
RUN = """
import "./extensions/pack/animate_anyone.js";
const panels = [];
const node = {
  comfyClass: "AnimateAnyone_Wave",
  picture: "its element",
  addDOMWidget: (name, type, element, options) => {
    panels.push([name, type, element, options.getMinHeight()]);
    return {};
  },
};
globalThis.extension.nodeCreated(node);
globalThis.extension.nodeCreated({ ...node, comfyClass: "Wave" });
const widgets = Object.keys(globalThis.extension.getCustomWidgets());
console.log(JSON.stringify({ panels, widgets }));
"""


def features(web):
    """Return the names of the files beside the entry that export a feature."""
    return sorted(
        file.name
        for file in web.glob("*.js")
        if re.search(r"^export const feature\b", file.read_text(encoding="utf-8"), re.M)
    )


def unlisted(web):
    """Return the faults of the list of features in the entry file, each with the correct line."""
    text = (web / ENTRY).read_text(encoding="utf-8")
    listed = re.findall(r'^  import\("\./([\w.]+)"\),$', text, re.M)
    for file in sorted({path.name for path in web.glob("*.js")} - {ENTRY}):
        if file not in features(web):
            yield f"web/{file} exports no `feature`; what panels share lies in a folder of web/."
        elif file not in listed:
            yield f"web/{file} is not listed: add {LINE.format(name=file).strip()} to web/{ENTRY}."


@pytest.fixture
def page(tmp_path):
    """Return a copy of web/ in the page's folder layout, with stand-ins for the page's modules."""
    web = tmp_path / "extensions/pack"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("docs"))
    (tmp_path / "scripts").mkdir()
    for name, text in PAGE.items():
        (tmp_path / "scripts" / name).write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.js").write_text(RUN)
    return web


def run(page):
    """Load the extension, create a node, and return its panels and the kinds of its widgets."""
    folder = page.parent.parent
    done = subprocess.run([NODE, "run.js"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def add_line(page, name):
    """Add a file to the list of features."""
    entry = page / ENTRY
    text = entry.read_text(encoding="utf-8")
    last = LINE.format(name="compare.js")
    assert last in text
    entry.write_text(text.replace(last, last + LINE.format(name=name)), encoding="utf-8")


def test_every_file_with_a_feature_is_listed():
    told = list(unlisted(WEB))
    assert not told, "\n".join(told)


def test_a_file_that_is_not_listed_is_reported_by_name(page):
    (page / "wave.js").write_text(PANEL)
    told = list(unlisted(page))
    assert told == [f'web/wave.js is not listed: add import("./wave.js"), to web/{ENTRY}.']
    add_line(page, "wave.js")
    assert not list(unlisted(page))


@needs_node
def test_one_file_and_one_line_give_a_node_its_panel(page):
    assert run(page) == {"panels": [], "widgets": ["AA_POSE_STAGE"]}
    (page / "wave.js").write_text(PANEL)
    add_line(page, "wave.js")
    assert run(page) == {
        "panels": [["wave", "AA_PANEL", "its element", 77]],
        "widgets": ["AA_POSE_STAGE", "AA_WAVE"],
    }
