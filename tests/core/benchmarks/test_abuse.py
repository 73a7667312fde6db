"""A short form of the campaign: damaged files, kills, full disks and two writers, without a fault.

The whole one: python -m benchmarks.abuse --out docs/abuse.md
"""

import json
import os
import random
import re
import sys
import time
from pathlib import Path

import pytest

from animate_anyone.errors import InputError
from benchmarks.abuse import __main__ as campaign
from benchmarks.abuse.children import ended, killed_at, run_forked, try_all
from benchmarks.abuse.files import reading
from benchmarks.abuse.files.mutations import damaged, damaged_json
from benchmarks.abuse.host import interrupts, prompts
from benchmarks.abuse.host.server import Served, small_prompts
from benchmarks.abuse.processes import disks, kills, writers
from benchmarks.abuse.processes.jobs import JOBS, make_material
from benchmarks.abuse.table import KINDS, document
from benchmarks.abuse.verdict import ACCEPTED, CLEAR, FAULT, Tally, Verdict, judged

DOCUMENT = Path(__file__).parents[3] / "docs/abuse.md"
forks = pytest.mark.skipif(sys.platform != "linux", reason="torch is forked on Linux alone")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "weights" else [])
        for name in reading.KINDS
    ],
)
def test_damaged_files_are_no_fault(name, tmp_path):
    attempt = reading.KINDS[name].start(tmp_path)
    for number in range(8):
        verdict = attempt(number, reading.rng_of(1, name, number))
        assert verdict.kind != FAULT, (number, verdict.said)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return make_material(tmp_path_factory.mktemp("abuse") / "material")


def check(tally):
    assert tally.faults == []
    assert tally.tried


@forks
@pytest.mark.parametrize("name", ["draw"])
def test_a_killed_command_leaves_whole_files(name, material, tmp_path):
    check(kills.each(JOBS[name], material, tmp_path / name, seed=0, count=1))


@forks
def test_a_full_disk_is_told(material, tmp_path):
    verdict = disks.tried(JOBS["draw"], material, tmp_path / "draw", 0.5)
    assert verdict.kind == CLEAR, verdict.said


@forks
def test_two_writers_write_whole_files(material, tmp_path):
    verdict = writers.tried(JOBS["convert"], material, tmp_path / "convert", 0.0)
    assert verdict.kind in (CLEAR, ACCEPTED), verdict.said


def test_the_table_in_docs_has_no_fault_and_every_kind():
    """Make it again after a change: python -m benchmarks.abuse --out docs/abuse.md"""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| .* \| ([\d,]+) \|$", text, re.MULTILINE)
    assert all(faults == "0" for _, _, faults in rows)
    assert len(rows) >= len(KINDS)
    for kind in reading.KINDS.values():
        assert kind.title in text
    assert text.startswith(document([]).split("| what", 1)[0])


def tally_of(title, faults=0, notes=()):
    return Tally(title, {CLEAR: 1200, ACCEPTED: 3, FAULT: faults}, notes=[*notes])


def test_rows_without_a_new_result_stay_in_the_page(tmp_path):
    old = document([tally_of("a", notes=["one"]), tally_of("b"), tally_of("c", notes=["two"])])
    new = document([tally_of("d"), tally_of("b", faults=2)], old)
    rows = [line for line in new.splitlines() if line.startswith("|")][2:]
    assert [row.split(" |")[0][2:] for row in rows] == ["a", "b", "c", "d"]
    assert [row.split("| ")[-1] for row in rows] == ["0 |", "2 |", "0 |", "0 |"]
    assert new.endswith("- a: one\n- c: two\n")
    assert document([], old) == old


def test_a_host_tried_alone_leaves_the_other_to_be_tried(monkeypatch, tmp_path):
    def prompts(order):
        tried.append(order.host)
        return [tally_of(f"prompts, ComfyUI {order.host}")]

    tried = []
    monkeypatch.setitem(campaign.KINDS, "prompts", prompts)
    out = f"--out={tmp_path / 'abuse.md'}"
    for host in ("1.2", "3.4", "1.2"):
        words = ["abuse", "--only=prompts", f"--host={host}", f"--folder={tmp_path}", out]
        monkeypatch.setattr(sys, "argv", words)
        assert campaign.main() == 0
    assert tried == ["1.2", "3.4"]
    (tmp_path / "prompts.1.2.seed7.part.json").write_text("{}")
    assert [each.title[-3:] for each in campaign.saved_in(tmp_path)] == ["1.2", "3.4"]
    assert (tmp_path / "abuse.md").read_text().count("prompts, ComfyUI") == 2


