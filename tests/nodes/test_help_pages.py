"""Help pages and locales name exactly what the schemas hold."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r"^\| `([^`]+)`", re.M)
PARTS = {"en": ("## Outputs", "## Errors"), "zh": ("## 输出", "## 可能的错误")}


def rows(text):
    """Return what the rows of a page's tables begin with."""
    return ROW.findall(text)


@pytest.mark.parametrize("language", PARTS)
def test_pages_name_inputs_and_outputs(language, run_node):
    outputs_at, errors_at = PARTS[language]
    for node_id, node in run_node.nodes.items():
        schema = node.GET_SCHEMA()
        text = (ROOT / f"web/docs/{node_id}/{language}.md").read_text(encoding="utf-8")
        inputs, rest = text.split(f"{outputs_at}\n")
        outputs = rest.split(f"{errors_at}\n")[0]
        assert rows(inputs) == [entry.id for entry in schema.inputs], node_id
        assert rows(outputs) == [entry.display_name for entry in schema.outputs], node_id


def test_english_pages_say_what_the_nodes_say(run_node):
    for node_id, node in run_node.nodes.items():
        schema = node.GET_SCHEMA()
        text = (ROOT / f"web/docs/{node_id}/en.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {schema.display_name}\n")
        for told in [schema.description, *(entry.tooltip for entry in schema.inputs)]:
            assert told in text, f"{node_id} says {told!r}, its page does not"


def test_locale_names_inputs_and_outputs(run_node):
    text = (ROOT / "locales/zh/nodeDefs.json").read_text(encoding="utf-8")
    translated = json.loads(text)
    assert list(translated) == list(run_node.nodes)
    for node_id, node in run_node.nodes.items():
        schema, words = node.GET_SCHEMA(), translated[node_id]
        assert words["display_name"]
        assert words["description"]
        assert list(words["inputs"]) == [entry.id for entry in schema.inputs], node_id
        assert all(one["name"] and one["tooltip"] for one in words["inputs"].values()), node_id
        assert list(words["outputs"]) == [str(at) for at in range(len(schema.outputs))], node_id
        assert all(one["name"] for one in words["outputs"].values()), node_id


def test_locale_names_the_categories(run_node):
    text = (ROOT / "locales/zh/main.json").read_text(encoding="utf-8")
    parts = {
        part for node in run_node.nodes.values() for part in node.GET_SCHEMA().category.split("/")
    }
    assert set(json.loads(text)["nodeCategories"]) == parts
