"""The panels: windows before a run, the live preview during it, a comparison after it."""

import pytest

from bundled_runs import shorter
from comfy_client import workflow

RENDERERS = pytest.mark.parametrize("nodes2", [False, True], ids=["canvas", "nodes2"])
SEED = 424_242  # not used by other tests, so that nothing comes from the cache
WIDTH = 330  # pixels of the nodes
SHOWN_MS = 120_000  # a busy machine needs many of them

PLACE = "() => document.querySelector('.aa-compare-place').innerText"
COMPARED = 8  # frames
PLAYING = f"() => ({PLACE})().endsWith('/ {COMPARED}')"

ARRANGE = """
([kinds, width]) => {
  let x = 0;
  for (const node of window.app.graph._nodes) {
    const place = kinds.indexOf(node.type.replace("AnimateAnyone_", ""));
    node.pos = place < 0 ? [2500, 0] : [place * (width + 40), 0];
    if (place >= 0) {
      node.setSize([width, node.computeSize()[1]]);
    }
  }
  window.app.canvas.ds.scale = 1;
  window.app.canvas.ds.offset = [90, 120];
  window.app.canvas.setDirty(true, true);
}
"""
SET = """
(node, [name, value]) => {
  const widget = node.widgets.find((one) => one.name === name);
  widget.value = value;
  widget.callback?.(value);
}
"""
WINDOWS = """
(name) => [...document.querySelectorAll('.aa-windows')].map((panel) => ({
  text: panel.innerText,
  rows: panel.querySelectorAll('.aa-windows-extent').length,
  problem: panel.hasAttribute('data-problem'),
  height: panel.querySelector('.aa-windows-drawing').offsetHeight,
}))
"""
LUMA = """
() => {
  const canvas = document.querySelector('.aa-compare-picture');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const column = (x) => {
    let sum = 0;
    for (let y = 0; y < canvas.height; y += 1) {
      sum += data[4 * (y * canvas.width + x) + 1];
    }
    return sum / canvas.height;
  };
  return { width: canvas.width, height: canvas.height,
    columns: Array.from({ length: canvas.width }, (_, x) => column(x)) };
}
"""


def only_windows():
    """Return a prompt with the node for windows alone."""
    return {key: node for key, node in with_views().items() if key in ("1", "10")}


def with_views(other="3", steps=1, seed=SEED):
    """Return the first run with a comparison and a node for windows, as a prompt."""
    prompt = workflow("first_run")
    latent = {"latent": ["6", 0], "vae": ["1", 3], "chunk": 8}
    prompt["8"] = {"class_type": "AnimateAnyone_DecodeFrames", "inputs": latent}
    del prompt["7"]  # its clip, which would be decoded too
    compared = {"result": ["8", 0], "reference": ["2", 0], "fps": 12}
    if other:
        compared["other"] = [other, 0]
    prompt["9"] = {"class_type": "AnimateAnyone_Compare", "inputs": compared}
    windows = {"length": 24, "overlap": 4, "fusing": "pyramid"}
    windows |= {"loop": False, "shift": False, "shuffle_noise": False, "model": ["1", 0]}
    prompt["10"] = {"class_type": "AnimateAnyone_ContextWindows", "inputs": windows}
    prompt["6"]["inputs"].update(seed=seed, steps=steps)
    return prompt


@pytest.fixture
def views(open_page):
    """Return a function that opens a page with our three nodes in sight."""

    def open_one(prompt=None, *kinds, **options):
        comfy = open_page(**options)
        comfy.page.set_default_timeout(SHOWN_MS)
        comfy.evaluate(
            "([p, n]) => window.app.loadApiJson(p, n)", [prompt or with_views(), "views"]
        )
        comfy.page.wait_for_timeout(500)
        comfy.evaluate(
            "() => window.app.graph._nodes.forEach((n) => n.widgets?.forEach((w) => {"
            " if (w.name === 'control_after_generate') w.value = 'fixed'; }))"
        )
        shown = kinds or ("Animate", "Compare", "ContextWindows")
        comfy.evaluate(ARRANGE, [list(shown), WIDTH])
        return comfy

    return open_one


def shown_windows(comfy, text):
    """Wait for a panel with this text; return its content."""
    found = f"(text) => ({WINDOWS})().find((panel) => panel.text.includes(text))"
    return comfy.wait(found, text, timeout=SHOWN_MS).json_value()


