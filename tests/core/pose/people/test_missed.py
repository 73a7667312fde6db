"""What a report of extraction says of frames in which nobody was found."""

import pytest

from animate_anyone.pose.people.extract import ExtractReport


@pytest.mark.parametrize(
    ("empty", "told"),
    [
        ((10, 11, 40, 41, 42), True),
        ((10, 11, 40, 41), False),  # 4 %
        (tuple(range(20)), False),  # somebody comes
        (tuple(range(90, 100)), False),  # somebody goes
        (tuple(range(100)), False),  # nobody at all has a line of its own
    ],
)
def test_frames_without_a_person_between_frames_with_people_are_told(empty, told):
    report = ExtractReport(
        frames=100,
        empty=empty,
        people=1,
        detector_runs=10,
        redetected=(),
        detector_provider="CPU",
        estimator_provider="CPU",
        notes=(),
    )
    assert ("may have missed people. Use DWPose, or lower --score" in report.text()) == told
