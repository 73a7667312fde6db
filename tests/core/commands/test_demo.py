import numpy as np

from animate_anyone.__main__ import main
from animate_anyone.media import clip_info, read_picture, to_bytes
from animate_anyone.types import Size


def test_demo_leaves_a_clip_and_a_sheet_of_four_rows(tiny_bundle, tmp_path):
    words = ["demo", f"--models={tiny_bundle}", f"--out={tmp_path / 'new' / 'demo.mp4'}"]
    assert main([*words, "--frames=3", "--steps=1", "--device=cpu"]) == 0

    assert clip_info(tmp_path / "new" / "demo.mp4").frames == 3
    assert clip_info(tmp_path / "new" / "demo.mp4").size == Size(128, 128)
    sheet = to_bytes(read_picture(tmp_path / "new" / "demo.png"))[0]
    assert sheet.shape[0] == 4 * (256 + 2)
    skeleton, truth = sheet[258:514, -256:], sheet[774:1030, -256:]
    assert np.median(skeleton) == 0
    assert np.abs(truth.astype(int) - skeleton).mean() > 20


def test_demo_refuses_no_frames(tiny_bundle, tmp_path, capsys):
    words = ["demo", f"--models={tiny_bundle}", f"--out={tmp_path / 'demo.mp4'}"]

    assert main([*words, "--frames=0", "--device=cpu"]) == 2
    assert "poses got 0 frames" in capsys.readouterr().err
