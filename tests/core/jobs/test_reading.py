"""Files of jobs: bad lines are named, good ones are read in order of their neighbours."""

import json
import tracemalloc

import pytest

from animate_anyone.errors import InputError
from animate_anyone.jobs.reading import read_jobs
from animate_anyone.shards import Shard


def written(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path):
    return read_jobs(path, lambda settings: None, lambda settings: str(settings.get("r")))


def test_neighbours_stand_next_to_each_other_and_empty_lines_are_passed_over(tmp_path):
    lines = [json.dumps({"name": f"j{n}", "r": n % 2}) for n in range(4)]
    jobs = read(written(tmp_path / "jobs.jsonl", *lines[:2], "", *lines[2:]))
    assert [job.name for job in jobs] == ["j0", "j2", "j1", "j3"]
    assert [job.name for job in Shard(2, 2).stretch(jobs)] == ["j1", "j3"]
    assert jobs[0].result == "j0.mp4"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: it is not JSON"),
        ("[1]", "line 2: it is a list"),
        ("{}", 'line 2: it has no "name"'),
        ('{"name": "a", "name": "b"}', "line 2: name stands in it twice"),
        ('{"name": "../a"}', "line 2: name got '../a'"),
        ('{"name": "/a"}', "line 2: name got"),
        ('{"name": "a:b"}', "line 2: name got"),
        ('{"name": 7}', "line 2: name got 7"),
        ('{"name": "FIRST.mp4"}', "line 2: name got 'FIRST.mp4', as line 1"),
        ('{"name": "a", "cfg": NaN}', "line 2: NaN is not a number"),
        (f'{{"name": "{"a" * 2**20}"}}', "line 2: it is longer"),
        ('{"name": "a\\ud800"}', "line 2: name got"),
        (f'{{"name": "{"é" * 101}"}}', "line 2: name got"),
        ('{"name": "first.mp4/a"}', "line 2: name got 'first.mp4/a'; one of its folders"),
        ('{"name": "First.mp4.json/a/b"}', "line 2: name got 'First.mp4.json/a/b'; one of its"),
        ('{"name": "jobs-done.jsonl/a"}', "line 2: name got 'jobs-done.jsonl/a'; jobs-done.jsonl"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, message):
    path = written(tmp_path / "jobs.jsonl", '{"name": "first"}', line)
    with pytest.raises(InputError) as error:
        read(path)
    assert message in str(error.value)


def test_a_folder_before_the_file_of_its_name_is_noticed_too(tmp_path):
    names = ["a.mp4/b", "c.mp4.json/d", "a", "c.mp4", "e/f", "e/g", "e", "é" * 100, "free.mp4/x"]
    with pytest.raises(InputError) as error:
        read(written(tmp_path / "jobs.jsonl", *(json.dumps({"name": name}) for name in names)))
    said = str(error.value)
    assert "with 2 bad lines (line 1: name got 'a.mp4/b'; one of its folders is also a file" in said
    assert "of another job. Choose another name for one of them.; line 2: name got 'c.mp4" in said


def test_names_that_some_system_takes_for_one_file_are_refused(tmp_path):
    lines = [json.dumps({"name": name}) for name in ("caf\u00e9", "CAFE\u0301", "cafe")]
    with pytest.raises(InputError, match=r"with 1 bad lines \(line 2: .*, as line 1; each job"):
        read(written(tmp_path / "jobs.jsonl", *lines))


@pytest.mark.parametrize("begin", ["x" * (3 << 20), " " * (1 << 20) + "{}"])
def test_a_line_of_any_length_counts_as_one(tmp_path, begin):
    path = written(tmp_path / "jobs.jsonl", begin, " " * (2 << 20), "", '{"name": "a"}', "bad")
    with pytest.raises(InputError) as error:
        read(path)
    said = str(error.value)
    assert "with 2 bad lines (line 1: it is longer than 1024 kB" in said
    assert "line 5: it is not JSON" in said


def test_many_bad_lines_are_listed_up_to_ten(tmp_path):
    with pytest.raises(InputError, match=r"with 30 bad lines \(line 1: .*line 10: .*and 20 more"):
        read(written(tmp_path / "jobs.jsonl", *["{"] * 30))


def test_a_file_that_is_changed_while_it_is_used_is_noticed(tmp_path):
    path = written(tmp_path / "jobs.jsonl", '{"name": "a"}', '{"name": "b"}')
    jobs = read(path)
    written(path, '{"name": "c"}', '{"name": "d"}')
    with pytest.raises(InputError, match="changed while its jobs were run"):
        jobs[1]


def test_memory_does_not_grow_with_the_settings_of_the_jobs(tmp_path):
    lines = (json.dumps({"name": f"j{n}", "r": "x" * 900}) for n in range(3000))
    path = written(tmp_path / "jobs.jsonl", *lines)
    tracemalloc.start()
    jobs = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(jobs) == 3000
    assert peak < 150 * 3000  # of 2.7 MB of settings


def test_equal_names_are_named_in_the_order_of_their_lines(tmp_path):
    names = ["a", "b", "A.mp4", "c", "b", "a"]
    lines = [json.dumps({"name": name}) for name in names]
    with pytest.raises(InputError) as error:
        read(written(tmp_path / "jobs.jsonl", *lines[:3], "{", *lines[3:]))
    said = str(error.value)
    assert "with 4 bad lines (line 3: name got 'A.mp4', as line 1; each" in said
    assert said.index("line 4: it is not JSON") < said.index("line 6: name got 'b', as line 2")
    assert "line 7: name got 'a', as line 1" in said


def test_jobs_are_yielded_in_the_order_in_which_they_are_indexed(tmp_path):
    lines = [json.dumps({"name": f"j{n}", "r": n % 3}) for n in range(7)]
    jobs = read(written(tmp_path / "jobs.jsonl", *lines))
    assert list(jobs) == [jobs[n] for n in range(7)]
    assert [job.name for job in jobs[2:5]] == ["j6", "j1", "j4"]
