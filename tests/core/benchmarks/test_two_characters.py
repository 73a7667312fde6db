from dataclasses import replace

from animate_anyone.animate import sampling_of
from benchmarks.two_characters import WAYS, measured


def test_the_fit_of_the_references_is_said_once_for_all_pairs(small, caplog):
    sampling = replace(sampling_of(small.preset), steps=1, guidance=1.0)

    figures = measured(small.models(), sampling, pairs=2)

    assert {name: len(values) for name, values in figures.items()} == dict.fromkeys(WAYS, 4)
    assert [record.getMessage() for record in caplog.records] == [
        "reference is 128x128, the clip 256x128: the picture's edges are continued to fill it"
    ]
