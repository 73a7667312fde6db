import hashlib
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tiny_hub import TinyHub

from animate_anyone.errors import ConfigError, DownloadError
from animate_anyone.weights.hub.download import PARTIAL, download, fetch, ignore_progress
from animate_anyone.weights.sets.record import HubFile
from animate_anyone.weights.sets.table import SETS, presets, published

CONTENT = b"weights " * 100


def hub_file(content=CONTENT, **changed):
    known = {
        "repository": "someone/weights",
        "path": "folder/file.pth",
        "to": "sub/file.pth",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return HubFile(**(known | changed))


class Hub:
    """Replaces the transfer of a file: writes `content`, or raises it."""

    def __init__(self, content=CONTENT):
        self.content = content
        self.calls = []

    def __call__(self, file, part, progress):
        self.calls.append((file.repository, file.path, file.revision))
        if isinstance(self.content, Exception):
            raise self.content
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(self.content)
        progress(len(self.content), len(self.content))


def visible(folder):
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and PARTIAL not in path.parts
    ]


def test_a_correct_file_is_moved_to_its_place_and_not_downloaded_twice(tmp_path):
    hub = Hub()
    path = fetch(hub_file(revision="abc"), tmp_path, get=hub)
    assert path == tmp_path / "sub" / "file.pth"
    assert path.read_bytes() == CONTENT
    assert fetch(hub_file(), tmp_path, get=hub) == path
    assert hub.calls == [("someone/weights", "folder/file.pth", "abc")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT[:-9], "has 791 bytes, expected are 800: it is truncated"),
        (CONTENT[:-1] + b"!", "has the sha256 .* expected is .* damaged or was changed"),
    ],
    ids=["truncated", "changed"],
)
def test_wrong_files_are_refused_and_downloaded_again(tmp_path, content, words):
    with pytest.raises(DownloadError, match=words) as caught:
        fetch(hub_file(), tmp_path, get=Hub(content))
    assert "https://huggingface.co/someone/weights/resolve/main/folder/file.pth" in str(
        caught.value
    )
    assert str(tmp_path / "sub" / "file.pth") in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert fetch(hub_file(), tmp_path, get=Hub()).read_bytes() == CONTENT


def test_without_network_the_error_explains_the_download_by_hand(tmp_path):
    with pytest.raises(
        DownloadError, match=r"could not be fetched \(OSError: no route\)"
    ) as caught:
        fetch(hub_file(), tmp_path, get=Hub(OSError("no route")))
    assert "By hand: get https://huggingface.co/someone/weights" in str(caught.value)
    assert visible(tmp_path) == []


def test_a_file_added_by_hand_is_checked_and_never_deleted(tmp_path):
    path = tmp_path / "sub" / "file.pth"
    path.parent.mkdir()
    path.write_bytes(b"something else")
    hub = Hub()
    with pytest.raises(DownloadError, match="expected are 800"):
        fetch(hub_file(), tmp_path, get=hub)
    assert path.read_bytes() == b"something else"
    assert hub.calls == []


def test_files_without_a_known_checksum_are_reported(tmp_path, caplog):
    fetch(hub_file(sha256=None, size=None), tmp_path, get=Hub())
    assert "no published checksum is known" in caplog.text
    assert hashlib.sha256(CONTENT).hexdigest() in caplog.text


def test_a_whole_set_is_fetched_and_leaves_no_partial_folder(tmp_path, monkeypatch):
    files = (hub_file(to="a.pth"), hub_file(to="b/c.pth"))
    monkeypatch.setitem(SETS, "moore", replace(SETS["moore"], files=files))
    monkeypatch.setattr(fetch, "__defaults__", (ignore_progress, Hub()))
    download("moore", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth", "b"]


def test_a_set_that_the_disk_cannot_hold_is_refused_before_it_is_fetched(tmp_path, monkeypatch):
    files = (hub_file(to="a.pth"), hub_file(to="b.pth"))
    monkeypatch.setitem(SETS, "moore", replace(SETS["moore"], files=files))
    hub = Hub()
    monkeypatch.setattr(fetch, "__defaults__", (ignore_progress, hub))
    free = SimpleNamespace(free=len(CONTENT))
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(DownloadError, match="it needs about"):
        download("moore", tmp_path)
    assert not hub.calls
    (tmp_path / "a.pth").write_bytes(CONTENT)
    download("moore", tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [("aa-mini", "part of this package"), ("paper", "no weights of it are published")],
)
def test_presets_without_published_files_say_so(tmp_path, name, words):
    with pytest.raises(DownloadError, match=words):
        download(name, tmp_path)


def test_the_error_for_an_unknown_preset_suggests_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="'moore'"):
        download("more", tmp_path)


@pytest.mark.parametrize("name", [name for name in published() if name in presets()])
def test_tables_are_complete_and_well_formed(name):
    targets = [file.to for file in SETS[name].files]
    assert len(set(targets)) == len(targets)
    assert {"denoising_unet.pth", "reference_unet.pth", "motion_module.pth"} <= set(targets)
    for file in SETS[name].files:
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.revision is None or re.fullmatch("[0-9a-f]{40}", file.revision)


class Stopped(Exception):  # noqa: N818  (as a user stops)
    pass


def test_an_interrupted_set_is_resumed_at_its_pinned_revision(tmp_path, monkeypatch):
    big = bytes(range(256)) * 4000  # 1 MB
    file = hub_file(big, revision="abc")
    monkeypatch.setitem(SETS, "moore", replace(SETS["moore"], files=(file,)))

    def stop(done, total):
        assert total == len(big)
        if done > 300_000:
            raise Stopped

    with TinyHub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.template)
        hub.files["someone/weights/folder/file.pth"] = big
        with pytest.raises(Stopped):
            download("moore", tmp_path, stop)
        assert visible(tmp_path) == []
        (path,) = download("moore", tmp_path)
        assert path.read_bytes() == big
        assert [start > 300_000 for _, start in hub.asked] == [False, True]
        assert hub.revisions == ["abc", "abc"]
    assert visible(tmp_path) == [str(path.relative_to(tmp_path))]
    assert not (tmp_path / PARTIAL).exists()
