"""One job: its result is whole or absent, and its record tells what happened."""

import errno
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from animate_anyone.engines.engine import Inline, UnwellError
from animate_anyone.errors import InputError, MediaError
from animate_anyone.jobs.planning import Plan, write_table
from animate_anyone.jobs.reading import read_jobs
from animate_anyone.jobs.records import Order, read_state
from animate_anyone.jobs.run import run_jobs
from animate_anyone.jobs.running import Made, lost_job, run_job


@pytest.fixture
def order(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("motion")
    return Order("a", tmp_path / "out" / "a.mp4", {"steps": 2}, (source,), {"content": "w"})


def make(order):
    order.result.parent.mkdir(exist_ok=True)
    order.result.write_bytes(b"video of " + order.inputs[0].read_bytes())
    return Made(("said",), "hash", 0.0)


def refuse(order):
    raise InputError("poses got nothing; give some.")


def never(order):
    raise AssertionError("it was made again")


def test_a_done_job_is_not_made_again_and_its_record_says_what_it_is(order):
    record = run_job(order, make)
    assert (record.state, record.report, record.bytes) == ("done", ("said",), 15)
    assert record.inputs[str(order.inputs[0])]["bytes"] == 6
    assert record.versions["torch"]
    assert run_job(order, never).sha256 == record.sha256
    os.utime(order.inputs[0], (1, 1))  # a copy on another machine: other times, same content
    assert read_state(order)[0] == "done"


@pytest.mark.parametrize("change", ["settings", "weights", "inputs", "result"])
def test_a_job_whose_sources_changed_is_made_again(order, change):
    run_job(order, make)
    changed = {"settings": {"steps": 3}, "weights": {"content": "v"}}
    if change in changed:
        order = Order(**{**order.__dict__, change: changed[change]})
    elif change == "inputs":
        order.inputs[0].write_text("other!")
    else:
        order.result.unlink()
    assert read_state(order)[0] == ("" if change == "result" else "changed")
    assert run_job(order, make).state == "done"
    assert read_state(order)[0] == "done"


def test_a_failed_job_is_a_record_and_leaves_no_earlier_result(order):
    run_job(order, make)
    order.inputs[0].write_text("other!")
    record = run_job(order, refuse)
    assert (record.state, record.error) == ("failed", "poses got nothing; give some.")
    assert not order.result.exists()
    assert json.loads(order.record.read_text())["error"] == record.error
    assert run_job(order, make).state == "done"


@pytest.mark.parametrize("change", ["names", "older"])
def test_frames_of_a_folder_that_changed_places_are_another_input(order, tmp_path, change):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, time in ((0, 10), (1, 20), (2, 30)):
        (frames / f"{number}.bmp").write_text(f"frame {number}")
        os.utime(frames / f"{number}.bmp", (time, time))
    order = replace(order, inputs=(*order.inputs, frames))
    assert run_job(order, make).state == "done"
    if change == "names":
        (frames / "0.bmp").rename(frames / "x")
        (frames / "1.bmp").rename(frames / "0.bmp")
        (frames / "x").rename(frames / "1.bmp")
    else:
        (frames / "0.bmp").write_text("older 0")
        os.utime(frames / "0.bmp", (5, 5))
    assert read_state(order)[0] == "changed"


def test_a_job_whose_workers_died_leaves_no_earlier_result(order):
    run_job(order, make)
    assert lost_job(order, "its workers died").state == "failed"
    assert not order.result.exists()


def fifo(path):
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (lambda folder: Path("a\0b"), "null"),
        (lambda folder: Path("/dev/zero"), "a device or a pipe"),
        (lambda folder: fifo(folder / "pipe"), "a device or a pipe"),
    ],
    ids=["zero", "device", "pipe"],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes as files")
