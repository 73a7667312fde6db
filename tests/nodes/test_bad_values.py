"""Values that the page cannot send, but a prompt made by hand can."""

import importlib

import pytest
import torch


@pytest.fixture
def run(pack, core):
    """Return a function that checks and runs a node, and the errors of the core."""
    nodes = {
        "decode": pack("nodes.clips.decode_nodes").DecodeToVideo,
        "load": pack("nodes.pose.keypoint_nodes").LoadKeypoints,
    }
    return lambda name, **values: nodes[name].execute(**values)


@pytest.mark.parametrize("literal", ["4", 7, 1.5, True])
def test_a_literal_in_the_place_of_a_link_is_refused(run, core, literal):
    values = {"vae": None, "fps": 30.0, "filename_prefix": "x", "chunk": 8}
    with pytest.raises(core("errors").InputError, match=r"latent got .*; .* Connect it"):
        run("decode", latent=literal, **values)


@pytest.mark.parametrize(
    ("node", "values", "message"),
    [
        ("decode", {"latent": {"samples": torch.zeros(1, 4, 8, 8)}, "vae": None}, "vae got null"),
        ("load", {"file": None, "width": 0, "height": 0}, "file got null; .* Set it"),
    ],
)
def test_null_in_a_required_input_is_refused(run, core, node, values, message):
    with pytest.raises(core("errors").InputError, match=message):
        run(node, **values)


@pytest.mark.parametrize("literal", [{}, {"a": 1}, {"a": {"a": {}}}])
def test_a_record_in_the_place_of_a_link_is_refused(pack, core, literal):
    nodes = {
        "latent": pack("nodes.clips.decode_nodes").DecodeToVideo,
        "reference": pack("nodes.sampler.sample_nodes").Apply,
        "image": pack("nodes.models.encode_nodes").EncodePose,
        "video": pack("nodes.pose.extract_nodes").ExtractPose,
    }
    for name, node in nodes.items():
        with pytest.raises(core("errors").InputError, match=rf"{name} got .*\{{.*Connect"):
            node.execute(**{name: literal})


def test_a_zero_character_in_a_name_is_refused(run, core):
    latent = {"samples": torch.zeros(1, 4, 8, 8)}
    values = {"latent": latent, "vae": None, "fps": 30.0, "chunk": 8}
    with pytest.raises(core("errors").InputError, match=r"filename_prefix got .*zero characters"):
        run("decode", filename_prefix="a\0b", **values)


@pytest.mark.parametrize(
    ("room", "node", "name"),
    [
        ("nodes.clips.decode_nodes", "DecodeToVideo", "filename_prefix"),
        ("nodes.pose.keypoint_nodes", "SaveKeypoints", "filename_prefix"),
        ("nodes.training.train_nodes", "Train", "save_as"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_all_nodes(
    pack, monkeypatch, tmp_path, room, node, name
):
    folder_paths = importlib.import_module("folder_paths")
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path))
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    check = getattr(pack(room), node).validate_inputs
    assert check(**{name: "fine"}) is True
    assert check(**{name: None}) is True  # it comes over a link
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "file"))
    for bad in ("file/x", "../outside/x", "n" * 300):
        assert isinstance(check(**{name: bad}), str)


def test_what_the_system_refuses_is_said_in_words(pack, core):
    checks = pack("nodes.comfyui.checks")
    load = pack("nodes.pose.keypoint_nodes").LoadKeypoints

    def refused(cls, **values):
        raise PermissionError(13, "Permission denied", "/somewhere/x.json")

    with pytest.raises(core("errors").MediaError, match=r"refused /somewhere/x\.json: Permission"):
        checks.checked(refused)(load)


def test_masks_of_another_range_are_told(pack, core, caplog):
    convert, size = pack("nodes.comfyui.convert"), core("types").Size(8, 8)
    mask = torch.full((1, 8, 8), 255.0)
    assert convert.mask_to_bytes(mask, "foreground_mask", 1, size).min() == 255
    assert convert.checked_noise_mask(mask, 1).max() == 1
    convert.with_mask(torch.zeros(1, 8, 8, 3), mask, "image")
    for name in ("foreground_mask", "noise mask", "mask"):
        assert f"{name}: values up to 255; a MASK lies in 0..1" in caplog.text
    caplog.clear()
    convert.mask_to_bytes(mask / 255, "foreground_mask", 1, size)
    assert not caplog.text
