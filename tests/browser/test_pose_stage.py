"""The pose stage in the page: looking at a skeleton, and correcting it."""

import io
import json

import pytest
from PIL import Image

from animate_anyone.errors import InputError
from animate_anyone.pose.corrections import read_corrections
from comfy_client import node_of, workflow

EDIT = {"person": 0, "part": "body", "joint": 4, "first": 0, "last": 2, "move": [1, 2]}
# What the page and the core must understand alike.
GOOD = (
    "",
    " ",
    "{}",
    '{"version": 1}',
    '{"version": 1, "canvas": null, "edits": []}',
    *(
        json.dumps({"version": 1, "canvas": [512, 768.5], "edits": [edit]})
        for edit in (
            EDIT,
            EDIT | {"move": None, "hide": True},
            EDIT | {"move": None, "place": [-16384, 16384]},
            EDIT | {"part": "feet", "joint": 5, "person": 999, "last": 10_000_000},
        )
    ),
)
BAD = (
    "{",
    "[]",
    "null",
    '{"version": 2}',
    '{"version": 1, "edits": {}}',
    *(
        json.dumps({"version": 1, "canvas": canvas, "edits": []})
        for canvas in ([512], [0, 512], [512, 20_000], "512", [512, "768"])
    ),
    *(
        json.dumps({"version": 1, "edits": [edit]})
        for edit in (
            None,
            EDIT | {"part": "tail"},
            EDIT | {"part": "toString"},
            EDIT | {"joint": 18},
            EDIT | {"part": "feet", "joint": 6},
            EDIT | {"person": 1000},
            EDIT | {"first": 3},
            EDIT | {"last": 10_000_001},
            EDIT | {"first": -1},
            EDIT | {"first": 0.5},
            EDIT | {"move": [1]},
            EDIT | {"move": [1, 2, 3]},
            EDIT | {"move": [1, 16385]},
            EDIT | {"move": [1, "2"]},
            EDIT | {"place": [1, 2]},
            EDIT | {"move": None},
        )
    ),
)
UNDERSTOOD = """
async (texts) => {
  const { readCorrections } = await import("/extensions/animate_anyone/pose_stage/corrections.js");
  return texts.map((text) => {
    try {
      readCorrections(text);
      return true;
    } catch {
      return false;
    }
  });
}
"""
STAGE = ".aa-stage"
CANVAS = ".aa-stage-canvas"
SCRUB_FRAMES = 90
UNDO_STEPS = 200  # of web/pose_stage/state.js
FRAME_MS = 1000 / 30
# Where a joint of the shown frame lies on the screen; the canvas is laid out as the picture is.
JOINT = """
([kind, point]) => {
  const node = window.app.graph._nodes.find((n) => n.type === `AnimateAnyone_${kind}`);
  const canvas = document.querySelector(".aa-stage-canvas");
  const box = canvas.getBoundingClientRect();
  return { left: box.left, top: box.top, width: box.width, height: box.height };
}
"""
LOOK = """
(kind) => {
  const node = window.app.graph._nodes.find((n) => n.type === `AnimateAnyone_${kind}`);
  const { ds } = window.app.canvas;
  ds.scale = 1;
  ds.offset = [160 - node.pos[0], 120 - node.pos[1]];
  window.app.canvas.setDirty(true, true);
}
"""
DRAWN = """
() => {
  const canvas = document.querySelector(".aa-stage-canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
    coloured += Math.max(r, g, b) - Math.min(r, g, b) > 120;
  }
  return coloured;
}
"""
PRESSED = """
(element, [key, times]) => {
  element.focus();
  for (let i = 0; i < times; i += 1) {
    element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    element.dispatchEvent(new KeyboardEvent("keyup", { key, bubbles: true, cancelable: true }));
  }
}
"""


@pytest.fixture(scope="module")
def keypoints_file(server_base):
    """Put the bundled motion into a folder that Load Keypoints lists."""
    source = server_base / "custom_nodes/animate_anyone/workflows/inputs/motion.json"
    (server_base / "input/stage.json").write_bytes(source.read_bytes())
    return "stage.json"


