"""Transfers from a local test hub: complete, cancelled, resumed, changed, refused."""

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
    """Return a function that transfers the file; its progress reports are in `told`."""

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


def test_a_file_is_transferred_and_its_progress_reported(get):
    assert read(get()) == CONTENT
    assert get.told[0] == (0, len(CONTENT))
    assert get.told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in get.told] == sorted(done for done, _ in get.told)


def test_a_cancelled_transfer_is_resumed_where_it_was(get, hub, tmp_path):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    kept = (tmp_path / "b.part").stat().st_size
    assert 300_000 <= kept < len(CONTENT)
    assert read(get()) == CONTENT
    assert get.told[0] == (kept, len(CONTENT))
    assert [start for _, start in hub.asked] == [0, kept]


def test_a_transfer_is_resumed_after_a_lost_connection(get, hub):
    hub.lose_after = 100_000
    assert read(get()) == CONTENT
    assert [start for _, start in hub.asked] == [0, 100_000]


def test_a_stalled_transfer_can_be_cancelled(get, hub, monkeypatch):
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


def test_a_file_that_has_changed_is_downloaded_again(get, hub, tmp_path):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    kept = (tmp_path / "b.part").stat().st_size
    hub.files[f"{NAME}/a/b.pth"] = CONTENT[::-1]
    assert read(get()) == CONTENT[::-1]
    assert [start for _, start in hub.asked] == [0, kept, 0]
    assert get.told[0] == (0, len(CONTENT))


def test_a_file_that_has_become_shorter_is_downloaded_again(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.files[f"{NAME}/a/b.pth"] = CONTENT[:100_000]
    assert read(get()) == CONTENT[:100_000]


def test_a_restarted_transfer_survives_a_lost_connection(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.files = Unsteady(hub, changes=1)
    assert read(get()) == hub.files.content(1)
    assert [start for _, start in hub.asked][2:] == [0, 50_000]


def test_a_file_that_keeps_changing_is_an_error(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.files = Unsteady(hub, changes=100)
    with pytest.raises(ConnectionError, match="was replaced"):
        get()
    assert len(hub.asked) <= 5


def test_a_hub_without_range_requests_sends_the_whole_file(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=300_000)
    hub.ranges = False
    assert read(get()) == CONTENT


def test_a_complete_file_is_not_downloaded_again(get, hub):
    with pytest.raises(Stopped):
        get(stop_at=len(CONTENT))
    assert read(get()) == CONTENT
    assert get.told == []


def test_a_missing_file_is_an_error_without_retries(get, hub):
    with pytest.raises(OSError, match="404"):
        get(path="other.pth")
    assert len(hub.asked) == 1


def test_offline_mode_of_the_environment_prevents_requests(get, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="HF_HUB_OFFLINE"):
        get()
    assert hub.asked == []
