"""Parts of a list of work, for several machines."""

import argparse

import pytest

from animate_anyone.commands.options import add_shard
from animate_anyone.errors import InputError
from animate_anyone.shards import WHOLE, Shard, owned_by_shard, shard_of


@pytest.mark.parametrize("way", ["spread", "stretch"])
@pytest.mark.parametrize(("items", "count"), [(10, 3), (7, 7), (2, 5), (0, 2), (100, 1)])
def test_parts_together_hold_every_item_once(way, items, count):
    work = list(range(items))
    parts = [getattr(Shard(number, count), way)(work) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == work
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_stretch_keeps_neighbours_together():
    assert [Shard(n, 3).stretch("aabbcc") for n in (1, 2, 3)] == ["aa", "bb", "cc"]
    assert [Shard(n, 3).spread("abcabc") for n in (1, 2, 3)] == ["aa", "bb", "cc"]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "-1/4", "a/b", "1/4/2", "", "1.5/2"])
def test_parts_that_are_not_there_are_refused_in_words(text):
    with pytest.raises(InputError, match=r"^shard got"):
        shard_of(text)


def test_the_option_reads_a_part_and_is_all_without_it(capsys):
    parser = argparse.ArgumentParser()
    add_shard(parser, "clips")
    assert parser.parse_args([]).shard == WHOLE
    assert parser.parse_args(["--shard", "2/8"]).shard == Shard(2, 8)
    with pytest.raises(SystemExit):
        parser.parse_args(["--shard", "9/8"])
    assert "9/8" in capsys.readouterr().err


def test_shards_of_one_division_share_a_folder_and_others_are_refused(tmp_path):
    with owned_by_shard(tmp_path, Shard(1, 2)):
        with owned_by_shard(tmp_path, Shard(2, 2)):
            pass
        for other in (Shard(1, 2), Shard(2, 3), WHOLE):
            with (
                pytest.raises(InputError, match="another process"),
                owned_by_shard(tmp_path, other),
            ):
                pass
    with owned_by_shard(tmp_path, WHOLE):
        pass
    assert list(tmp_path.iterdir()) == []
