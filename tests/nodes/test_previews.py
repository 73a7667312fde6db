"""The preview of Animate: all frames on one sheet, at a bounded rate, as the user has chosen."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image


@pytest.fixture
def previews(pack):
    return pack("nodes.page.previews")


@pytest.fixture
def told(previews, monkeypatch):
    """Collect what the page is told."""
    events = []
    monkeypatch.setattr(previews.page, "send", lambda event, data: events.append((event, data)))
    return events


@pytest.fixture
def choose(pack, monkeypatch):
    """Return a function that sets the user's way of previews."""
    import latent_preview

    def run(method):
        value = latent_preview.LatentPreviewMethod(method)
        monkeypatch.setattr(latent_preview.args, "preview_method", value)

    return run


@pytest.fixture
def animate(run_node, load, scene, choose, monkeypatch):
    """Return a function that runs Animate; it gives what its progress bar was told."""
    import comfy.utils

    class Bar:
        """Stands for the host's, which needs a server."""

        def __init__(self, total, node_id=None):
            self.total = total

        def update_absolute(self, value, total=None, preview=None):
            shown.append((value, preview))

    shown = []
    monkeypatch.setattr(comfy.utils, "ProgressBar", Bar)

    def run(method, frames=6, steps=4, windows=24):
        choose(method)
        loaded = load()
        made = scene(loaded, frames=frames)
        shown.clear()
        options = {"seed": 1, "steps": steps, "cfg": 2.0, "sampler": "euler"}
        options |= {"scheduler": "trailing", "length": windows, "overlap": 2}
        options |= {"fusing": "pyramid", "shared_noise": 0.0}
        scene_inputs = {"reference": made.reference, "pose": made.pose}
        run_node("Animate", model=loaded.model, **scene_inputs, **options)
        return list(shown)

    return run


@pytest.mark.parametrize("method", ["auto", "latent2rgb", "taesd"])
def test_all_frames_are_on_the_sheet(animate, told, method):
    shown = animate(method, frames=6)
    sheets = [preview for _, preview in shown if preview]
    (event, grid), *_ = told
    assert event == "preview"
    assert grid["frames"] == list(range(6))
    assert grid["columns"] * grid["rows"] >= 6
    assert len(sheets) == len(told)
    kind, sheet, side = sheets[-1]
    assert (kind, side) == ("JPEG", 512)
    assert max(sheet.size) <= 512
    assert sheet.width % grid["columns"] == sheet.height % grid["rows"] == 0


def test_every_step_counts_and_the_last_is_shown(animate, told):
    shown = animate("latent2rgb", steps=5)
    assert [value for value, _ in shown][-5:] == [1, 2, 3, 4, 5]
    assert shown[-1][1] is not None


def test_no_previews_where_the_user_wants_none(animate, told):
    shown = animate("none")
    assert shown
    assert all(preview is None for _, preview in shown)
    assert told == []


def test_a_tile_is_the_hosts_own_preview_of_that_frame(pack, previews, load, told, choose):
    choose("latent2rgb")
    model = load().model
    picture = pack("nodes.comfyui.host").preview_decoder(model)
    shown = []
    call = previews.ClipPreview(picture, lambda done, sheet: shown.append(sheet), [0, 3], 1)
    estimate = torch.randn(4, 4, 8, 8)
    call(0, estimate, estimate, 1)
    grid = told[0][1]
    width, height = shown[0].width // grid["columns"], shown[0].height // grid["rows"]
    row, column = divmod(1, grid["columns"])
    box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    tile = shown[0].crop(box)
    expected = picture(estimate[3:4]).resize(tile.size, Image.Resampling.BILINEAR)
    assert tile.tobytes() == expected.tobytes()


def test_a_slow_picture_makes_sheets_rarer(previews, told):
    clock = [0.0]
    previews_time = SimpleNamespace(monotonic=lambda: clock[0])

    def picture(_):
        clock[0] += 0.1
        return Image.new("RGB", (8, 8))

    shown = []
    call = previews.ClipPreview(picture, lambda done, sheet: shown.append(sheet), [0], 100)
    real, previews.time = previews.time, previews_time
    try:
        for step in range(100):
            clock[0] += 0.2  # a step
            call(step, torch.zeros(1, 4, 8, 8), torch.zeros(1), 100)
    finally:
        previews.time = real
    sheets = [sheet for sheet in shown if sheet]
    assert len(shown) == 100
    assert shown[-1]
    assert 0.1 * (len(sheets) - 1) < 0.05 * clock[0], "the last one may come on top"


@pytest.mark.parametrize(
    ("tiles", "size", "columns", "rows"),
    [(1, (16, 16), 1, 1), (4, (16, 16), 2, 2), (24, (64, 96), 6, 4), (24, (16, 16), 5, 5)],
)
def test_grid_shows_tiles_as_large_as_it_can(previews, tiles, size, columns, rows):
    grid = previews.choose_grid(tiles, size, 512)
    assert (grid.columns, grid.rows) == (columns, rows)
    assert max(columns * size[0], rows * size[1]) * grid.scale == pytest.approx(512)


def test_a_long_clip_shows_frames_spread_over_it(animate, told):
    animate("latent2rgb", frames=40, steps=1)
    frames = told[-1][1]["frames"]
    assert len(frames) == 24
    assert (frames[0], frames[-1]) == (0, 39)
    assert told[-1][1]["total"] == 40
