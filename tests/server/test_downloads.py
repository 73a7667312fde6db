"""The routes for model files: answers and errors. These tests download nothing."""

import pytest

from comfy_client import ServerError

pytestmark = pytest.mark.server
MODELS, START, CANCEL = (
    f"/animate_anyone/{end}" for end in ("models", "download", "download/cancel")
)


def refusal(server, path, value):
    with pytest.raises(ServerError) as caught:
        server.post(path, value)
    assert caught.value.status == 400
    return caught.value.body["error"]


def test_files_are_listed_with_size_licence_and_address(server, base):
    folder = base / "models/animate_anyone/musepose"
    partial = base / "models/animate_anyone/.partial/TMElyralab/MusePose/MusePose"
    partial.mkdir(parents=True)
    folder.mkdir()
    (folder / "pose_guider.pth").write_bytes(b"x")
    (folder / "motion_module.pth").write_bytes(b"x")
    (partial / "reference_unet.pth.part").write_bytes(b"xx")
    told = server.get(MODELS)
    assert told["download"] is None
    assert told["sets"]["musepose"]["licence"] == "non-commercial research only"
    files = {file["role"]: file for file in told["sets"]["musepose"]["files"]}
    assert {role: file["state"] for role, file in files.items()} == {
        "denoiser": "missing",
        "reference_net": "partial",
        "motion": "wrong",
        "pose_guider": "present",
        "clip_vision": "missing",
        "vae": "missing",
    }
    assert files["reference_net"]["bytes_there"] == 2
    assert files["vae"]["address"].startswith("https://huggingface.co/stabilityai/sd-vae-ft-mse/")
    for path in (*folder.iterdir(), partial / "reference_unet.pth.part"):
        path.unlink()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"set": "more"}, "Did you mean 'moore'?"),
        ({"set": "aa-mini"}, "comes with the pack"),
        ({"set": "https://example.org/x.pth"}, "sets that can be downloaded are moore"),
        ({"set": {"a": 1}}, "sets that can be downloaded are moore"),
        ({}, "set got None"),
    ],
    ids=str,
)
def test_only_sets_of_the_table_are_downloaded(server, value, words):
    assert words in refusal(server, START, value)
    assert server.get(MODELS)["download"] is None


def test_cancel_without_a_download_is_an_error(server):
    assert "no running download" in refusal(server, CANCEL, {})


BROKEN = {
    "nested": (b"[" * 100_000, {}),
    "charset": (b"{}", {"Content-Type": "application/json; charset=nonsense"}),
    "no UTF-8": (b'{"set": "\xff"}', {"Content-Type": "application/json; charset=utf-8"}),
    "digits": (b'{"set": ' + b"9" * 5000 + b"}", {}),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_body_is_refused(server, broken):
    body, headers = BROKEN[broken]
    status, answer = server.raw(START, body, headers)
    assert (status, answer) == (400, {"error": "body got no JSON object."})


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://example.org"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
    ids=str,
)
def test_another_site_cannot_start_a_download(server, headers):
    status, _ = server.raw(START, b'{"set": "moore"}', headers)
    assert status == 403
    assert server.get(MODELS)["download"] is None


def test_a_body_that_is_no_object_is_refused(server):
    assert "no JSON object" in refusal(server, START, [1])
