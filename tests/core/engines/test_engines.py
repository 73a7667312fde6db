"""Engines: every item gets one result, also when workers die."""

import errno
import os
import sys
from argparse import Namespace

import pytest
from core.engines.engine_material import MakeDoubler, MakeTeller

from animate_anyone.commands.engines import engine_of
from animate_anyone.engines.engine import Inline, Lost, Tasks, UnwellError
from animate_anyone.engines.machine import refuse_machine, usable_cores
from animate_anyone.engines.processes import Processes
from animate_anyone.errors import MediaError


def test_inline_makes_its_worker_once_and_reads_work_as_it_goes(tmp_path):
    made, read = [], []

    def work():
        for number in range(3):
            read.append(number)
            yield number

    def make():
        made.append(1)
        return lambda number: 2 * number

    run = Inline().run(make, work())
    assert next(run) == (0, 0)
    assert read == [0]
    assert list(run) == [(1, 2), (2, 4)]
    assert made == [1]


@pytest.mark.slow
def test_a_killed_process_costs_its_item_another_try_and_nothing_else(tmp_path):
    make = MakeDoubler(str(tmp_path), ((3, 1), (5, 99)))
    results = dict(Processes(2, threads=1).run(make, range(8)))

    lost = results.pop(5)
    assert isinstance(lost, Lost)
    assert lost.tries == 3
    assert "died 3 times" in str(lost)
    assert results == {number: 2 * number for number in range(8) if number != 5}
    assert len(list(tmp_path.glob("3-*"))) == 1


def test_one_worker_is_a_process_that_may_die(tmp_path):
    (inline, one) = (
        engine_of(Namespace(workers=workers, ray=None), threads=1) for workers in (None, 1)
    )
    assert isinstance(inline, Inline)
    assert dict(one.run(MakeDoubler(str(tmp_path), ((1, 1),)), range(3))) == {0: 0, 1: 2, 2: 4}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system gives no such share")
def test_workers_share_the_cores_that_a_batch_system_gives(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cores() == 8
    assert Processes(2)._threads == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks processes with torch safely")
def test_processes_are_forks_of_one_and_know_the_environment_of_their_start(monkeypatch):
    told = []
    for value in ("first", "second"):
        monkeypatch.setenv("ANIMATE_ANYONE_TOLD", value)
        told += dict(Processes(1).run(MakeTeller(), ["ANIMATE_ANYONE_TOLD"])).values()
    assert [value for value, _ in told] == ["first", "second"]
    assert len({parent for _, parent in told} - {os.getpid()}) == 1


def test_work_is_read_only_when_a_worker_is_free():
    read = []
    tasks = Tasks(read.append(number) or number for number in range(100_000))
    first = tasks.take()
    assert first.item == 0
    assert tasks.died(first) is None
    assert tasks.take().item == 0
    assert len(read) == 1


def test_an_item_is_given_up_after_three_deaths():
    tasks = Tasks(["a"])
    task = tasks.take()
    for _ in range(2):
        assert tasks.died(task) is None
        task = tasks.take()
    assert tasks.died(task).tries == 3
    assert tasks.take() is None


@pytest.mark.parametrize(
    ("error", "of_the_machine"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.png"), True),
        (FileNotFoundError(errno.ENOENT, "No such file", "set/clips/.a.1f2e.part/frames/1"), True),
        (FileNotFoundError(errno.ENOENT, "No such file", "clips/.hidden/a.mp4"), False),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.part.png"), False),
        (PermissionError(errno.EACCES, "Permission denied", ".a.1f2e.part"), False),
    ],
    ids=["full", "taken away", "an input", "an input's name", "a right"],
)
def test_a_disk_that_is_full_or_taken_away_is_of_the_machine(error, of_the_machine):
    raised = MediaError("out cannot be written")
    raised.__cause__ = error
    if of_the_machine:
        with pytest.raises(UnwellError, match="cannot be written"):
            refuse_machine(raised)
    else:
        refuse_machine(raised)
