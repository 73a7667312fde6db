"""Runs the tests of this folder inside a ComfyUI, in an interpreter of its own.

The host changes what an interpreter imports and how torch behaves, so the tests next door must
not share it. All tests that were selected run in one child, whose reports appear as if they had
run here.
"""

import asyncio
import importlib
import importlib.util
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

import in_child
from comfy_hosts import REPOSITORY, why_no_host
from in_child import (  # noqa: F401  (hooks: the child reports its tests)
    pytest_runtest_logfinish,
    pytest_runtest_logreport,
    pytest_runtest_logstart,
)

HERE = Path(__file__).parent
sys.path.append(str(HERE))

import tiny_weights  # noqa: E402  (found through the line above)


@pytest.fixture(scope="session", autouse=True)
def _on_every_host(comfy_host):
    """Let each test run on each ComfyUI."""


def pytest_runtest_protocol(item, nextitem):
    """Run the tests in a child process and report its result for this test."""
    # pytest asks every conftest about every test, not only about those beside it.
    if in_child.EVENTS in os.environ or HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        report.nodeid = item.nodeid
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


_CHILDREN = pytest.StashKey[dict]()


def _reports(item):
    """Return the reports of one test from the child process of its host."""
    host = item.callspec.params["comfy_host"]
    if host is None:
        place = (str(HERE), 0, why_no_host())
        return [pytest.TestReport(item.nodeid, item.location, {}, "skipped", place, "call")]
    children = item.session.stash.setdefault(_CHILDREN, {})
    if host not in children:
        same = [other for other in item.session.items if HERE in other.path.parents]
        nodeids = [_plain(other) for other in same if other.callspec.params["comfy_host"] == host]
        packages = [str(host.extra_packages)] if host.extra_packages else []
        environment = {
            "COMFYUI_PATH": str(host.path),
            "PYTHONPATH": os.pathsep.join([*packages, os.environ.get("PYTHONPATH", "")]),
        }
        children[host] = in_child.Child(nodeids, item.config.rootpath, environment)
    return children[host].reports(_plain(item))


def _plain(item):
    """Return a test's id without the group that pytest-xdist writes behind it."""
    return item.nodeid.rsplit("@", 1)[0] if "PYTEST_XDIST_WORKER" in os.environ else item.nodeid


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Return the host's base folder, with models, input and output."""
    folder = tmp_path_factory.mktemp("base")
    for name in ("models/animate_anyone", "input", "output", "temp", "user", "custom_nodes"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def pack(base, comfy_host):
    """Return a function that imports our modules as the host does; starts the host."""
    host = comfy_host
    os.chdir(host.path)
    # The host's `nodes` is a module, ours a package of the same name: the host comes first.
    ours = {"", ".", str(REPOSITORY)}
    sys.path[:] = [str(host.path), *(entry for entry in sys.path if entry not in ours)]
    sys.argv = ["main.py", "--cpu", "--base-directory", str(base)]
    importlib.import_module("comfy.options").enable_args_parsing()
    importlib.import_module("nodes")  # a running host has imported itself before its packs
    importlib.import_module("comfy_api.latest")
    torch.set_num_threads(1)  # the networks are tiny: threads would only wait for each other
    name, root = "animate_anyone_pack", REPOSITORY / "__init__.py"
    before, start = set(sys.modules), time.process_time()
    spec = importlib.util.spec_from_file_location(
        name, root, submodule_search_locations=[str(REPOSITORY)]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])

    def module(path):
        return importlib.import_module(f"{name}.{path}" if path else name)

    module("nodes")
    module.seconds = time.process_time() - start
    module.files = [Path(m.__file__) for n, m in sys.modules.items() if n.split(".")[0] == name]
    module.modules = {found.split(".")[0] for found in set(sys.modules) - before}
    return module


@pytest.fixture(scope="session")
def host_nodes(pack):
    """Return the host's own module of nodes."""
    return importlib.import_module("nodes")


@pytest.fixture(scope="session")
def core(pack):
    """Return a function that imports modules of the core, as the nodes see them."""
    return lambda path: pack(f"animate_anyone.{path}")


