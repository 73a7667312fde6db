"""Sorts the paths of pytest's command line, so that all fixtures are found.

Where a file is named between two files of a folder below its own, as in
`pytest core/test_a.py test_b.py core/test_c.py`, pytest 9.1 collects the folder a second time, and
the fixtures of its conftest.py stay with the first. With the deepest paths first it never happens.
It is a pytest plugin.
"""

from pathlib import Path


def pytest_configure(config):
    """Put the deepest paths first; the order of equally deep ones stays."""
    here = config.invocation_params.dir
    config.args.sort(key=lambda arg: -len((here / Path(arg.split("::")[0])).parts))