@RENDERERS
def test_windows_are_drawn_as_the_core_plans_them(views, nodes2):
    comfy = views(only_windows(), "ContextWindows", nodes2=nodes2)
    panel = shown_windows(comfy, "72 frames: 4 windows of 24, 4 UNet calls per step")
    assert panel["rows"] == 4
    assert panel["height"] >= 40
    node = comfy.node("ContextWindows")
    node.evaluate(SET, ["length", 16])
    panel = shown_windows(comfy, "6 windows of 16")
    assert panel["rows"] == 6
    node.evaluate(SET, ["shift", True])
    shown_windows(comfy, "Seams move: the first step is drawn.")
    frames = comfy.page.locator(".aa-windows input")
    frames.fill("20")
    shown_windows(comfy, "20 frames: 2 windows of 16")
    frames.fill("12")
    assert shown_windows(comfy, "12 frames: 1 window of 12, 1 UNet call per step")["rows"] == 1
    comfy.picture(f"windows_{'nodes2' if nodes2 else 'canvas'}")

    node.evaluate(SET, ["overlap", 16])
    panel = shown_windows(comfy, "window overlap got 16; it must be at least 0 and less than")
    assert panel["problem"]
    assert panel["rows"] == 0
    comfy.picture(f"windows_problem_{'nodes2' if nodes2 else 'canvas'}")
    frames.fill("")
    node.evaluate(SET, ["overlap", 2])
    shown_windows(comfy, "frames got ''; it must be a whole number")
    graph = comfy.evaluate("() => window.app.graph.serialize()")
    (saved,) = (n for n in graph["nodes"] if n["type"].endswith("ContextWindows"))
    frames.fill("33")
    shown_windows(comfy, "33 frames")
    assert saved["properties"]["aa_window_frames"] == ""
    refusals = [error for error in comfy.errors if "400 (Bad Request)" in error]
    assert comfy.errors == refusals, "which the page's console notes"


def test_windows_are_remembered_with_the_workflow(views):
    comfy = views(only_windows(), "ContextWindows")
    comfy.page.locator(".aa-windows input").fill("100")
    shown_windows(comfy, "100 frames: 5 windows of 24")
    comfy.load(comfy.evaluate("() => window.app.graph.serialize()"))
    shown_windows(comfy, "100 frames: 5 windows of 24")
    assert comfy.errors == []


def test_rows_follow_guidance_and_sampler(views):
    comfy = views(None, "Animate")
    node = comfy.node("Animate")
    node.evaluate(SET, ["steps", 20])
    node.evaluate(SET, ["cfg", 1.5])
    shown_windows(comfy, "4 windows of 24, 80 UNet calls at 20 steps (160 rows with guidance).")
    node.evaluate(SET, ["cfg", 1])
    shown_windows(comfy, "80 UNet calls at 20 steps.")
    node.evaluate(SET, ["sampler", "heun"])
    shown_windows(comfy, "at least 80 UNet calls at 20 steps with heun.")


@RENDERERS
def test_the_clip_plays_while_it_is_sampled_and_stays(views, nodes2):
    comfy = views(with_views(steps=2, seed=SEED + nodes2), "Animate", nodes2=nodes2)
    player = comfy.page.locator(".aa-preview")
    assert player.inner_text() == "While it samples, the clip plays here."
    before = comfy.newest()
    comfy.evaluate("() => { window.app.queuePrompt(0); }")
    comfy.wait("() => document.querySelector('.aa-preview').innerText.includes('of 24')")
    assert comfy.newest() == before, "it still runs"
    read = "() => document.querySelector('.aa-preview-picture').getContext('2d')"
    read += ".getImageData(0, 0, 60, 60).data.reduce((sum, value) => sum + value, 0)"
    drawn = []
    for _ in range(6):
        drawn.append((player.inner_text(), comfy.evaluate(read)))
        comfy.page.wait_for_timeout(150)
    assert len(set(drawn)) >= 3, "it moves"
    comfy.picture(f"preview_{'nodes2' if nodes2 else 'canvas'}")
    entry = comfy.ended(before)
    assert entry["status"]["status_str"] == "success"
    shown_windows(comfy, "24 frames: 1 window of 24")

    player.locator("button").click()
    still = player.inner_text()
    assert still.startswith("Play")
    comfy.page.wait_for_timeout(400)
    assert player.inner_text() == still
    box = comfy.page.locator(".aa-preview-picture").bounding_box()
    assert box["height"] >= 100
    if not nodes2:
        assert not comfy.node("Animate").evaluate("(node) => node.imgs"), "shown once"
    assert comfy.errors == []