def alone(file):
    """Return a prompt with Load Keypoints and a node that draws its poses."""
    return {
        "1": {"class_type": "AnimateAnyone_LoadKeypoints", "inputs": {"file": file}},
        "2": {
            "class_type": "AnimateAnyone_DrawPose",
            "inputs": {
                "keypoints": ["1", 0],
                "width": 128,
                "height": 128,
                "hands": True,
                "face": True,
            },
        },
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }


def opened(comfy, file):
    """Show the stage of Load Keypoints, run once by its own button."""
    comfy.evaluate("(p) => window.app.loadApiJson(p, 'stage')", alone(file))
    comfy.page.wait_for_timeout(1000)
    comfy.evaluate(LOOK, "LoadKeypoints")
    before = comfy.newest()
    comfy.page.get_by_role("button", name="Run only this node and the nodes that it needs").click()
    entry = comfy.ended(before)
    assert entry["status"]["status_str"] == "success"
    comfy.wait(f"() => ({DRAWN})() > 50")
    return entry


def corrections(comfy):
    """Return the corrections in the prompt."""
    for node in comfy.prompt().values():
        if node["class_type"] == "AnimateAnyone_LoadKeypoints":
            text = node["inputs"]["corrections"]
            return json.loads(text) if text else None
    raise AssertionError("no Load Keypoints in the prompt")


def joint_on_screen(comfy, file_data, frame, joint):
    """Return where a body joint lies on the screen, from the keypoints themselves."""
    record = file_data[frame]
    x, y = record["people"][0]["pose_keypoints_2d"][3 * joint : 3 * joint + 2]
    width, height = record["canvas_width"], record["canvas_height"]
    if 0 < x <= 1 and 0 < y <= 1:
        x, y = x * width, y * height
    box = comfy.evaluate(JOINT, ["LoadKeypoints", joint])
    scale = min(box["width"] / width, box["height"] / height)
    left = box["left"] + (box["width"] - scale * width) / 2
    top = box["top"] + (box["height"] - scale * height) / 2
    return left + x * scale, top + y * scale


def dragged(comfy, start, by):
    """Drag with the real mouse."""
    mouse = comfy.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2)
    mouse.move(start[0] + by[0], start[1] + by[1])
    mouse.up()
    comfy.page.wait_for_timeout(200)


def pictures_of(server, entry):
    """Return the pixels of the skeletons that a run has drawn."""
    files = [file for output in entry["outputs"].values() for file in output.get("images", ())]
    return [Image.open(io.BytesIO(server.file(file))).tobytes() for file in files]


@pytest.mark.parametrize("nodes2", [False, True], ids=["canvas", "nodes 2.0"])
def test_a_dragged_joint_changes_prompt_and_picture(open_page, server, keypoints_file, nodes2):
    comfy = open_page(nodes2=nodes2)
    entry = opened(comfy, keypoints_file)
    assert not entry["outputs"].get("3"), "only the node itself has run"
    assert corrections(comfy) is None
    straight = pictures_of(server, comfy.queue())
    data = server.get("/view", filename=keypoints_file, type="input")
    comfy.picture(f"stage_{nodes2}")
    dragged(comfy, joint_on_screen(comfy, data, 0, 4), (30, -20))
    comfy.picture(f"stage_dragged_{nodes2}")
    found = corrections(comfy)
    (edit,) = found["edits"]
    assert {key: edit[key] for key in ("person", "part", "joint", "first", "last")} == {
        **{"person": 0, "part": "body", "joint": 4, "first": 0, "last": 0},
    }
    assert edit["move"][0] > 5
    assert edit["move"][1] < -3
    bent = pictures_of(server, comfy.queue())
    assert bent[0] != straight[0], "the corrected frame has changed"
    assert bent[1:] == straight[1:], "and no other"
    graph = comfy.evaluate("() => window.app.graph.serialize()")
    if not nodes2:  # the graph is the same for both
        comfy.reload()
    comfy.load(graph)
    assert corrections(comfy) == found, "the correction is saved with the workflow"
    headless = server.result(server.queue(comfy.prompt()))
    assert pictures_of(server, headless)[0] == bent[0]
    assert comfy.errors == []


