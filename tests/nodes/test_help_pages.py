"""Help pages and locales name exactly what the schemas hold."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r"^\| `([^`]+)`", re.M)
PARTS = {"en": ("## Outputs", "## Errors"), "zh": ("## 输出", "## 可能的错误")}


def rows(text):
    """Return the first cells of the rows in a page's tables."""
    return ROW.findall(text)


def wrong_rows(node_id, schema, language, root=ROOT):
    """Yield where a page's tables differ from the schema, and what the tables must hold."""
    outputs_at, errors_at = PARTS[language]
    path = f"web/docs/{node_id}/{language}.md"
    inputs, rest = (root / path).read_text(encoding="utf-8").split(f"{outputs_at}\n")
    for part, text, wanted in (
        ("inputs", inputs, [entry.id for entry in schema.inputs]),
        ("outputs", rest.split(f"{errors_at}\n")[0], [one.display_name for one in schema.outputs]),
    ):
        if rows(text) != wanted:
            yield f"{path}: rows of the table of {part} got {rows(text)}; they must be {wanted}."


def untold(node_id, schema, root=ROOT):
    """Yield the texts of a schema that its English page does not hold."""
    path = f"web/docs/{node_id}/en.md"
    text = (root / path).read_text(encoding="utf-8")
    if not text.startswith(f"# {schema.display_name}\n"):
        yield f'{path} must begin with "# {schema.display_name}".'
    for told in [schema.description, *(entry.tooltip for entry in schema.inputs)]:
        if told not in text:
            yield f"{path} must hold the node's own words: {told!r}"


def untranslated(node_id, schema, translated):
    """Yield the texts of a node that a locale does not hold."""
    words = translated.get(node_id, {})
    where = f'locales/zh/nodeDefs.json, "{node_id}"'
    for part in ("display_name", "description"):
        if not words.get(part):
            yield f'{where}: "{part}" must hold the Chinese of {getattr(schema, part)!r}.'
    inputs = {entry.id: ("name", "tooltip") for entry in schema.inputs}
    outputs = {str(number): ("name",) for number in range(len(schema.outputs))}
    for part, wanted in (("inputs", inputs), ("outputs", outputs)):
        found = words.get(part, {})
        if list(found) != list(wanted):
            yield f'{where}: the keys of "{part}" got {list(found)}; they must be {list(wanted)}.'
        for key, parts in wanted.items():
            if not all(found.get(key, {}).get(one) for one in parts):
                yield f'{where}: "{key}" in "{part}" must hold {" and ".join(parts)}.'


def all_nodes(run_node):
    """Return (id, schema) of all nodes."""
    return [(node_id, node.GET_SCHEMA()) for node_id, node in run_node.nodes.items()]


@pytest.mark.parametrize("language", PARTS)
def test_pages_name_inputs_and_outputs(language, run_node):
    told = [line for node in all_nodes(run_node) for line in wrong_rows(*node, language)]
    assert not told, "\n".join(told)


def test_english_pages_say_what_the_nodes_say(run_node):
    told = [line for node in all_nodes(run_node) for line in untold(*node)]
    assert not told, "\n".join(told)


def test_locale_names_inputs_and_outputs(run_node):
    translated = json.loads((ROOT / "locales/zh/nodeDefs.json").read_text(encoding="utf-8"))
    told = [line for node in all_nodes(run_node) for line in untranslated(*node, translated)]
    assert not told, "\n".join(told)
    assert list(translated) == list(run_node.nodes)


def test_locale_names_the_categories(run_node):
    text = (ROOT / "locales/zh/main.json").read_text(encoding="utf-8")
    parts = {
        part for node in run_node.nodes.values() for part in node.GET_SCHEMA().category.split("/")
    }
    assert set(json.loads(text)["nodeCategories"]) == parts