def test_an_input_that_is_no_file_fails_its_job_alone(tmp_path, source, said):
    order = Order("a", tmp_path / "a.mp4", {}, (source(tmp_path),), {})
    found = []
    running = threading.Thread(target=lambda: found.append(run_job(order, make)), daemon=True)
    running.start()
    running.join(20)
    assert found, "it reads without end"
    assert found[0].state == "failed"
    assert said in found[0].error
    assert read_state(order)[0] == "failed"


def test_a_place_that_cannot_be_written_fails_its_job_alone(order, tmp_path):
    (tmp_path / "file").write_text("in the way")
    record = run_job(replace(order, result=tmp_path / "file" / "a.mp4"), make)
    assert record.state == "failed"
    assert "file" in record.error
    blocked = replace(order, result=tmp_path / "b.mp4")
    blocked.record.mkdir()
    assert run_job(blocked, make).state == "failed"
    assert lost_job(blocked, "its workers died").error == "its workers died"


@pytest.mark.parametrize(
    "change", [{"inputs": None}, {"inputs": {"x": 1}}, {"name": None, "surplus": 1}], ids=str
)
def test_an_edited_record_is_never_a_traceback(order, change):
    run_job(order, make)
    record = json.loads(order.record.read_text())
    if isinstance(inputs := change.get("inputs"), dict):
        change = {"inputs": dict.fromkeys(record["inputs"], inputs["x"])}
    order.record.write_text(json.dumps({**record, **change}))
    assert run_job(order, make).state == "done"


def test_a_full_disk_is_of_the_machine_and_no_record_of_the_job(order):
    def full(order):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise MediaError("out got a.mp4; it cannot be written.") from error

    with pytest.raises(UnwellError, match="cannot be written"):
        run_job(order, full)
    assert not order.record.exists()


def test_a_list_goes_on_after_a_failure_and_a_second_start_does_what_is_left(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    path = tmp_path / "jobs.jsonl"
    path.write_text("".join(f'{{"name": "{name}"}}\n' for name in "abc"))
    jobs = read_jobs(path, lambda settings: None, lambda settings: "")

    def to_order(job):
        return Order(job.name, tmp_path / f"{job.name}.mp4", {}, (tmp_path / "in.txt",), {})

    def worker(bad):
        return lambda order: run_job(order, refuse if order.name in bad else make)

    seen = []
    plan = Plan(jobs, to_order)
    summary = run_jobs(plan, Inline(), lambda: worker("b"), lambda *at: seen.append(at))
    assert (summary.done, summary.failed) == (2, 1)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    table = tmp_path / "table.jsonl"
    assert write_table(jobs, to_order, table) == {"done": 2, "failed": 1}
    second = json.loads((tmp_path / "table.jsonl").read_text().splitlines()[1])
    assert (second["name"], second["state"]) == ("b", "failed")
    assert "poses got nothing" in second["error"]
    (tmp_path / "table.jsonl").unlink()
    again = Plan(jobs, to_order)
    assert again.text().endswith("2 were done before, 1 failed before, tried again; 1 are left")
    assert [order.name for order in again.orders()] == ["b"]
    assert run_jobs(again, Inline(), lambda: worker("")).done == 1
    assert write_table(jobs, to_order, table) == {"done": 3}
    rows = [json.loads(line) for line in (tmp_path / "table.jsonl").read_text().splitlines()]
    assert [(row["name"], row["state"]) for row in rows] == [(name, "done") for name in "abc"]

    def other(job):  # what another part was told to make
        return replace(to_order(job), settings={"steps": 9} if job.name == "a" else {})

    (tmp_path / "b.mp4").unlink()
    assert write_table(jobs, other, table) == {"changed": 1, "missing": 1, "done": 1}
    rows = [json.loads(line)["state"] for line in table.read_text().splitlines()]
    assert rows == ["changed", "missing", "done"]
    (tmp_path / "c.mp4.json").unlink()
    assert write_table(jobs, to_order, tmp_path / "other.jsonl") is None
    assert not (tmp_path / "other.jsonl").exists()
    assert not list(tmp_path.glob(".*"))
