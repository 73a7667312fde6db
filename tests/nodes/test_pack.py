"""The pack as the host sees it: quick to import, and every schema right on both hosts."""

import ast
import inspect
import sys
import textwrap
import time

LONGEST_EXECUTE = 12  # lines; more means that the core lacks a named object
NEW_INPUT_OPTIONS = {"advanced", "extra_dict"}  # the oldest host does not know them


def test_import_is_quick_and_light(pack, run_node):
    start = time.process_time()
    for path in pack.files:
        compile(path.read_bytes(), str(path), "exec")
    yardstick = time.process_time() - start  # a slower machine takes longer for both
    assert pack.seconds < 5 * yardstick, f"{pack.seconds:.2f} and {yardstick:.2f} CPU seconds"
    assert not pack.modules & {"diffusers", "transformers", "onnxruntime", "cv2"}


def test_ids_and_names(run_node):
    for node_id, node in run_node.nodes.items():
        schema = node.GET_SCHEMA()
        assert node_id == f"AnimateAnyone_{node.__name__.removesuffix('Node')}"
        assert schema.display_name.endswith("(Animate Anyone)")
        assert schema.category.startswith("animate_anyone/")
        assert schema.category == schema.category.lower()
        assert schema.description.endswith(".")


def test_every_input_tells_what_it_does(run_node):
    for node_id, node in run_node.nodes.items():
        for entry in node.GET_SCHEMA().inputs:
            assert entry.tooltip, f"{node_id}.{entry.id} has no tooltip"
            assert entry.id == entry.id.lower()


def test_execute_takes_exactly_the_inputs(run_node):
    for node in run_node.nodes.values():
        inputs = {entry.id: entry for entry in node.GET_SCHEMA().inputs}
        parameters = inspect.signature(node.execute).parameters
        assert list(parameters) == [
            *(name for name, entry in inputs.items() if not entry.optional),
            *(name for name, entry in inputs.items() if entry.optional),
        ]
        for name, parameter in parameters.items():
            optional = parameter.default is not inspect.Parameter.empty
            assert inputs[name].optional == optional
            if optional:
                assert parameter.default == getattr(inputs[name], "default", None)


def test_optional_inputs_come_last(run_node):
    for node in run_node.nodes.values():
        optional = [entry.optional for entry in node.GET_SCHEMA().inputs]
        assert optional == sorted(optional)


def test_nodes_are_thin(run_node):
    for node_id, node in run_node.nodes.items():
        tree = ast.parse(textwrap.dedent(inspect.getsource(node.execute.__wrapped__)))
        body = tree.body[0].body
        assert body[-1].end_lineno - body[0].lineno < LONGEST_EXECUTE, node_id


def test_only_options_that_the_oldest_host_knows(run_node):
    for node in run_node.nodes.values():
        tree = ast.parse(textwrap.dedent(inspect.getsource(node.define_schema)))
        used = {
            keyword.arg
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            for keyword in call.keywords
        }
        assert not used & NEW_INPUT_OPTIONS


def test_model_folder_is_added_to_what_the_user_configured(pack, monkeypatch):
    import folder_paths

    known = dict(folder_paths.folder_names_and_paths)
    known["animate_anyone"] = (["/elsewhere"], set())
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", known)
    pack("nodes.comfyui.folders").register_folder()
    paths, suffixes = known["animate_anyone"]
    assert paths[0] == "/elsewhere"
    assert paths[1].endswith("models/animate_anyone")
    assert ".safetensors" in suffixes
    pack("nodes.comfyui.folders").register_folder()
    assert len(known["animate_anyone"][0]) == 2


def test_host_modules_keep_their_names(host_nodes):
    assert host_nodes.MAX_RESOLUTION
    assert "animate_anyone" not in sys.modules, "the pack has one copy of the core"
