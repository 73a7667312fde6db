"""Values that the page cannot send, but a prompt made by hand can."""

import pytest


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


def test_a_zero_character_in_a_name_is_refused(run, core):
    values = {"latent": {}, "vae": None, "fps": 30.0, "chunk": 8}
    with pytest.raises(core("errors").InputError, match=r"filename_prefix got .*zero characters"):
        run("decode", filename_prefix="a\0b", **values)


def test_what_the_system_refuses_is_said_in_words(pack, core):
    checks = pack("nodes.comfyui.checks")
    load = pack("nodes.pose.keypoint_nodes").LoadKeypoints

    def refused(cls, **values):
        raise PermissionError(13, "Permission denied", "/somewhere/x.json")

    with pytest.raises(core("errors").MediaError, match=r"refused /somewhere/x\.json: Permission"):
        checks.checked(refused)(load)
