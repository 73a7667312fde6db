import asyncio
from dataclasses import replace

import pytest

pytestmark = pytest.mark.host


@pytest.fixture(scope="session")
def status(pack):
    """Return the module under test."""
    return pack("nodes.page.status")


@pytest.fixture(scope="session")
def download(core):
    """Return what fetches files."""
    return core("weights.hub.download")


@pytest.fixture(scope="session")
def part(status, core):
    """Return one file of a set."""
    return status.SetFile(
        role="denoiser",
        folder="animate_anyone",
        file=core("weights.sets.record").HubFile(
            repository="someone/weights", path="unet.pth", to="set/unet.pth", size=10
        ),
        licence="MIT",
    )


def put(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def shown(status):
    return status.state, status.size, status.bytes_there


def test_a_file_that_is_nowhere_is_missing(tmp_path, status, part):
    found = status.file_status(part, None, tmp_path)
    assert shown(found) == ("missing", 10, 0)
    assert found.estimate == 10
    assert found.name == "set/unet.pth"
    assert found.address == "https://huggingface.co/someone/weights/resolve/main/unet.pth"


@pytest.mark.parametrize(("size", "state"), [(10, "present"), (9, "wrong"), (11, "wrong")], ids=str)
def test_a_file_in_its_place_counts_by_its_size(tmp_path, size, state, status, part):
    path = put(tmp_path / "set/unet.pth", size)
    assert shown(status.file_status(part, path, tmp_path)) == (state, 10, size)


def test_of_an_unknown_size_any_file_counts(tmp_path, status, part):
    unsized = replace(part, file=replace(part.file, size=None))
    assert shown(status.file_status(unsized, None, tmp_path)) == ("missing", None, 0)
    assert shown(status.file_status(unsized, put(tmp_path / "x", 7), tmp_path)) == ("present", 7, 7)
    usual = replace(unsized, usual_size=12)
    assert status.file_status(usual, None, tmp_path).estimate == 12
    assert status.file_status(usual, tmp_path / "x", tmp_path).estimate == 7


def test_what_a_stopped_download_left_is_counted(tmp_path, status, download, part):
    put(tmp_path / download.PARTIAL / "someone/weights/unet.pth.part", 4)
    assert shown(status.file_status(part, None, tmp_path)) == ("partial", 10, 4)
    assert shown(status.file_status(part, put(tmp_path / "x", 10), tmp_path)) == ("present", 10, 10)


def test_clearing_one_set_leaves_what_another_has_half_fetched(tmp_path, status, download, part):
    put(tmp_path / download.PARTIAL / "someone/weights/unet.pth.part", 4)
    other = put(tmp_path / download.PARTIAL / "someone/poses/net.onnx.part", 4)
    download.clear_partial([part.file], tmp_path)
    assert other.is_file()
    assert status.file_status(part, None, tmp_path).state == "missing"
    download.clear_partial([replace(part.file, repository="someone/poses")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_preset_has_a_set_and_says_where_it_comes_from(status, core):
    assert set(status.weight_sets()) == {*core("weights.sets.table").presets(), "dwpose"}
    sources = {name: one.source for name, one in status.weight_sets().items()}
    assert sources == {
        "aa-mini": "pack",
        "moore": "hub",
        "novita": "hub",
        "musepose": "hub",
        "paper": "own",
        "dwpose": "hub",
    }
    for one in status.weight_sets().values():
        assert bool(one.files) == (one.source == "hub")
        assert one.licence


@pytest.mark.parametrize("name", ["moore", "novita", "musepose"])
def test_files_lie_where_their_loaders_look(name, status):
    placed = {one.role: f"{one.folder}/{one.file.to}" for one in status.weight_sets()[name].files}
    assert placed == {
        "denoiser": f"animate_anyone/{name}/denoising_unet.pth",
        "motion": f"animate_anyone/{name}/motion_module.pth",
        "reference_net": f"animate_anyone/{name}/reference_unet.pth",
        "pose_guider": f"animate_anyone/{name}/pose_guider.pth",
        "clip_vision": "clip_vision/sd-image-variations-clip.bin",
        "vae": "vae/sd-vae-ft-mse.safetensors",
    }


def test_shared_files_are_the_same_in_every_set(status):
    shared = [
        {
            one.role: one
            for one in status.weight_sets()[name].files
            if one.role in ("vae", "clip_vision")
        }
        for name in ("moore", "novita", "musepose")
    ]
    assert shared[0] == shared[1] == shared[2]
    assert {one.licence for one in shared[0].values()} != {status.weight_sets()["moore"].licence}


@pytest.fixture
def added(core, monkeypatch):
    """Add a weight set with a file that no loader has a name for."""
    record, table = core("weights.sets.record"), core("weights.sets.table")
    preset = replace(core("weights.sets.aa_mini").AA_MINI, name="added", title="Added on the fly")
    files = (
        record.HubFile(repository="a/b", path="x/strange name.dat", to="strange name.dat"),
        record.HubFile(repository="a/b", path="u.pth", to="u.pth", role="denoiser", usual_size=9),
        record.HubFile(repository="a/b", path="m.txt", to="m.txt", role="memory", licence="MIT"),
    )
    monkeypatch.setitem(table.SETS, "added", record.WeightSet.of(preset, "hub", files))
    return files


def test_a_set_with_unusual_files_is_listed_whole(added, status):
    found = status.weight_sets()["added"].files
    assert [(one.role, one.folder, one.file.to) for one in found] == [
        ("strange name.dat", "animate_anyone", "added/strange name.dat"),
        ("denoiser", "animate_anyone", "added/u.pth"),
        ("memory", "animate_anyone", "added/m.txt"),
    ]
    assert [one.usual_size for one in found] == [0, 9, 0]
    assert [one.licence for one in found] == ["Apache-2.0", "Apache-2.0", "MIT"]


def test_the_page_and_the_loaders_offer_an_added_set(added, pack, run_node):
    seen = asyncio.run(pack("nodes.page.downloads").show_models({}))["sets"]["added"]
    assert (seen["title"], seen["source"]) == ("Added on the fly", "hub")
    assert [(file["role"], file["state"]) for file in seen["files"]] == [
        ("strange name.dat", "missing"),
        ("denoiser", "missing"),
        ("memory", "missing"),
    ]
    loader = pack("nodes.models.load_nodes").LoadModels
    choices = next(one for one in loader.define_schema().inputs if one.id == "preset").options
    assert "added" in choices
    assert "dwpose" not in choices
    assert pack("nodes.page.downloads").known_set("added").name == "added"
