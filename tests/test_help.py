"""Help pages and locales, as far as they can be judged without a host."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "web" / "docs"
LOCALES = ROOT / "locales"
LARGEST_BYTES = 2_500_000  # of all pages and pictures
LARGEST_PICTURE_BYTES = 60_000
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
WORKFLOW = re.compile(r"^(?:See also: the workflow|另见.+) `(\w+)`", re.M)
HEADINGS = {
    "en": ["## Inputs", "## Outputs", "## Errors"],
    "zh": ["## 输入", "## 输出", "## 可能的错误"],
}


def node_ids():
    """Return the ids of the nodes that the pack lists."""
    tree = ast.parse((ROOT / "nodes" / "__init__.py").read_text(encoding="utf-8"))
    (listed,) = (one.value for one in tree.body if isinstance(one, ast.AnnAssign))
    return [f"AnimateAnyone_{name.id.removesuffix('Node')}" for name in listed.elts]


def page(node_id, language):
    """Return the text of a help page."""
    return (DOCS / node_id / f"{language}.md").read_text(encoding="utf-8")


def test_every_node_has_a_folder_and_no_folder_is_left_over():
    assert sorted(folder.name for folder in DOCS.iterdir()) == sorted(node_ids())


@pytest.mark.parametrize("language", HEADINGS)
@pytest.mark.parametrize("node_id", node_ids())
def test_page_has_its_parts(node_id, language):
    lines = page(node_id, language).splitlines()
    assert lines[0].startswith("# ")
    assert len(lines[2]) > 15, "what the node does comes first"
    assert [line for line in lines if line in HEADINGS[language]] == HEADINGS[language]
    errors = lines[lines.index(HEADINGS[language][2]) :]
    assert any(line.startswith("- `") for line in errors)


@pytest.mark.parametrize("language", HEADINGS)
@pytest.mark.parametrize("node_id", node_ids())
def test_pictures_exist_and_are_small(node_id, language):
    shown = PICTURE.findall(page(node_id, language))
    assert shown, "a page shows its node at work"
    for path in shown:  # the page's address ends at docs/, whatever the node
        assert 0 < (DOCS / path).stat().st_size <= LARGEST_PICTURE_BYTES


@pytest.mark.parametrize("language", HEADINGS)
@pytest.mark.parametrize("node_id", node_ids())
def test_workflow_that_is_named_holds_the_node(node_id, language):
    for name in WORKFLOW.findall(page(node_id, language)):
        graph = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        assert node_id in {node["type"] for node in graph["nodes"]}


def test_pages_tell_what_the_nodes_say_of_corrections():
    told = 0
    for path in DOCS.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        errors = text[text.index(HEADINGS[path.stem][2]) :]
        if "| `corrections`" in text:
            told += 1
            for message in ("`corrections got …", "edits name frames or people that this clip …"):
                assert message in errors, path
    assert told == 4


@pytest.mark.parametrize(("language", "all_sets"), [("en", "each weight set"), ("zh", "每套权重")])
@pytest.mark.parametrize("node_id", ["AnimateAnyone_LoadModels", "AnimateAnyone_LoadDWPose"])
def test_loaders_show_the_files_of_one_set_alone(node_id, language, all_sets):
    assert all_sets not in page(node_id, language)


@pytest.mark.parametrize(("language", "word"), [("en", "weight"), ("zh", "权重")])
@pytest.mark.parametrize("node_id", ["AnimateAnyone_ContextWindows", "AnimateAnyone_Animate"])
def test_the_window_view_is_explained_with_its_weights(node_id, language, word):
    heading = {"en": "## Window view", "zh": "## 窗口视图"}[language]
    section = page(node_id, language).split(heading)[1].split("##")[0]
    assert word in section
    assert "`fusing`" in section


def test_no_picture_is_left_over_and_all_together_are_small():
    files = [path for path in DOCS.rglob("*") if path.is_file()]
    shown = {DOCS / path for one in node_ids() for path in PICTURE.findall(page(one, "en"))}
    assert {path for path in files if path.suffix != ".md"} == shown
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES


def test_locales_name_the_nodes_that_exist():
    for file in LOCALES.glob("*/nodeDefs.json"):
        assert list(json.loads(file.read_text(encoding="utf-8"))) == node_ids()


def test_chinese_is_chinese():
    text = (LOCALES / "zh" / "nodeDefs.json").read_text(encoding="utf-8")
    for node_id, node in json.loads(text).items():
        parts = [node["display_name"], node["description"]]
        parts += [one["tooltip"] for one in node["inputs"].values()]
        for part in parts:
            assert re.search(r"[\u4e00-\u9fff]", part), f"{node_id}: {part}"
