"""The bundled prompts name inputs and choices that the host's nodes have."""

import asyncio
import inspect
import json

import pytest

from comfy_hosts import REPOSITORY

FILES = sorted((REPOSITORY / "workflows/api").glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_host_accepts_the_prompt(run_node, host_nodes, comfy_host, file, monkeypatch):
    import execution

    monkeypatch.syspath_prepend(comfy_host.path)  # its `utils` before comfy/utils.py
    from comfy_extras import nodes_canny, nodes_custom_sampler, nodes_images, nodes_video

    stock = {
        nodes_custom_sampler: ("CFGGuider", "KSamplerSelect", "SamplerCustomAdvanced"),
        nodes_canny: ("Canny",),
        nodes_images: ("ImageFromBatch",),
        nodes_video: ("GetVideoComponents",),
    }
    for node_id, node in run_node.nodes.items():
        monkeypatch.setitem(host_nodes.NODE_CLASS_MAPPINGS, node_id, node)
    for module, kinds in stock.items():
        for kind in kinds:
            monkeypatch.setitem(host_nodes.NODE_CLASS_MAPPINGS, kind, getattr(module, kind))
    prompt = json.loads(file.read_text())
    answer = execution.validate_prompt("id", prompt, None)
    valid, error, outputs, node_errors = (
        asyncio.run(answer) if inspect.isawaitable(answer) else answer
    )
    assert valid, (error, node_errors)
    assert not node_errors
    assert outputs


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_input_of_our_nodes_is_given(run_node, file):
    for node in json.loads(file.read_text()).values():
        if node["class_type"] in run_node.nodes:
            inputs = run_node.nodes[node["class_type"]].GET_SCHEMA().inputs
            given = set(node["inputs"])
            assert {entry.id for entry in inputs if not entry.optional} <= given
            assert given <= {entry.id for entry in inputs}
