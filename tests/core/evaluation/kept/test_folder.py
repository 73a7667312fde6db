"""Folders of a test that someone has edited: every value is read, or refused by name."""

import json

import pytest

from animate_anyone.errors import InputError
from animate_anyone.evaluation.kept.folder import SETTINGS, read_rows
from animate_anyone.evaluation.kept.row import ClipRow, read_row, row_path, write_row

ROW = ClipRow(place=0, name="a", frames=2, figures={"result": {"psnr": 20.0}})


def edited(path, **changes):
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**values, **changes}))


@pytest.mark.parametrize(
    "change", [{"frames": float("inf")}, {"place": 1e400}, {"pieces": {"fvd": float("-inf")}}]
)
def test_an_endless_number_in_a_row_is_damage(tmp_path, change):
    write_row(tmp_path, ROW)
    assert read_row(tmp_path, 0).figures == ROW.figures
    edited(row_path(tmp_path, 0), **change)
    with pytest.raises(InputError, match=r"000000\.json, which is damaged"):
        read_row(tmp_path, 0)


@pytest.mark.parametrize("first", [float("inf"), float("nan"), 10**30, -1, "0"])
def test_a_first_place_that_no_file_can_have_is_damage(tmp_path, first):
    settings = {"version": 1, "same": {}, "names": ["a"], "report": {}}
    edited(tmp_path / SETTINGS, **settings, first=0)
    assert read_rows(tmp_path).missing == [0]
    edited(tmp_path / SETTINGS, first=first)
    with pytest.raises(InputError, match=r"settings\.json, which is damaged"):
        read_rows(tmp_path)
