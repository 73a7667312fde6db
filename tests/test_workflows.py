"""Every bundled workflow and its API file are the same graph."""

import ast
import json
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / "workflows"
NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
NOTES = {"MarkdownNote"}  # exist only in the page, not in a prompt
THUMBNAIL_BYTES = 60_000
AFTER_SEED = {
    "fixed",
    "randomize",
    "increment",
    "decrement",
}  # browser only


def read(name, folder=WORKFLOWS):
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@cache
def own_node_ids():
    """Return the ids of our nodes, read from the source files."""
    return {
        keyword.value.value
        for path in (ROOT / "nodes").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "node_id" and isinstance(keyword.value, ast.Constant)
    }


def as_prompt(workflow):
    """Return the prompt that the browser would make from a workflow."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": inputs_of(node, links)}
        for node in workflow["nodes"]
        if node["type"] not in NOTES
    }


def inputs_of(node, links):
    values, inputs = list(node.get("widgets_values", [])), {}
    for entry in node["inputs"]:
        if "widget" in entry:
            inputs[entry["name"]] = values.pop(0)
            if "seed" in entry["name"] and values and values[0] in AFTER_SEED:
                assert values.pop(0) == "fixed", "a bundled workflow repeats itself"
        if entry["link"] is not None:
            inputs[entry["name"]] = links[entry["link"]]
    assert not values, f"{node['type']} has values without a widget: {values}"
    return inputs


def test_every_workflow_has_its_api_file():
    assert NAMES
    assert sorted(path.stem for path in (WORKFLOWS / "api").glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_workflow_and_api_file_are_the_same_graph(name):
    twin = read(name, WORKFLOWS / "api")
    prompt = {
        key: {"class_type": node["class_type"], "inputs": node["inputs"]}
        for key, node in twin.items()
    }
    assert as_prompt(read(name)) == prompt


@pytest.mark.parametrize("name", NAMES)
def test_our_nodes_exist(name):
    used = {node["class_type"] for node in read(name, WORKFLOWS / "api").values()}
    ours = {kind for kind in used if kind.startswith("AnimateAnyone_")}
    assert ours
    assert ours <= own_node_ids()


@pytest.mark.parametrize("name", NAMES)
def test_nodes_do_not_cover_each_other(name):
    boxes = [(*node["pos"], *node["size"]) for node in read(name)["nodes"]]
    for i, (x, y, wide, high) in enumerate(boxes):
        for left, top, width, height in boxes[:i]:
            apart_x = x >= left + width or left >= x + wide
            apart_y = y - 30 >= top + height or top - 30 >= y + high  # 30: the title bar
            assert apart_x or apart_y


@pytest.mark.parametrize("name", NAMES)
def test_every_node_is_in_a_titled_group_with_a_note(name):
    workflow = read(name)
    assert [node for node in workflow["nodes"] if node["type"] in NOTES and node["widgets_values"]]
    for node in workflow["nodes"]:
        x, y = node["pos"]
        holding = [
            group["title"]
            for group in workflow["groups"]
            if group["bounding"][0] <= x <= x + node["size"][0] <= sum(group["bounding"][::2])
            and group["bounding"][1] <= y <= y + node["size"][1] <= sum(group["bounding"][1::2])
        ]
        assert len(holding) == 1, node["type"]
        assert holding[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_thumbnail(name):
    picture = WORKFLOWS / f"{name}.jpg"
    assert picture.read_bytes()[:3] == b"\xff\xd8\xff"
    assert picture.stat().st_size < THUMBNAIL_BYTES