def test_hide_span_undo_and_clear_by_keyboard(open_page, keypoints_file):
    comfy = open_page()
    opened(comfy, keypoints_file)
    page = comfy.page
    page.get_by_label("joint", exact=True).select_option(label="left wrist")
    page.get_by_label("frames that a correction is for").select_option("rest")
    page.locator(CANVAS).focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    page.wait_for_timeout(100)
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(100)
    (edit,) = corrections(comfy)["edits"]
    assert (edit["first"], edit["last"], edit["joint"]) == (2, 23, 7)
    assert edit["move"] == [10, 0]
    page.keyboard.press("Delete")
    page.wait_for_timeout(100)
    (edit,) = corrections(comfy)["edits"]
    assert edit["hide"] is True
    page.get_by_role("button", name="Undo").click()
    page.wait_for_timeout(100)
    assert corrections(comfy)["edits"][0]["move"] == [10, 0]
    page.get_by_role("button", name="Delete all corrections").click()
    assert corrections(comfy) is None
    assert comfy.errors == []


def test_page_and_core_understand_the_same_texts(shared_page):
    def core_understands(text):
        try:
            read_corrections(text)
        except InputError:
            return False
        return True

    texts = [*GOOD, *BAD]
    expected = [text in GOOD for text in texts]
    assert [core_understands(text) for text in texts] == expected
    assert shared_page.evaluate(UNDERSTOOD, texts) == expected


def test_a_span_without_the_shown_frame_is_refused(open_page, keypoints_file):
    comfy = open_page()
    opened(comfy, keypoints_file)
    page = comfy.page
    page.get_by_label("frames that a correction is for").select_option("span")
    page.get_by_label("first frame").fill("6")
    page.get_by_label("last frame").fill("9")
    page.get_by_text("The shown frame is outside this span").wait_for()
    page.locator(CANVAS).focus()
    page.keyboard.press("Delete")
    assert corrections(comfy) is None
    for _ in range(5):
        page.keyboard.press("PageDown")
    page.keyboard.press("Delete")
    (edit,) = corrections(comfy)["edits"]
    assert (edit["first"], edit["last"], edit["hide"]) == (5, 8, True)
    page.get_by_text("Corrections changed").wait_for()
    assert comfy.errors == []


def test_a_correction_made_during_a_run_waits_for_the_next_one(open_page, keypoints_file):
    comfy = open_page()
    opened(comfy, keypoints_file)
    page = comfy.page
    page.locator(CANVAS).focus()
    page.keyboard.press("ArrowRight")
    changed = page.get_by_text("Corrections changed")
    changed.wait_for()
    before = comfy.newest()
    comfy.evaluate("""async () => {
      await window.app.queuePrompt(0);
      document.querySelector(".aa-stage-canvas").focus();
    }""")
    page.keyboard.press("ArrowRight")
    comfy.ended(before)
    page.wait_for_timeout(1000)
    assert changed.is_visible()
    comfy.queue()
    page.get_by_text("1 corrections", exact=True).wait_for()
    assert comfy.errors == []


def test_each_drag_is_one_step_of_undo(open_page, server, keypoints_file):
    comfy = open_page()
    opened(comfy, keypoints_file)
    page = comfy.page
    page.locator(CANVAS).evaluate(PRESSED, ["ArrowRight", UNDO_STEPS + 3])
    before = corrections(comfy)
    data = server.get("/view", filename=keypoints_file, type="input")
    dragged(comfy, joint_on_screen(comfy, data, 0, 7), (30, -20))
    assert len(corrections(comfy)["edits"]) == 2
    undo = page.get_by_role("button", name="Undo")
    undo.click()
    assert corrections(comfy) == before
    undo.evaluate("(e, n) => { for (let i = 0; i < n; i += 1) e.click(); }", UNDO_STEPS - 1)
    page.locator("button:disabled", has_text="Undo").wait_for()
    assert corrections(comfy)["edits"][0]["move"] == [4, 0], "the oldest ones are forgotten"


def test_update_runs_a_node_inside_of_a_subgraph(open_page, keypoints_file):
    comfy = open_page()
    comfy.evaluate("(p) => window.app.loadApiJson(p, 'inside')", alone(keypoints_file))
    comfy.page.wait_for_timeout(500)
    name = comfy.evaluate("""() => {
      const { app } = window;
      const node = app.graph._nodes.find((n) => n.type === "AnimateAnyone_LoadKeypoints");
      const { node: outer } = app.graph.convertToSubgraph(new Set([node]));
      app.canvas.setGraph(outer.subgraph);
      return String(outer.id);
    }""")
    comfy.evaluate(LOOK.replace("window.app.graph", "window.app.canvas.graph"), "LoadKeypoints")
    before = comfy.newest()
    comfy.page.get_by_role("button", name="Run only this node and the nodes that it needs").click()
    entry = comfy.ended(before)
    assert entry["status"]["status_str"] == "success"
    (ran,) = (key for key, output in entry["outputs"].items() if "aa_pose_stage" in output)
    assert ran.split(":")[0] == name
    comfy.wait(f"() => ({DRAWN})() > 50")
    assert comfy.errors == []


