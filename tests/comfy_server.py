"""One headless ComfyUI for the server and browser tests, used only through HTTP.

It is a pytest plugin, so that both folders of tests share one server.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from comfy_client import Client, ServerError
from comfy_hosts import REPOSITORY

PACK = "animate_anyone"


@pytest.fixture(scope="session")
def server_base(comfy_host, tmp_path_factory):
    """Return the server's base folder, with this repository among its packs."""
    del comfy_host  # requested so that each ComfyUI gets its own folder
    return new_base(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def server(comfy_host, server_base):
    """Return a client of a running server."""
    if not (REPOSITORY / "animate_anyone/weights/mini/denoising_unet.safetensors").is_file():
        pytest.skip("the weights of aa-mini are missing: animate_anyone/weights/mini")
    try:
        with running(comfy_host, server_base) as (client, _):
            yield client
    except StartError as error:
        pytest.fail(str(error))


class StartError(Exception):
    """The server did not start."""


def new_base(folder):
    """Make a base folder for a server in `folder`; return it."""
    for name in ("models/animate_anyone", "input", "output", "temp", "user", "custom_nodes"):
        (folder / name).mkdir(parents=True)
    (folder / "custom_nodes" / PACK).symlink_to(REPOSITORY, target_is_directory=True)
    return folder


@contextmanager
def running(comfy_host, base):
    """Run a server; yield a client of it and its process id; StartError if it does not start."""
    port = _free_port()
    extra = comfy_host.extra_packages
    path = os.pathsep.join(filter(None, [extra and str(extra), os.environ.get("PYTHONPATH")]))
    with (base / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "main.py", "--cpu", "--listen", "127.0.0.1"),
                *("--port", str(port), "--base-directory", str(base)),
                *("--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK),
                *("--disable-api-nodes", "--database-url", "sqlite:///:memory:"),
                *("--preview-method", "latent2rgb"),
            ],
            cwd=comfy_host.path,
            env={**os.environ, "PYTHONPATH": path},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        client = Client(f"http://127.0.0.1:{port}", _cpu_seconds_of(process))
        _wait(client, process, base / "server.log")
        yield client, process.pid
    finally:
        process.kill()
        process.wait()


def _cpu_seconds_of(process):
    """Return a function that gives the processor time of a process and its children."""
    import psutil

    running = psutil.Process(process.pid)

    def used():
        times = running.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    return used


def _wait(client, process, log):
    wait = client.patience()
    try:
        while process.poll() is None:
            try:
                client.get("/system_stats")
            except (OSError, ServerError):
                wait.check("its start")
                time.sleep(0.5)
            else:
                return
    except TimeoutError as error:
        raise StartError(f"the server did not start ({error}):\n{_end_of(log)}") from error
    raise StartError(f"the server ended while it started:\n{_end_of(log)}")


def _end_of(log):
    return log.read_text(errors="replace")[-4000:]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
