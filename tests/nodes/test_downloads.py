"""Downloads inside the host, from a hub on this machine."""

import asyncio
import hashlib
import tempfile
import threading
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_hub import TinyHub

UNET = b"u" * 400_000
GUIDER = b"g" * 50_000
VAE = b"v" * 30_000
NAME = "someone/weights"
WAIT_SECONDS = 300  # limit for a test that hangs; a busy machine may need much of it


class Page:
    """Receives the events of a download, and lets a test wait for one."""

    def __init__(self):
        self.told = []
        self.more = threading.Condition()

    def __call__(self, state):
        with self.more:
            self.told.append(dict(state))
            self.more.notify_all()

    def wait(self, holds):
        """Return the first state of which `holds` is true."""

        def first():
            return next(filter(holds, self.told), None)

        with self.more:
            assert self.more.wait_for(first, WAIT_SECONDS), self.told
            return first()


@pytest.fixture
def hub(monkeypatch, core):
    with TinyHub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.template)
        monkeypatch.setattr(core("weights.hub.transfer"), "PAUSE_SECONDS", 0)
        hub.files |= {
            f"{NAME}/unet.pth": UNET,
            f"{NAME}/guider.pth": GUIDER,
            "someone/vae/vae.safetensors": VAE,
        }
        yield hub


