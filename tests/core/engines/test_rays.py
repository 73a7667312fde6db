"""Work on Ray: the same results as in one process, also when an actor is killed."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from core.engines.engine_material import MakeDoubler

from animate_anyone.engines.rays import RayEngine
from animate_anyone.errors import PackageError

ROOT = Path(__file__).resolve().parents[3]
HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed (pip install ray); not run on it")
@pytest.mark.filterwarnings("ignore")
def test_a_killed_actor_costs_its_item_another_try_and_nothing_else(tmp_path, monkeypatch):
    folders = (ROOT, ROOT / "tests")  # where its processes find the package and the worker
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    make = MakeDoubler(str(tmp_path), ((3, 1),))
    results = dict(RayEngine("local", 1, cpus=0.5).run(make, range(6)))
    assert results == {number: 2 * number for number in range(6)}
    assert len(list(tmp_path.glob("3-*"))) == 1


def test_without_ray_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageError, match=r"pip install ray, or use --workers"):
        RayEngine("local", 2)
