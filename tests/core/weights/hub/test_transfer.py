"""Transfers from a hub on this machine: whole, stopped, continued, changed, refused."""

from pathlib import Path

import pytest
from tiny_hub import TinyHub

from animate_anyone.weights.hub import transfer as module
from animate_anyone.weights.hub.transfer import transfer
from animate_anyone.weights.sets.record import HubFile

CONTENT = bytes(range(256)) * 4000  # 1 MB
NAME = "someone/weights"


class Stopped(Exception):  # noqa: N818  (as a user stops)
    pass


class Unsteady:
    """Files of a hub that change at each of the first requests, and lose them on the way."""

    def __init__(self, hub, changes):
        self.hub, self.changes, self.asked = hub, changes, 0

    def content(self, change):
        return bytes([change]) + CONTENT[1:]

    def get(self, _):
        self.asked += 1
        if self.asked <= self.changes + 1:
            self.hub.lose_after = 50_000
        return self.content(min(self.asked, self.changes))


@pytest.fixture
def hub(monkeypatch):
    with TinyHub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.template)
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
        hub.files[f"{NAME}/a/b.pth"] = CONTENT
        yield hub


@pytest.fixture
def get(hub, tmp_path):
    """Return a function that transfers the file; what it told is in `told`."""

    def run(stop_at=None, path="a/b.pth", size=None):
        run.told = []
        file = HubFile(repository=NAME, path=path, to="b.pth", size=size)

        def progress(done, total):
            run.told.append((done, total))
            if stop_at is not None and done >= stop_at:
                raise Stopped

        transfer(file, tmp_path / "b.part", progress)
        return tmp_path / "b.part"

    return run


def read(path):
    return Path(path).read_bytes()


def test_a_whole_file_arrives_and_tells_how_far_it_is(get):
    assert read(get()) == CONTENT
    assert get.told[0] == (0, len(CONTENT))
    assert get.told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in get.told] == sorted(done for done, _ in get.told)


def test_a_stopped_transfer_goes_on_where_it_was(get, hub, tmp_path):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    kept = (tmp_path / "b.part").stat().st_size
    assert 300_000 <= kept < len(CONTENT)
    assert read(get()) == CONTENT
    assert get.told[0] == (kept, len(CONTENT))
    assert [start for _, start in hub.asked] == [0, kept]


def test_a_lost_connection_is_taken_up_again(get, hub):
    hub.lose_after = 100_000
    assert read(get()) == CONTENT
    assert [start for _, start in hub.asked] == [0, 100_000]


def test_a_line_that_stays_dead_can_be_left(get, hub, monkeypatch):
    hub.lose_after = 100_000
    receive = module._receive

    def dead(url, part, tell):
        if part.is_file():
            raise ConnectionError("no route")
        receive(url, part, tell)

    monkeypatch.setattr(module, "_receive", dead)
    with pytest.raises(ConnectionError, match="no route"):
        get()
    told = [(100_000, len(CONTENT))] * module.RETRIES
    assert get.told[-module.RETRIES :] == told


def test_a_file_that_has_changed_is_fetched_anew(get, hub, tmp_path):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    kept = (tmp_path / "b.part").stat().st_size
    hub.files[f"{NAME}/a/b.pth"] = CONTENT[::-1]
    assert read(get()) == CONTENT[::-1]
    assert [start for _, start in hub.asked] == [0, kept, 0]
    assert get.told[0] == (0, len(CONTENT))


def test_a_file_that_has_become_shorter_is_fetched_anew(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.files[f"{NAME}/a/b.pth"] = CONTENT[:100_000]
    assert read(get()) == CONTENT[:100_000]


def test_a_file_begun_anew_survives_a_lost_connection(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.files = Unsteady(hub, changes=1)
    assert read(get()) == hub.files.content(1)
    assert [start for _, start in hub.asked][2:] == [0, 50_000]


def test_a_file_that_changes_all_the_time_is_given_up(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.files = Unsteady(hub, changes=100)
    with pytest.raises(ConnectionError, match="was replaced"):
        get()
    assert len(hub.asked) <= 5


def test_a_hub_that_knows_no_parts_sends_the_whole(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.ranges = False
    assert read(get()) == CONTENT


def test_what_is_whole_already_is_not_fetched_again(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=len(CONTENT))
    assert read(get()) == CONTENT
    assert get.told == []


def test_a_file_that_is_not_there_is_told_at_once(get, hub):
    with pytest.raises(OSError, match="404"):
        get(path="other.pth")
    assert len(hub.asked) == 1


def test_nothing_leaves_where_the_environment_forbids_it(get, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="HF_HUB_OFFLINE"):
        get()
    assert hub.asked == []
