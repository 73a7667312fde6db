import os
import pickle
import subprocess
import sys
import tracemalloc

import pytest

from animate_anyone.names.some import ranges, some
from animate_anyone.names.texts import Texts

NAMES = ["a", "", "b/ä", "a", os.fsdecode(b"not \xff utf-8"), "\U0001f600"]


def test_texts_are_kept_as_they_are():
    texts = Texts(NAMES)
    assert list(texts) == texts[:] == NAMES
    assert texts[-1] == NAMES[-1]
    assert texts[1:3] == NAMES[1:3]
    assert texts == Texts(NAMES) == NAMES
    assert texts != Texts(NAMES[1:])
    assert texts != [*NAMES[1:], "other"]
    with pytest.raises(IndexError):
        texts[len(NAMES)]


def test_a_text_is_found():
    texts = Texts(NAMES)
    assert [texts.place(name) for name in NAMES[1:]] == [1, 2, 3, 4, 5]
    assert "b/ä" in texts
    assert "c" not in texts
    texts.append("c")
    assert texts.place("c") == len(NAMES)
    with pytest.raises(KeyError, match="d"):
        texts.place("d")


OTHER = """
import pickle, sys
texts = pickle.load(sys.stdin.buffer)
print([texts.place(text) for text in texts[1:]], "c" in texts)
"""


def test_texts_are_found_in_another_process():
    texts = Texts(NAMES)
    texts.place("a")
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", OTHER], input=pickle.dumps(texts), capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
        )  # fmt: skip
        assert found.stdout.decode().strip() == "[1, 2, 3, 4, 5] False"


def test_many_texts_take_little_more_than_their_letters():
    tracemalloc.start()
    try:
        texts = Texts(f"{number:020d}" for number in range(5000))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(texts) == 5000
    assert kept < 5000 * 35


def test_a_message_names_some():
    assert some(["a", "b"]) == "a, b"
    assert some([1, 2, 3, 4], 2, "`") == "`1`, `2` and 2 more"
    assert some([]) == ""


def test_numbers_are_named_as_ranges():
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert ranges([]) == ""
    assert ranges(range(0, 40, 2)).endswith("20, 22, and 8 more places")
