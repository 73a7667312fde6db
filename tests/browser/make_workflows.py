"""Makes workflows/*.json and their thumbnails from the API twins; run when a node's inputs change:

.venv/bin/python -m pytest tests/browser/make_workflows.py [-k NAME]

The page itself builds and saves each graph. What stands where, and the notes, is in layouts.json
beside this file. A thumbnail is made of the clip that the workflow gives.
"""

import io
import json
from pathlib import Path

import av
import pytest
from PIL import Image, ImageOps

from comfy_client import WORKFLOWS as TWINS

HERE = Path(__file__).resolve().parent
LAYOUTS = json.loads((HERE / "layouts.json").read_text(encoding="utf-8"))
FOLDER = TWINS.parent
TILE = 256  # pixels of a side
TILES = ((0, 0), (TILE, 0), (0, TILE), (TILE, TILE))  # four frames in a square

ARRANGE = """
([layout, sizes]) => {
  const PAD = 24, HEAD = 44, TITLE = 34, GAP_X = 50, GAP_Y = 26, GROUP_GAP = 60;
  const graph = window.app.graph;
  const byId = Object.fromEntries(graph._nodes.map((n) => [String(n.id), n]));
  const note = LiteGraph.createNode("MarkdownNote");
  graph.add(note);
  note.widgets[0].value = layout.note;
  note.title = "Read me";
  note.size = [340, 300];
  byId.note = note;
  let x = 0;
  for (const { title, color, columns } of layout.groups) {
    const left = x;
    let low = 0, roomy = 0;
    x += PAD;
    for (const column of columns) {
      let y = HEAD + TITLE, width = 0;
      for (const id of column) {
        const node = byId[String(id)];
        if (node !== note) {
          const [w, h] = node.computeSize();
          const [least, room] = sizes[node.type] ?? [300, 0];
          node.setSize([Math.max(w, least), h]);
          roomy = Math.max(roomy, y + h + room);
        }
        node.pos = [x, y];
        y += node.size[1] + TITLE + GAP_Y;
        for (const widget of node.widgets ?? []) {
          if (widget.name === "control_after_generate") {
            widget.value = "fixed";
          }
        }
        width = Math.max(width, node.size[0]);
        delete byId[String(id)];
      }
      low = Math.max(low, y - TITLE);
      x += width + GAP_X;
    }
    x += PAD - GAP_X;
    const group = new LiteGraph.LGraphGroup(title);
    group.color = color;
    group.pos = [left, 0];
    group.size = [x - left, Math.max(low, roomy + PAD)];
    graph.add(group);
    x += GROUP_GAP;
  }
  return Object.keys(byId);
}
"""
SIZES = {  # pixels: least width, and room below for what a run shows
    "AnimateAnyone_RetargetPose": (420, 0),
    "AnimateAnyone_LoadKeypoints": (420, 0),
    "AnimateAnyone_Compare": (420, 0),
    "AnimateAnyone_Animate": (340, 300),
    "AnimateAnyone_DecodeToVideo": (320, 340),
    "AnimateAnyone_Evaluate": (340, 120),
    "KSampler": (300, 300),
    "SamplerCustomAdvanced": (300, 300),
    "PreviewImage": (320, 320),
}


def saved(graph):
    """Return a graph as it goes into the file: plain numbers, nothing of this page or moment."""
    for node in graph["nodes"]:
        node["id"] = int(node["id"])
        node["pos"] = [round(value) for value in node["pos"]]
        node["size"] = [round(value) for value in node["size"]]
        node["properties"].pop("cnr_id", None)
        node["properties"].pop("ver", None)
    graph["links"] = [[int(i), int(a), b, int(c), *rest] for i, a, b, c, *rest in graph["links"]]
    graph["id"] = "00000000-0000-0000-0000-000000000000"
    graph["extra"] = {"ds": {"scale": 0.6, "offset": [140, 150]}}
    graph["last_node_id"] = max(node["id"] for node in graph["nodes"])
    return graph


def shown_frames(server, outputs):
    """Return frames of the last clip, or pictures, that a run has shown."""
    files = [file for output in outputs.values() for file in output.get("images", ())]
    videos = [file for file in files if file["filename"].endswith(".mp4")]
    if videos:
        with av.open(io.BytesIO(server.file(videos[-1]))) as container:
            return [frame.to_image() for frame in container.decode(video=0)]
    return [Image.open(io.BytesIO(server.file(file))).convert("RGB") for file in files]


def thumbnail(frames):
    """Return four frames, spread over the clip, in a square; two of a wide clip, none cut off."""
    sheet = Image.new("RGB", (2 * TILE, 2 * TILE))
    wide = frames[0].width >= 1.5 * frames[0].height
    tiles, size = (TILES[::2], (2 * TILE, TILE)) if wide else (TILES, (TILE, TILE))
    for place, corner in enumerate(tiles):
        frame = frames[place * (len(frames) - 1) // (len(tiles) - 1)]
        sheet.paste(ImageOps.fit(frame, size, Image.Resampling.LANCZOS), corner)
    return sheet


@pytest.mark.parametrize("name", LAYOUTS)
def test_make(open_page, server, name):
    twin_path = TWINS / f"{name}.json"
    twin = json.loads(twin_path.read_text(encoding="utf-8"))
    comfy = open_page()
    comfy.evaluate("([p, n]) => window.app.loadApiJson(p, n)", [twin, name])
    comfy.page.wait_for_timeout(1500)
    left_out = comfy.evaluate(ARRANGE, [LAYOUTS[name], SIZES])
    assert left_out == [], "nodes without a place in layouts.json"
    prompt = comfy.prompt()
    for key, node in twin.items():  # widgets that are new since the twin was written
        missing = prompt[key]["inputs"].keys() - node["inputs"].keys()
        node["inputs"] |= {each: prompt[key]["inputs"][each] for each in missing}
        assert prompt[key]["inputs"] == node["inputs"], f"{name}: node {key}"
    graph = saved(json.loads(comfy.evaluate("() => JSON.stringify(window.app.graph.serialize())")))
    (FOLDER / f"{name}.json").write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8")
    twin_path.write_text(json.dumps(twin, indent=2) + "\n", encoding="utf-8")
    comfy.load(name)
    again = comfy.prompt()
    assert {key: node["inputs"] for key, node in again.items()} == {
        key: node["inputs"] for key, node in twin.items()
    }
    comfy.picture(f"workflow_{name}")
    frames = shown_frames(server, server.run(twin))
    thumbnail(frames).save(FOLDER / f"{name}.jpg", quality=80)