def test_a_preview_of_another_node_is_not_ours(views):
    comfy = views(None, "Animate")
    comfy.evaluate("""async () => {
      const canvas = new OffscreenCanvas(64, 64);
      canvas.getContext('2d').fillRect(0, 0, 64, 64);
      const blob = await canvas.convertToBlob();
      const api = window.comfyAPI.api.api;
      const tell = (name, detail) => api.dispatchEvent(new CustomEvent(name, { detail }));
      const grid = { node: '77', columns: 1, rows: 1, frames: [0], total: 1 };
      tell('animate_anyone.preview', grid);
      tell('b_preview_with_metadata', { blob, nodeId: '77', displayNodeId: '77' });
    }""")
    comfy.page.wait_for_timeout(300)
    assert comfy.page.locator(".aa-preview canvas").is_hidden()


def paused_at(comfy, frame):
    """Stop the comparison at a frame, counted from 1."""
    comfy.page.locator(".aa-compare input[type=range]").fill(str(frame - 1))
    comfy.wait(f"(t) => ({PLACE})() === t", f"{frame} / {COMPARED}", timeout=SHOWN_MS)
    comfy.page.wait_for_timeout(200)


@RENDERERS
def test_a_run_is_compared_in_three_ways(views, nodes2):
    comfy = views(shorter(with_views(), COMPARED), "Compare", nodes2=nodes2)
    assert comfy.queue()["status"]["status_str"] == "success"
    tag = "nodes2" if nodes2 else "canvas"
    place = comfy.page.locator(".aa-compare-place")
    comfy.wait(PLAYING, timeout=SHOWN_MS)
    first = place.inner_text()
    comfy.wait(f"(t) => ({PLACE})() !== t", first, timeout=SHOWN_MS)
    paused_at(comfy, 7)
    beside = comfy.evaluate(LUMA)
    assert (beside["width"], beside["height"]) == (3 * 128, 128)
    comfy.picture(f"compare_beside_{tag}")
    skeleton, result = beside["columns"][128:256], beside["columns"][256:]

    button = comfy.page.locator(".aa-compare button")
    button.filter(has_text="Slider").click()
    slider = comfy.evaluate(LUMA)
    assert slider["width"] == 128
    assert slider["columns"][:55] == pytest.approx(skeleton[:55], abs=3)
    assert slider["columns"][73:] == pytest.approx(result[73:], abs=3)
    comfy.picture(f"compare_slider_{tag}")
    divider = comfy.page.locator(".aa-compare-picture")
    assert divider.get_attribute("role") == "slider"
    assert divider.get_attribute("aria-valuenow") == "50"
    divider.focus()
    comfy.page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "52"
    comfy.page.keyboard.press("Home")
    assert comfy.evaluate(LUMA)["columns"][20:] == pytest.approx(result[20:], abs=3)
    box = divider.bounding_box()
    middle, side = box["x"] + box["width"] / 2, min(box["width"], box["height"])
    comfy.page.mouse.move(middle, box["y"] + 20)
    comfy.page.mouse.down()
    comfy.page.mouse.move(middle + side / 4, box["y"] + 30)
    comfy.page.mouse.up()
    assert abs(int(divider.get_attribute("aria-valuenow")) - 75) <= 1

    button.filter(has_text="Difference").click()
    difference = comfy.evaluate(LUMA)
    expected = [min(255, 4 * abs(a - b)) for a, b in zip(skeleton, result, strict=True)]
    assert difference["columns"][:20] == pytest.approx(expected[:20], abs=16)
    assert divider.get_attribute("role") == "img"
    assert "amplified 4 times" in comfy.page.locator(".aa-compare-note").inner_text()
    comfy.picture(f"compare_difference_{tag}")
    graph = comfy.evaluate("() => window.app.graph.serialize()")
    comfy.load(graph)
    comfy.evaluate(ARRANGE, [["Compare"], WIDTH])
    pressed = comfy.page.locator(".aa-compare button[data-view][aria-pressed=true]")
    assert pressed.inner_text() == "Difference"
    comfy.wait(PLAYING, timeout=SHOWN_MS)
    graph["nodes"] = [n for n in graph["nodes"] if n["type"].endswith("Compare")]
    graph["nodes"][0]["properties"]["aa_compare"]["filename"] = "gone.mp4"
    graph["links"] = []
    for each in graph["nodes"][0]["inputs"]:
        each["link"] = None
    comfy.load(graph)
    comfy.page.get_by_text("The video is no longer on the server").wait_for()
    ours = [error for error in comfy.errors if "gone.mp4" not in error]
    assert ours == []


def test_without_another_clip_there_is_one_view(views):
    comfy = views(shorter(with_views(other=None), COMPARED), "Compare")
    assert comfy.queue()["status"]["status_str"] == "success"
    comfy.wait(PLAYING, timeout=SHOWN_MS)
    slider = comfy.page.locator(".aa-compare button").filter(has_text="Slider")
    assert slider.is_disabled()
    assert slider.get_attribute("title") == "Connect the input other for this view."
    assert comfy.errors == []