def test_malformed_corrections_are_named_and_cleared(open_page, server, keypoints_file):
    comfy = open_page()
    opened(comfy, keypoints_file)
    graph = comfy.evaluate("() => window.app.graph.serialize()")
    (node,) = (n for n in graph["nodes"] if n["type"] == "AnimateAnyone_LoadKeypoints")
    node["widgets_values"][-1] = '{"version": 1, "edits": [{"joint": '
    node.pop("widgets_values_named", None)
    comfy.load(graph)
    comfy.evaluate(LOOK, "LoadKeypoints")
    comfy.page.get_by_text("cannot be read").wait_for()
    entry = comfy.queue()
    assert entry["status"]["status_str"] == "error"
    assert "corrections got" in json.dumps(entry["status"])
    clear = comfy.page.get_by_role("button", name="Delete all corrections")
    clear.click()
    comfy.page.get_by_role("button", name="Undo").click()
    comfy.page.get_by_text("cannot be read").wait_for()
    clear.click()
    assert comfy.queue()["status"]["status_str"] == "success"
    assert comfy.errors == []


def test_retargeting_is_played_with_its_report(open_page, server):
    comfy = open_page()
    comfy.load("retarget_only")
    comfy.evaluate(LOOK, "RetargetPose")
    assert comfy.queue()["status"]["status_str"] == "success"
    comfy.wait(f"() => ({DRAWN})() > 50")
    page = comfy.page
    for layer in ("Driver", "Result", "Reference", "Picture"):
        button = page.get_by_role("button", name=layer, exact=True)
        assert button.get_attribute("aria-pressed") == "true"
    before = comfy.evaluate(DRAWN)
    page.get_by_role("button", name="Result", exact=True).click()
    comfy.wait(f"(n) => ({DRAWN})() < n", before)
    page.get_by_role("button", name="Result", exact=True).click()
    page.locator(".aa-stage summary").click()
    assert "forearm" in page.locator(".aa-stage-report").inner_text()
    counter = page.locator(".aa-stage-counter")
    first = counter.inner_text()
    page.get_by_role("button", name="Play", exact=True).click()
    comfy.wait("(text) => document.querySelector('.aa-stage-counter').textContent !== text", first)
    page.get_by_role("button", name="Pause", exact=True).click()
    comfy.picture("stage_retarget")
    prompt = comfy.prompt()
    assert node_of(prompt, "RetargetPose").keys() == (
        node_of(workflow("retarget_only"), "RetargetPose").keys() | {"corrections"}
    )
    assert comfy.errors == []


def test_a_thousand_frames_are_scrubbed_at_thirty_a_second(open_page, server, server_base):
    source = server_base / "custom_nodes/animate_anyone/workflows/inputs/motion.json"
    frames = json.loads(source.read_text())
    long = (frames * (1000 // len(frames) + 1))[:1000]
    (server_base / "input/long.json").write_text(json.dumps(long))
    comfy = open_page()
    opened(comfy, "long.json")
    # Processor time of the page's main thread, whatever else the machine does.
    session = comfy.page.context.new_cdp_session(comfy.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent_ms():
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    before = spent_ms()
    comfy.evaluate(
        """
        async (count) => {
          const range = document.querySelector(".aa-stage input[type=range]");
          for (let i = 0; i < count; i += 1) {
            range.value = String((i * 37) % 1000);
            range.dispatchEvent(new Event("input"));
            await new Promise((done) => requestAnimationFrame(() => done()));
          }
        }
        """,
        SCRUB_FRAMES,
    )
    each = (spent_ms() - before) / SCRUB_FRAMES
    assert each < FRAME_MS, f"{each:.1f} ms a frame"
    assert comfy.page.locator(".aa-stage-counter").inner_text().endswith("/ 1000")
