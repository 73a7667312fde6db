"""Help pages and locales: all checks that need no ComfyUI."""

import json
import re
import shutil
from pathlib import Path

import pytest
from node_files import ROOT, Declared, declared_nodes
from PIL import Image

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


WHAT_A_PAGE_HOLDS = """begin with "# {title} (Animate Anyone)", a line that says what the node \
does, and the picture ![{title} (Animate Anyone)]({node_id}/node.webp); then {headings}, the first \
two with a table row per input and output, the last with a list. Follow {example}."""
HOW_TO_TAKE_PICTURES = """name a workflow that holds the node in SHOWN of \
tests/browser/make_pictures.py and run .venv/bin/python -m pytest tests/browser/make_pictures.py \
-k WORKFLOW."""


def node_ids():
    """Return the ids of the nodes in menu order."""
    return [node.node_id for node in declared_nodes()]


def missing_texts(node: Declared, root: Path = ROOT) -> list[str]:
    """Return the missing texts about a node, each with its file and what to write."""
    return [
        *(missing for language in HEADINGS for missing in _missing_page(node, language, root)),
        *_missing_picture(node, root),
        *_missing_translation(node, root),
        *_missing_row(node, root),
    ]


def _missing_page(node, language, root):
    path = f"web/docs/{node.node_id}/{language}.md"
    if not (root / path).is_file():
        words = {
            "title": node.title,
            "node_id": node.node_id,
            "headings": ", ".join(f'"{heading}"' for heading in HEADINGS[language]),
            "example": f"web/docs/AnimateAnyone_SaveKeypoints/{language}.md",
        }
        yield f"{path} is missing: {WHAT_A_PAGE_HOLDS.format(**words)}"


def _missing_picture(node, root):
    path = f"web/docs/{node.node_id}/node.webp"
    if not (root / path).is_file():
        yield f"{path} is missing: {HOW_TO_TAKE_PICTURES}"


def _missing_translation(node, root):
    for file in sorted(root.glob("locales/*/nodeDefs.json")):
        known = json.loads(file.read_text(encoding="utf-8"))
        if node.node_id not in known:
            before = [one.node_id for one in declared_nodes() if one.place < node.place]
            yield (
                f'{file.relative_to(root).as_posix()} has no entry "{node.node_id}": add it after '
                f'"{before[-1]}", with "display_name", "description", "inputs" (by id, each '
                'with "name" and "tooltip") and "outputs" (by number from "0", each with "name").'
            )


def _missing_row(node, root):
    text = (root / "README.md").read_text(encoding="utf-8")
    table = text[text.index("\n| node | what it does |\n") :].split("\n\n")[0]
    titles = {
        title for cell in re.findall(r"^\| ([^|]+) \|", table, re.M) for title in cell.split(", ")
    }
    if node.title not in titles:
        yield (
            'README.md has no row for the node in its table "node | what it does": add '
            f"| {node.title} | one or two sentences |."
        )


@pytest.mark.parametrize("node", declared_nodes(), ids=lambda node: node.node_id)
def test_node_has_all_its_texts(node):
    missing = missing_texts(node)
    assert not missing, "\n".join(missing)


def test_missing_texts_of_a_new_node_are_listed(tmp_path):
    for name in ("web/docs", "locales"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "README.md", tmp_path)
    wave = Declared(105, "AnimateAnyone_Wave", "Wave", "nodes/pose/wave_nodes.py")
    missing = missing_texts(wave, tmp_path)
    folder = "web/docs/AnimateAnyone_Wave"
    assert [line.split()[0] for line in missing] == [
        f"{folder}/en.md",
        f"{folder}/zh.md",
        f"{folder}/node.webp",
        "locales/zh/nodeDefs.json",
        "README.md",
    ]
    assert 'begin with "# Wave (Animate Anyone)"' in missing[0]
    assert '"## Inputs", "## Outputs", "## Errors"' in missing[0]
    assert '"## 输入"' in missing[1]
    assert 'add it after "AnimateAnyone_LoadKeypoints"' in missing[3]
    assert "add | Wave |" in missing[4]

    (tmp_path / folder).mkdir()
    for language in HEADINGS:
        (tmp_path / folder / f"{language}.md").write_text("# Wave (Animate Anyone)\n")
    Image.new("RGB", (4, 4)).save(tmp_path / folder / "node.webp")
    locale = tmp_path / "locales/zh/nodeDefs.json"
    locale.write_text(json.dumps(json.loads(locale.read_text()) | {wave.node_id: {}}))
    readme = tmp_path / "README.md"
    head = "| node | what it does |\n| --- | --- |\n"
    readme.write_text(readme.read_text().replace(head, f"{head}| Wave, Wink | Waves. |\n"))
    assert missing_texts(wave, tmp_path) == []


def test_no_two_nodes_have_the_same_place_in_the_menu():
    places = [node.place for node in declared_nodes()]
    twice = [node for node in declared_nodes() if places.count(node.place) > 1]
    assert not twice, f"{twice}: two nodes have one place in the menu; give one a free number"


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
    missing = 0
    for path in DOCS.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        errors = text[text.index(HEADINGS[path.stem][2]) :]
        if "| `corrections`" in text:
            missing += 1
            for message in ("`corrections got …", "edits name frames or people that this clip …"):
                assert message in errors, path
    assert missing == 4


@pytest.mark.parametrize(("language", "all_sets"), [("en", "each weight set"), ("zh", "每套权重")])
@pytest.mark.parametrize("node_id", ["AnimateAnyone_LoadModels", "AnimateAnyone_LoadDWPose"])
def test_loaders_show_only_the_files_of_one_set(node_id, language, all_sets):
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
