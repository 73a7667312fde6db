"""A new node needs one new file: added to a copy of the pack, it is listed with all others."""

import asyncio
import copy
import importlib.util
import shutil
import sys

import pytest
from node_files import declared_nodes

from comfy_hosts import REPOSITORY

WAVE = '''"""Waving."""

from comfy_api.latest import io

from ..comfyui.checks import checked


class Wave(io.ComfyNode):
    """Counts waves."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Wave",
            display_name="Wave (Animate Anyone)",
            category="animate_anyone/pose",
            description="Counts.",
            inputs=[io.Int.Input("times", default=1, min=1, max=9, tooltip="How often.")],
            outputs=[io.String.Output(display_name="waves")],
        )

    @classmethod
    @checked
    def execute(cls, times: int) -> io.NodeOutput:
        return io.NodeOutput("~" * times)


NODES = {105: Wave}  # by place in the menu
'''


@pytest.fixture
def wider(tmp_path, pack, monkeypatch):
    """Return a copy of the pack with one more file, and the nodes that the host gets from it."""
    import folder_paths

    folders = copy.deepcopy(folder_paths.folder_names_and_paths)  # the copy adds its own to them
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", folders)
    root = tmp_path / "pack_with_a_wave"
    root.mkdir()
    shutil.copy(REPOSITORY / "__init__.py", root)
    shutil.copytree(REPOSITORY / "nodes", root / "nodes")
    for name in ("animate_anyone", "workflows"):
        (root / name).symlink_to(REPOSITORY / name)
    (root / "nodes/pose/wave_nodes.py").write_text(WAVE)
    spec = importlib.util.spec_from_file_location(
        root.name, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, root.name, module)
    spec.loader.exec_module(module)
    extension = asyncio.run(module.comfy_entrypoint())
    yield root, asyncio.run(extension.get_node_list())
    for name in [name for name in sys.modules if name.startswith(f"{root.name}.")]:
        del sys.modules[name]


def test_one_new_file_is_a_node_at_its_place(wider, run_node):
    root, nodes = wider
    ids = [node.GET_SCHEMA().node_id for node in nodes]
    assert ids == [node.node_id for node in declared_nodes(root)]
    known = list(run_node.nodes)
    at = known.index("AnimateAnyone_LoadKeypoints") + 1
    assert ids == [*known[:at], "AnimateAnyone_Wave", *known[at:]]
    wave = nodes[at]
    assert wave.execute(times=3).args == ("~~~",)
    with pytest.raises(ValueError, match="times got 10"):
        wave.execute(times=10)


def test_a_place_that_two_nodes_claim_is_refused(wider):
    root, _ = wider
    (root / "nodes/pose/wave_again_nodes.py").write_text(WAVE)
    with pytest.raises(ValueError, match=r"place 105 for Wave and Wave; .* Choose a free number"):
        sys.modules[f"{root.name}.nodes"].find_nodes()


def test_its_missing_texts_are_listed(wider):
    from test_help_pages import untranslated

    _, nodes = wider
    schema = next(node for node in nodes if node.__name__ == "Wave").GET_SCHEMA()
    told = "\n".join(untranslated(schema.node_id, schema, {}))
    assert told.count('locales/zh/nodeDefs.json, "AnimateAnyone_Wave"') == 6
    assert "\"description\" must hold the Chinese of 'Counts.'" in told
    assert "the keys of \"inputs\" got []; they must be ['times']" in told