@forks
def test_a_fork_that_waits_for_the_processor_does_not_hang():
    """Limits follow what a fork does: a stopped one sleeps, a working one is let."""

    def work(seconds):
        started = time.process_time()
        while time.process_time() - started < seconds:
            pass
        return 0

    log = Path(os.devnull)
    assert ended(run_forked(lambda: work(0.2), log), 0.6) == 0
    assert ended(run_forked(lambda: work(60), log), 0.3) is None
    assert ended(run_forked(lambda: time.sleep(60) or 0, log), 0.3) is None
    assert killed_at(run_forked(lambda: work(60), log), 0.01, 10) == -9
    assert killed_at(run_forked(lambda: 0, log), 0.5, 60) == 0


def test_prompts_hold_every_node():
    nodes = Path(__file__).parents[3] / "nodes"
    texts = [path.read_text(encoding="utf-8") for path in nodes.rglob("*_nodes.py")]
    ids = {name for text in texts for name in re.findall(r'node_id="(\w+)"', text)}
    prompts_of = small_prompts().values()
    assert ids == ids & {node["class_type"] for prompt in prompts_of for node in prompt.values()}
    assert len(ids) > 30


@pytest.mark.parametrize("kind", interrupts.LONG)
def test_prompts_to_interrupt_are_made_of_the_present_workflows(kind):
    prompts_made = [interrupts.long_prompt(kind, number) for number in (0, 1)]
    assert prompts_made[0] != prompts_made[1]  # else the server would have the answer already
    for prompt in prompts_made:
        links = [
            value[0]
            for node in prompt.values()
            for value in node["inputs"].values()
            if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
        ]
        assert links
        assert set(links) <= set(prompt)


def test_prompts_in_pieces_are_those_of_one_call(monkeypatch, tmp_path):
    """A call that stops, for want of time or of a server, loses no prompt and repeats none."""
    sent, times = [], iter(range(10**6))
    (tmp_path / "input").mkdir()
    served = Served("1.2.3", None, tmp_path, 0)

    def tell(served, prompt):
        sent.append(json.dumps(prompt))
        return Verdict(FAULT if len(sent) == 2 else ACCEPTED, "why")

    monkeypatch.setattr(prompts, "sent", tell)
    monkeypatch.setattr(prompts, "alive", lambda served: len(sent) != 2)
    monkeypatch.setattr(prompts.time, "monotonic", lambda: 60.0 * next(times))
    saved = tmp_path / "part.json"
    tallies = [prompts.each(served, 5, 7, saved=saved, minutes=3) for _ in range(4)]
    assert [tally.tried for tally in tallies] == [2, 5, 7, 7]
    assert [bool(tally.unfinished) for tally in tallies] == [True, True, False, False]
    assert tallies[-1].counts == {CLEAR: 0, ACCEPTED: 6, FAULT: 1}
    pieces = sent.copy()
    sent[:] = [""] * 2
    prompts.each(served, 5, 7)
    assert sent[2:] == pieces


def raising(error):
    def attempt():
        raise error

    return attempt


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [
        (lambda: None, ACCEPTED),
        (raising(InputError("clip.mp4 got no frame; export it again.")), CLEAR),
        (raising(InputError("something got no frame; export it again.")), FAULT),
        (raising(InputError("clip.mp4 is bad")), FAULT),  # no way out
        (raising(KeyError("people")), FAULT),
        (raising(SystemExit(2)), CLEAR),  # argparse
        (raising(KeyboardInterrupt()), FAULT),
    ],
)
def test_the_judgement(attempt, kind):
    assert judged(attempt, ["clip.mp4"]).kind == kind


@forks
def test_crashes_and_hangs_are_faults_and_not_the_end():
    def attempt(number):
        if number == 1:
            os._exit(3)
        if number == 3:
            time.sleep(60)
        if number == 4:
            raise KeyError(number)
        return Verdict(ACCEPTED)

    tally = try_all(Tally("some"), 6, attempt, seconds=0.6)
    assert tally.counts == {CLEAR: 0, ACCEPTED: 3, FAULT: 3}
    assert [fault.split(":")[0] for fault in tally.faults] == ["1", "3", "4"]


def test_a_seed_gives_the_same_damage(tmp_path):
    whole = bytes(range(256)) * 8
    for change, value in ((damaged, whole), (damaged_json, {"a": [1, {"b": "c"}]})):
        both = [[change(value, random.Random(seed)) for seed in range(200)] for _ in (1, 2)]
        assert both[0] == both[1]
        assert len(set(both[0])) > 10
    tally = Tally("some")
    tally.add(Verdict(FAULT, "why"), 7)
    tally.write(tmp_path / "tally.json")
    assert Tally.read(tmp_path / "tally.json") == tally
