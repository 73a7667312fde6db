from dataclasses import replace

import pytest

from animate_anyone.config import PRESETS
from animate_anyone.weights.download import PARTIAL, HubFile, clear_partial
from animate_anyone.weights.status import WEIGHT_SETS, SetFile, file_status

PART = SetFile(
    role="denoiser",
    folder="animate_anyone",
    file=HubFile(repository="someone/weights", path="unet.pth", to="set/unet.pth", size=10),
    licence="MIT",
)


def put(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def shown(status):
    return status.state, status.size, status.bytes_there


def test_a_file_that_is_nowhere_is_missing(tmp_path):
    status = file_status(PART, None, tmp_path)
    assert shown(status) == ("missing", 10, 0)
    assert status.estimate == 10
    assert status.name == "set/unet.pth"
    assert status.address == "https://huggingface.co/someone/weights/resolve/main/unet.pth"


@pytest.mark.parametrize(("size", "state"), [(10, "present"), (9, "wrong"), (11, "wrong")], ids=str)
def test_a_file_in_its_place_counts_by_its_size(tmp_path, size, state):
    path = put(tmp_path / "set/unet.pth", size)
    assert shown(file_status(PART, path, tmp_path)) == (state, 10, size)


def test_of_an_unknown_size_any_file_counts(tmp_path):
    part = replace(PART, file=replace(PART.file, size=None))
    assert shown(file_status(part, None, tmp_path)) == ("missing", None, 0)
    assert shown(file_status(part, put(tmp_path / "x", 7), tmp_path)) == ("present", 7, 7)
    usual = replace(part, usual_size=12)
    assert file_status(usual, None, tmp_path).estimate == 12
    assert file_status(usual, tmp_path / "x", tmp_path).estimate == 7


def test_what_a_stopped_download_left_is_counted(tmp_path):
    put(tmp_path / PARTIAL / "someone/weights/unet.pth.part", 4)
    assert shown(file_status(PART, None, tmp_path)) == ("partial", 10, 4)
    assert shown(file_status(PART, put(tmp_path / "x", 10), tmp_path)) == ("present", 10, 10)


def test_clearing_one_set_leaves_what_another_has_half_fetched(tmp_path):
    put(tmp_path / PARTIAL / "someone/weights/unet.pth.part", 4)
    other = put(tmp_path / PARTIAL / "someone/poses/net.onnx.part", 4)
    clear_partial([PART.file], tmp_path)
    assert other.is_file()
    assert file_status(PART, None, tmp_path).state == "missing"
    clear_partial([replace(PART.file, repository="someone/poses")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_preset_has_a_set_and_says_where_it_comes_from():
    assert set(WEIGHT_SETS) == {*PRESETS, "dwpose"}
    sources = {name: one.source for name, one in WEIGHT_SETS.items()}
    assert sources == {
        "aa-mini": "pack",
        "moore": "hub",
        "novita": "hub",
        "musepose": "hub",
        "paper": "own",
        "dwpose": "hub",
    }
    for one in WEIGHT_SETS.values():
        assert bool(one.files) == (one.source == "hub")
        assert one.licence


@pytest.mark.parametrize("name", ["moore", "novita", "musepose"])
def test_files_lie_where_their_loaders_look(name):
    placed = {part.role: f"{part.folder}/{part.file.to}" for part in WEIGHT_SETS[name].files}
    assert placed == {
        "denoiser": f"animate_anyone/{name}/denoising_unet.pth",
        "motion": f"animate_anyone/{name}/motion_module.pth",
        "reference_net": f"animate_anyone/{name}/reference_unet.pth",
        "pose_guider": f"animate_anyone/{name}/pose_guider.pth",
        "clip_vision": "clip_vision/sd-image-variations-clip.bin",
        "vae": "vae/sd-vae-ft-mse.safetensors",
    }


def test_shared_files_are_the_same_in_every_set():
    shared = [
        {part.role: part for part in WEIGHT_SETS[name].files if part.role in ("vae", "clip_vision")}
        for name in ("moore", "novita", "musepose")
    ]
    assert shared[0] == shared[1] == shared[2]
    assert {part.licence for part in shared[0].values()} != {WEIGHT_SETS["moore"].licence}
