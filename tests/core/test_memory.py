"""Memory: how much is free, what does not fit, and what is given back after a network has gone."""

import gc
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from animate_anyone import memory
from animate_anyone.errors import InputError, WeightsError


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/meminfo")
def test_free_memory_is_told_with_psutil_and_without_it(monkeypatch):
    pytest.importorskip("psutil")
    with_it = memory.free_memory()
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert memory.free_memory() == pytest.approx(with_it, rel=0.5)


def test_where_free_memory_is_unknown_nothing_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "none")
    assert memory.free_memory() is None
    memory.require_memory(10**15, "weights", "")


@pytest.mark.parametrize(
    ("own", "folder", "files"),
    [
        ("0::/box/inner", "box", ("memory.max", "memory.current", "inactive_file")),
        ("0::/", ".", ("memory.max", "memory.current", "inactive_file")),
        (
            "5:cpu:/x\n4:memory:/box/inner",
            "memory/box",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
)
def test_the_limit_of_a_container_counts(monkeypatch, tmp_path, own, folder, files):
    (tmp_path / "own").write_text(own)
    group = tmp_path / folder
    group.mkdir(parents=True, exist_ok=True)
    for name, text in zip(
        (*files[:2], "memory.stat"), ("5000", "3000", f"{files[2]} 500"), strict=True
    ):
        (group / name).write_text(f"{text}\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "own")
    assert memory.free_memory() == 2500
    (group / files[0]).write_text("max\n")
    assert memory.free_memory() != 2500


@pytest.mark.parametrize(
    ("system", "expected"),
    [("linux", 3_000 * 1024), ("win32", 70_000)],  # the disk's free bytes are swap elsewhere
)
def test_the_most_memory_is_that_of_the_machine_with_swap(monkeypatch, tmp_path, system, expected):
    psutil = pytest.importorskip("psutil")
    (tmp_path / "meminfo").write_text("MemTotal: 2000 kB\nSwapTotal: 1000 kB\nMemFree: 1 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "none")
    monkeypatch.setattr(memory.sys, "platform", system)
    for name, total in (("virtual_memory", 40_000), ("swap_memory", 10_000)):
        monkeypatch.setattr(psutil, name, lambda total=total: SimpleNamespace(total=total))
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    assert memory.most_memory() == expected


def test_the_most_memory_is_a_containers_with_the_swap_of_the_machine(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 2000 kB\nSwapTotal: 1000 kB\n")
    (tmp_path / "own").write_text("0::/box")
    (tmp_path / "box").mkdir()
    for name, text in (("max", "1024000"), ("current", "5000"), ("stat", "inactive_file 0")):
        (tmp_path / "box" / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(memory.sys, "platform", "linux")
    assert memory.most_memory() == 2_000 * 1024  # 1,000 kB of memory, 1,000 kB of swap
    (tmp_path / "box/memory.max").write_text("max")
    assert memory.most_memory() == 3_000 * 1024


def test_what_can_never_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "most_memory", lambda: 4 * 10**9)
    memory.require_room(4 * 10**9, "size got 1x1", "")
    with pytest.raises(InputError, match=r"size got 8x8; .* 5\.2 GB .* has 4\.0 GB, .* Choose"):
        memory.require_room(52 * 10**8, "size got 8x8", "Choose a smaller one.")
    monkeypatch.setattr(memory, "most_memory", lambda: None)
    memory.require_room(10**15, "size got 1x1", "")


@pytest.mark.parametrize(
    ("system", "release", "integrated", "expected"),
    [
        ("linux", "6.8", False, 24 * 10**9),
        ("win32", "11", False, 88 * 10**9),  # the driver goes on in the computer's memory
        ("linux", "5.15-microsoft-standard-WSL2", False, 88 * 10**9),
        ("linux", "6.8", True, 88 * 10**9),
    ],
)
def test_what_never_fits_on_a_card_is_refused(monkeypatch, system, release, integrated, expected):
    card = SimpleNamespace(total_memory=24 * 10**9, is_integrated=integrated)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    monkeypatch.setattr(memory, "most_memory", lambda: 64 * 10**9)
    monkeypatch.setattr(memory.sys, "platform", system)
    monkeypatch.setattr(memory.platform, "release", lambda: release)
    device = torch.device("cuda", 0)
    memory.require_room(expected, "size got 8x8", "", device)
    with pytest.raises(InputError, match=rf"but cuda:0 has {expected // 10**9}\.0 GB\. Choose"):
        memory.require_room(expected + 1, "size got 8x8", "Choose a smaller one.", device)


def test_weights_larger_than_the_free_memory_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 4 * 10**9)
    memory.require_memory(4 * 10**9, "weights", "")
    with pytest.raises(WeightsError, match=r"weights got .* need 5\.2 GB .*4\.0 GB are .* Close"):
        memory.require_memory(52 * 10**8, "weights", "Close other programs.")


def test_memory_is_given_back_once_after_a_network_has_gone(monkeypatch):
    given = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    before = list(gc.callbacks)
    networks = [nn.Linear(2, 2), nn.Sequential()]
    networks[1].append(networks[1])  # it goes only when garbage is collected
    for network in networks:
        memory.give_back_when_gone(network)
    gc.collect()
    assert not given
    del network, networks
    gc.collect()
    gc.collect()
    assert given == [1]
    assert gc.callbacks == before


def test_giving_back_does_nothing_where_there_is_no_such_function(monkeypatch):
    memory.give_back()
    monkeypatch.setattr(sys, "platform", "win32")
    memory.give_back()
