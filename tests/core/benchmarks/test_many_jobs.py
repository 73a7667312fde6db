"""The benchmark of long lists: each list is whole, whatever its length."""

import pytest

from benchmarks.many_jobs import LISTS, Parts


@pytest.mark.parametrize("name", LISTS)
def test_a_short_list_runs_through_all_parts(tmp_path, name):
    parts = Parts()
    LISTS[name](7, tmp_path, parts)
    assert len(parts.found) >= 4
    assert all(part.endswith(" MB") for part in parts.found)