@pytest.fixture
def models(base):
    """Return the models folder; what a test adds to it is removed."""
    folder = base / "models"
    before = set(folder.rglob("*"))
    yield folder
    for path in sorted(set(folder.rglob("*")) - before, reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


@pytest.fixture
def chosen(pack, core):
    """Return a set of three files, one of them of unknown size."""
    status, hub_file = pack("nodes.page.status"), core("weights.sets.record").HubFile

    def part(role, folder, repository, path, to, content, sized=True):
        known = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        file = hub_file(repository=repository, path=path, to=to, **(known if sized else {}))
        return status.SetFile(role=role, folder=folder, file=file, licence="MIT")

    files = (
        part("denoiser", "animate_anyone", NAME, "unet.pth", "tiny/unet.pth", UNET),
        part("pose_guider", "animate_anyone", NAME, "guider.pth", "tiny/g.pth", GUIDER, False),
        part("vae", "vae", "someone/vae", "vae.safetensors", "tiny-vae.safetensors", VAE),
    )
    return status.WeightSet(name="tiny", title="Tiny", licence="MIT", source="hub", files=files)


@pytest.fixture
def downloads(pack, run_node, hub, models):  # run_node: the host knows the model folder
    """Return a download manager that reports to the test's own page."""
    page = Page()
    manager = pack("nodes.page.downloads").Downloads(page)
    manager.page = page
    yield manager
    hub.go_on.set()
    manager.wait(WAIT_SECONDS)


def files_below(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def states(pack, chosen):
    return [pack("nodes.page.downloads").status_of(part).state for part in chosen.files]


def test_a_set_is_saved_where_the_loaders_find_it(pack, host_nodes, downloads, chosen, models):
    before = files_below(models)
    started = downloads.start(chosen)
    assert (started.state, started.total, started.exact) == ("running", 430_000, False)
    downloads.wait(WAIT_SECONDS)
    end = downloads.state
    assert (end.state, end.done, end.total, end.exact, end.error) == (
        "done",
        480_000,
        480_000,
        True,
        None,
    )
    assert files_below(models) - before == {
        "animate_anyone/tiny/unet.pth",
        "animate_anyone/tiny/g.pth",
        "vae/tiny-vae.safetensors",
    }
    assert {"tiny/unet.pth", "tiny/g.pth"} <= set(pack("nodes.comfyui.folders").model_files())
    assert "tiny-vae.safetensors" in host_nodes.VAELoader.INPUT_TYPES()["required"]["vae_name"][0]
    assert states(pack, chosen) == ["present"] * 3
    done = [state["done"] for state in downloads.page.told]
    assert done == sorted(done)
    assert downloads.page.told[-1]["state"] == "done"


def test_progress_is_sent_at_a_bounded_rate(pack, downloads, chosen, monkeypatch):
    monkeypatch.setattr(pack("nodes.page.downloads"), "REPORT_SECONDS", 3600)
    downloads.start(chosen)
    downloads.wait(WAIT_SECONDS)
    # For each file that it began and that it is being checked, and the end.
    assert len(downloads.page.told) == 7


def test_a_cancelled_download_resumes(pack, downloads, chosen, hub, monkeypatch):
    monkeypatch.setattr(pack("nodes.page.downloads"), "REPORT_SECONDS", 0)
    hub.hold_after = 100_000
    downloads.start(chosen)
    downloads.page.wait(lambda state: state["done"] >= 100_000)
    downloads.cancel()
    hub.go_on.set()
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "cancelled"
    status = pack("nodes.page.downloads").status_of(chosen.files[0])
    assert status.state == "partial"
    kept = status.bytes_there
    assert kept >= 100_000

    hub.hold_after = None
    hub.asked.clear()
    assert downloads.start(chosen).done == kept
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "done"
    assert hub.asked[0] == (f"{NAME}/unet.pth", kept)
    assert states(pack, chosen) == ["present"] * 3


def test_one_set_is_downloaded_at_a_time(core, downloads, chosen, hub):
    hub.hold_after = 100_000
    downloads.start(chosen)
    with pytest.raises(core("errors").DownloadError, match="while 'tiny' is being downloaded"):
        downloads.start(replace(chosen, name="other"))
    hub.go_on.set()
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "done"


def test_a_wrong_file_is_refused_and_leaves_nothing(pack, downloads, chosen, hub, models):
    hub.files[f"{NAME}/unet.pth"] = UNET[:-1] + b"!"
    before = files_below(models)
    downloads.start(chosen)
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "failed"
    assert "damaged or was changed by its publisher" in downloads.state.error
    assert "By hand: get https://huggingface.co/someone/weights" in downloads.state.error
    assert {name for name in files_below(models) - before if "etag" not in name} == set()
    hub.files[f"{NAME}/unet.pth"] = UNET
    downloads.start(chosen)
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "done"


def test_a_hub_that_cannot_be_reached_is_reported(downloads, chosen, hub):
    hub.files.clear()
    downloads.start(chosen)
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "failed"
    assert "could not be fetched (HTTPError: HTTP Error 404" in downloads.state.error


def test_a_folder_that_cannot_be_written_is_reported(downloads, chosen, models):
    (models / "animate_anyone/tiny").write_text("a file where a folder must be")
    downloads.start(chosen)
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "failed"
    assert "tiny/unet.pth; it cannot be written (Not a directory)" in downloads.state.error


def test_too_small_a_disk_is_reported_before_a_download(core, downloads, chosen, hub):
    huge = replace(chosen.files[0], file=replace(chosen.files[0].file, size=10**18))
    with pytest.raises(
        core("errors").DownloadError, match=r"needs 1000000000.0 GB more in .* free"
    ):
        downloads.start(replace(chosen, files=(huge,)))
    assert hub.asked == []


def room_of(monkeypatch, pack, size):
    """Let every disk have so many bytes free."""
    usage = namedtuple("usage", "total used free")(10**9, 10**9 - size, size)
    monkeypatch.setattr(pack("nodes.page.downloads").shutil, "disk_usage", lambda _: usage)


def sized(chosen):
    """Return the set without its file of unknown size."""
    return replace(chosen, files=(chosen.files[0], chosen.files[2]))


def test_folders_on_one_disk_share_its_space(
    pack, core, downloads, chosen, hub, models, monkeypatch
):
    room_of(monkeypatch, pack, len(UNET) + len(VAE) - 1)
    with pytest.raises(core("errors").DownloadError, match=r"more in .* free there") as told:
        downloads.start(sized(chosen))
    assert f"{models / 'animate_anyone'} and {models / 'vae'}" in str(told.value)
    assert hub.asked == []
    room_of(monkeypatch, pack, len(UNET) + len(VAE))
    downloads.start(sized(chosen))
    downloads.wait(WAIT_SECONDS)
    assert downloads.state.state == "done"


def test_folders_on_two_disks_need_space_each(pack, downloads, chosen, models, monkeypatch):
    import folder_paths

    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == models.stat().st_dev:
        pytest.skip("needs a second disk, as Linux has in /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as other:
        known = folder_paths.folder_names_and_paths
        monkeypatch.setitem(known, "vae", ([other], known["vae"][1]))
        room_of(monkeypatch, pack, len(UNET))
        downloads.start(sized(chosen))
        downloads.wait(WAIT_SECONDS)
        assert downloads.state.state == "done"


def test_an_impossible_folder_is_reported_before_a_download(
    core, downloads, chosen, hub, models, monkeypatch
):
    import folder_paths

    (models / "no_folder").write_text("a file where a folder must be")
    known = folder_paths.folder_names_and_paths
    monkeypatch.setitem(known, "vae", ([str(models / "no_folder")], known["vae"][1]))
    with pytest.raises(core("errors").DownloadError) as told:
        downloads.start(chosen)
    assert "set got 'tiny', whose files go into" in str(told.value)
    assert f"{models / 'no_folder'}, which cannot be used (" in str(told.value)
    assert "it must be a folder that ComfyUI may write to. Change that" in str(told.value)
    assert hub.asked == []


@pytest.mark.parametrize("where", [0, 2], ids=["animate_anyone", "vae"])
def test_a_file_in_the_download_folder_is_preferred(
    pack, downloads, chosen, models, monkeypatch, tmp_path, where
):
    import folder_paths

    part = chosen.files[where]
    folders, known = pack("nodes.comfyui.folders"), folder_paths.folder_names_and_paths
    first, suffixes = known[part.folder]
    order = [str(tmp_path), *first] if part.folder == folders.FOLDER else [*first, str(tmp_path)]
    monkeypatch.setitem(known, part.folder, (order, suffixes))
    (tmp_path / part.file.to).parent.mkdir(exist_ok=True)
    (tmp_path / part.file.to).write_bytes(b"cut short")
    found = pack("nodes.page.downloads").found_path
    assert found(part) == tmp_path / part.file.to
    downloads.start(replace(chosen, files=(part,)))
    downloads.wait(WAIT_SECONDS)
    assert found(part) == models / part.folder / part.file.to
    assert pack("nodes.page.downloads").status_of(part).state == "present"
    if part.folder == folders.FOLDER:
        assert folders.model_path(part.file.to) == found(part)


def test_a_pose_network_in_the_download_folder_is_preferred(pack, models, monkeypatch, tmp_path):
    import folder_paths

    part = pack("nodes.page.downloads").weight_sets()["dwpose"].files[0]
    folders, known = pack("nodes.comfyui.folders"), folder_paths.folder_names_and_paths
    own = models / "animate_anyone"
    monkeypatch.setitem(known, "animate_anyone", ([str(tmp_path), str(own)], set()))
    for folder in (tmp_path, own, own / "copies"):
        folder.mkdir(exist_ok=True)
        (folder / part.file.to).write_bytes(b"a network")
    assert pack("nodes.page.downloads").found_path(part) == own / part.file.to
    assert folders.onnx_files()[part.file.to] == own / part.file.to


def test_complete_sets_and_idle_cancels_are_errors(core, downloads, chosen):
    error = core("errors").DownloadError
    with pytest.raises(error, match="cancel got no running download"):
        downloads.cancel()
    downloads.start(chosen)
    downloads.wait(WAIT_SECONDS)
    with pytest.raises(error, match="files are all present"):
        downloads.start(chosen)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("more", "set got 'more'; .* Did you mean 'moore'"),
        ("aa-mini", "comes with the pack; sets that can be downloaded are"),
        ("paper", "has no published files"),
        ("../etc", "sets that can be downloaded are moore, novita, musepose, dwpose"),
        (None, "set got None"),
        (["moore"], r"set got \['moore'\]"),
    ],
    ids=str,
)
def test_only_known_sets_are_downloaded(pack, core, name, words):
    with pytest.raises(core("errors").InputError, match=words):
        asyncio.run(pack("nodes.page.downloads").start_download({"set": name}))


def test_pose_networks_in_other_packs_folders_are_found(pack, models):
    status_of = pack("nodes.page.downloads").status_of
    detector = pack("nodes.page.downloads").weight_sets()["dwpose"].files[0]
    assert status_of(detector).state == "missing"
    (models / "dwpose").mkdir(exist_ok=True)
    (models / "dwpose/yolox_l.onnx").write_bytes(b"too short")
    status = status_of(detector)
    assert (status.state, status.bytes_there) == ("wrong", 9)


def test_the_page_sees_all_sets(pack, core):
    seen = asyncio.run(pack("nodes.page.downloads").show_models({}))
    assert set(seen["sets"]) == set(core("weights.sets.table").SETS)
    assert {"aa-mini", "moore", "novita", "musepose", "paper", "dwpose"} <= set(seen["sets"])
    assert seen["sets"]["aa-mini"]["files"] == []
    first = seen["sets"]["moore"]["files"][0]
    assert first["role"] == "denoiser"
    assert (first["state"], first["size"]) == ("missing", 3_438_374_293)