@pytest.fixture(scope="session")
def run_node(pack):
    """Return a function that runs one of our nodes by name and returns its outputs."""
    extension = asyncio.run(pack("").comfy_entrypoint())
    nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}

    def run(name, **inputs):
        result = nodes[f"AnimateAnyone_{name}"].execute(**inputs).args
        return result[0] if len(result) == 1 else result

    run.nodes = nodes
    return run


@pytest.fixture(scope="session")
def weights(base, core):
    """Return a function that writes random weights; it returns their preset and networks."""
    known = {}

    def make(**kind):
        name = "_".join(map(str, kind.values())) or "plain"
        if name not in known:
            preset = tiny_weights.tiny_preset(core, **kind)
            path = base / "models/animate_anyone" / f"{name}.safetensors"
            networks = tiny_weights.random_networks(core, preset)
            tiny_weights.write_bundle(core, path, preset, networks)
            known[name] = preset, networks, path.name
        return known[name]

    return make


@pytest.fixture(scope="session")
def load_anew(run_node, weights):
    """Return a function that loads random weights through the Load Models node."""

    def run(dtype="automatic", **kind):
        preset, networks, file = weights(**kind)
        return Loaded(
            preset, networks, *run_node("LoadModels", **tiny_weights.files(file), dtype=dtype)
        )

    return run


@pytest.fixture(scope="session")
def load(load_anew):
    """Return a function like `load_anew` that loads each kind of weights once for all tests.

    A test may change the record that it gets, but not the networks: the end looks at them.
    """
    known = {}

    def run(**kind):
        key = (torch.is_inference_mode_enabled(), *sorted(kind.items()))
        if key not in known:
            with torch.random.fork_rng(devices=[]):  # a test draws the same, loaded or not
                loaded = load_anew(**kind)
            known[key] = loaded, {k: value.clone() for k, value in loaded.tensors()}
        return replace(known[key][0])

    yield run
    importlib.import_module("comfy.model_management").unload_all_models()  # takes LoRAs back
    for loaded, tensors in known.values():
        for key, value in loaded.tensors():
            assert torch.equal(value, tensors[key]), f"a test has changed {key}"


@dataclass
class Loaded:
    """The outputs of Load Models, and the same networks outside the host."""

    preset: object
    networks: dict
    model: object
    reference_net: object
    pose_guider: object
    vae: object
    clip_vision: object

    def tensors(self):
        """Return the names and values of what Load Models has loaded."""
        networks = (self.reference_net, self.pose_guider, self.vae, self.clip_vision)
        for patcher in (self.model, *(network.patcher for network in networks)):
            for key, value in patcher.model.state_dict().items():
                yield f"{key} of {type(patcher.model).__name__}", value


@pytest.fixture(scope="session")
def scene(run_node):
    """Return a function that makes reference and pose from random pictures, once for all tests."""
    known = {}

    def make(loaded, frames=6, width=48, height=56, keep="automatic"):
        networks = (loaded.vae, loaded.clip_vision, loaded.reference_net, loaded.pose_guider)
        size = (frames, width, height, keep, torch.is_inference_mode_enabled())
        key = (*map(id, networks), *size)
        if key not in known:
            known[key] = networks, encode(loaded, frames, width, height, keep)
        return replace(known[key][1])

    def encode(loaded, frames, width, height, keep):
        generator = torch.Generator().manual_seed(frames)
        picture = torch.rand(1, 64, 40, 3, generator=generator)
        pictures = torch.rand(frames, height, width, 3, generator=generator).mul(255).round() / 255
        reference = run_node(
            "EncodeReference",
            image=picture,
            vae=loaded.vae,
            clip_vision=loaded.clip_vision,
            reference_net=loaded.reference_net,
            width=0,
            height=0,
            pose_image=pictures,
        )
        guider = {"pose_guider": loaded.pose_guider, "width": 0, "height": 0, "keep": keep}
        return EncodedInputs(reference, run_node("EncodePose", image=pictures, **guider), pictures)

    return make


@dataclass
class EncodedInputs:
    """A reference and a pose, and the pictures that the pose was made of."""

    reference: object
    pose: object
    pictures: torch.Tensor  # (f, H, W, 3)
