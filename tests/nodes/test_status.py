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
def part(status, download):
    """Return one file of a set."""
    return status.SetFile(
        role="denoiser",
        folder="animate_anyone",
        file=download.HubFile(
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
    assert set(status.WEIGHT_SETS) == {*core("config").PRESETS, "dwpose"}
    sources = {name: one.source for name, one in status.WEIGHT_SETS.items()}
    assert sources == {
        "aa-mini": "pack",
        "moore": "hub",
        "novita": "hub",
        "musepose": "hub",
        "paper": "own",
        "dwpose": "hub",
    }
    for one in status.WEIGHT_SETS.values():
        assert bool(one.files) == (one.source == "hub")
        assert one.licence


@pytest.mark.parametrize("name", ["moore", "novita", "musepose"])
def test_files_lie_where_their_loaders_look(name, status):
    placed = {one.role: f"{one.folder}/{one.file.to}" for one in status.WEIGHT_SETS[name].files}
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
            for one in status.WEIGHT_SETS[name].files
            if one.role in ("vae", "clip_vision")
        }
        for name in ("moore", "novita", "musepose")
    ]
    assert shared[0] == shared[1] == shared[2]
    assert {one.licence for one in shared[0].values()} != {status.WEIGHT_SETS["moore"].licence}
