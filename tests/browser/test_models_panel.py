"""The panel of model files: its texts, and downloads that it starts, shows and stops."""

import json

import pytest

READ = """() => [...document.querySelectorAll(".aa-models")].map((panel) => ({
  text: panel.innerText,
  rows: [...panel.querySelectorAll("li")].map((row) => row.innerText.split("\\n")),
  buttons: [...panel.querySelectorAll("button")]
    .filter((button) => button.checkVisibility()).map((button) => button.innerText),
  bar: panel.querySelector("progress").checkVisibility()
    ? panel.querySelector("progress").value : null,
}))"""
ADD = """([kind, values]) => {
  const node = LiteGraph.createNode(`AnimateAnyone_${kind}`);
  node.pos = [80, 120];
  app.graph.add(node);
  node.setSize([330, node.computeSize()[1]]);
  for (const [name, value] of Object.entries(values)) {
    const widget = node.widgets.find((one) => one.name === name);
    widget.value = value;
    widget.callback?.(value);
  }
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [0, 0];
  app.canvas.setDirty(true, true);
}"""
TELL = """(detail) => window.comfyAPI.api.api.dispatchEvent(
  new CustomEvent("animate_anyone.download", { detail }))"""


class Hub:
    """A substitute for the server: lists files and answers the requests of pages."""

    def __init__(self, server):
        self.models = server.get("/animate_anyone/models")
        self.models["download"] = None
        self.pages, self.asked = [], []

    def serve(self, comfy):
        """Answer one more page."""
        self.pages.append(comfy)
        comfy.page.on("request", self._note)
        comfy.page.route(
            "**/api/animate_anyone/models*", lambda route: route.fulfill(json=self.models)
        )
        comfy.page.route("**/api/animate_anyone/download*", self._start)
        comfy.page.route("**/api/animate_anyone/download/cancel*", self._cancel)

    def leave(self):
        """Let the server answer the pages again."""
        for comfy in self.pages:
            comfy.page.remove_listener("request", self._note)
            for route in ("models*", "download*", "download/cancel*"):
                comfy.page.unroute(f"**/api/animate_anyone/{route}")

    def _note(self, request):
        local = request.url.startswith(self.pages[0].server.address)
        if not local or (request.method == "POST" and "/animate_anyone/" in request.url):
            self.asked.append(f"{request.method} {request.url.split('/', 3)[3]}")

    def _start(self, route):
        self.body = json.loads(route.request.post_data)
        if self.models["download"] and self.models["download"]["state"] == "running":
            route.fulfill(status=400, json={"error": "one set is downloaded at a time"})
            return
        state = {"set": self.body["set"], "state": "running", "file": "", "done": 0}
        state |= {"total": 10_250_911_763, "exact": False, "checking": False}
        self.models["download"] = state | {"speed": 0.0, "error": None}
        route.fulfill(json=self.models["download"])

    def _cancel(self, route):
        route.fulfill(json=self.models["download"])

    def file(self, name, role, **changes):
        """Change the state of a file."""
        found = next(f for f in self.models["sets"][name]["files"] if f["role"] == role)
        found |= changes

    def tell(self, **changes):
        """Change the download and send it to all pages, as the server does."""
        self.models["download"] = self.models["download"] | changes
        for comfy in self.pages:
            comfy.evaluate(TELL, self.models["download"])


@pytest.fixture
def hub(server, open_page):
    del open_page  # requested so that the hub leaves the pages before they are closed or kept
    hub = Hub(server)
    yield hub
    hub.leave()


@pytest.fixture
def panel(open_page, hub, comfy_host):
    """Return a function that opens a page with one loader and returns its panel."""

    def open_one(kind="LoadModels", *, nodes2=False, **values):
        if nodes2 and comfy_host.version.startswith("0.3."):
            pytest.skip("the first trial of Nodes 2.0 shows no elements of packs")
        comfy = open_page(nodes2=nodes2)
        hub.serve(comfy)
        comfy.evaluate("() => app.graph.clear()")
        comfy.evaluate(ADD, [kind, values])
        return Panel(comfy)

    return open_one


class Panel:
    """The only panel of a page."""

    def __init__(self, comfy):
        self.comfy = comfy

    def read(self):
        (seen,) = self.comfy.evaluate(READ)
        return seen

    def wait(self, *words):
        """Wait until all of these words are shown; return the content of the panel."""
        self.comfy.wait(
            "(words) => words.every((word) =>"
            " document.querySelector('.aa-models')?.innerText.includes(word))",
            list(words),
        )
        return self.read()

    def set(self, name, value):
        self.comfy.evaluate(
            "([name, value]) => { const widget = app.graph._nodes[0].widgets.find("
            "(one) => one.name === name); widget.value = value; widget.callback?.(value); }",
            [name, value],
        )

    def press(self, name):
        self.comfy.page.locator(".aa-models").get_by_role("button", name=name, exact=False).click()


def contrasts(comfy):
    """Return the lowest contrast of a text in the panel with its background."""
    return comfy.evaluate("""() => {
      const parse = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = (colour) => {
        const [r, g, b] = parse(colour).map((value) => value / 255)
          .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const panel = document.querySelector(".aa-models");
      const ground = light(getComputedStyle(panel).backgroundColor);
      const values = [...panel.querySelectorAll("span, a, div, strong")].map((element) => {
        const text = light(getComputedStyle(element).color);
        return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
      });
      return Math.min(...values);
    }""")


@pytest.mark.parametrize("nodes2", [False, True], ids=["canvas", "nodes2"])
def test_a_set_is_downloaded_from_the_panel(panel, hub, nodes2):
    mine = panel(nodes2=nodes2)
    comfy = mine.comfy
    seen = mine.wait("aa-mini comes with the pack: nothing to download", "Apache-2.0")
    assert (seen["rows"], seen["buttons"]) == ([], [])

    mine.set("preset", "moore")
    seen = mine.wait("Moore-AnimateAnyone", "0 of 6 files present", "CreativeML OpenRAIL-M")
    assert ["missing", "denoising_unet.pth", "3.44 GB"] in seen["rows"]
    assert ["missing", "pose_guider.pth", "about 4.00 MB"] in seen["rows"]
    assert seen["buttons"] == ["Download missing (about 10.3 GB)"]
    mine.set("preset", "files (detect the kind)")
    assert mine.wait("choose it as preset")["rows"] == []
    mine.set("preset", "moore")
    mine.wait("0 of 6 files present")
    assert contrasts(comfy) >= 4.5
    assert hub.asked == []

    mine.press("Download missing")
    seen = mine.wait("Cancel")
    assert hub.body == {"set": "moore"}
    assert hub.asked == ["POST api/animate_anyone/download"]
    first = {"file": "moore/denoising_unet.pth", "speed": 5e7}
    hub.tell(done=1_700_000_000, **first)
    seen = mine.wait("1.70 GB of about 10.3 GB, 50.0 MB/s, 3 min left")
    assert seen["bar"] == pytest.approx(0.166, abs=0.01)
    assert ["downloading", "denoising_unet.pth", "3.44 GB"] in seen["rows"]
    comfy.picture(f"models_running_{'nodes2' if nodes2 else 'canvas'}")
    hub.tell(done=3_400_000_000, **first)
    assert mine.wait("3.40 GB of")["bar"] == pytest.approx(0.332, abs=0.01)
    hub.tell(done=3_438_374_293, checking=True)
    mine.wait("checking denoising_unet.pth")

    mine.press("Cancel")
    mine.wait("Stopping")
    hub.file("moore", "denoiser", state="partial", bytes_there=1_719_187_146)
    hub.tell(state="cancelled", checking=False)
    seen = mine.wait("Stopped. Downloaded parts are kept.", "49 %")
    assert ["49 %", "denoising_unet.pth", "3.44 GB"] in seen["rows"]
    assert seen["buttons"] == ["Resume (about 8.53 GB)"]
    mine.press("Resume")
    mine.wait("Cancel")
    hub.tell(state="failed", error="moore/motion_module.pth has the sha256 0, expected is 1.")
    assert mine.wait("has the sha256 0")["buttons"] == ["Resume (about 8.53 GB)"]
    comfy.picture(f"models_failed_{'nodes2' if nodes2 else 'canvas'}")
    assert comfy.errors == []
    hub.models["download"]["state"] = "running"  # without an event to this page
    mine.press("Resume")
    assert mine.wait("one set is downloaded at a time", "Cancel")["bar"] is not None
    assert len(comfy.errors) == 1  # the browser's own line on status 400


@pytest.mark.page("tabs")
def test_a_reload_and_a_second_tab_see_the_running_download(panel, hub, server_base):
    mine = panel(preset="moore")
    mine.wait("0 of 6 files present")
    mine.press("Download missing")
    mine.wait("Cancel")
    hub.tell(done=1_000_000_000, file="moore/denoising_unet.pth")
    mine.wait("1.00 GB of")

    mine.comfy.page.reload()
    mine.comfy.wait("() => window.app?.graph && document.getElementById('animate-anyone-style')")
    mine.comfy.wait("() => LiteGraph.registered_node_types.AnimateAnyone_LoadModels")
    mine.comfy.evaluate("() => app.graph.clear()")
    mine.comfy.evaluate(ADD, ["LoadModels", {"preset": "moore"}])
    assert mine.wait("1.00 GB of", "Cancel")["bar"] == pytest.approx(0.098, abs=0.01)

    second = panel(preset="musepose")
    seen = second.wait("Moore-AnimateAnyone is being downloaded; one set at a time")
    assert second.comfy.page.locator(".aa-models").get_by_role("button").is_disabled()
    second.set("preset", "moore")
    second.wait("1.00 GB of")
    hub.tell(done=2_000_000_000)
    assert mine.wait("2.00 GB of")["bar"] == second.wait("2.00 GB of")["bar"]

    folder = server_base / "models/animate_anyone/moore"
    folder.mkdir()
    for file in hub.models["sets"]["moore"]["files"]:
        file |= {"state": "present", "size": file["size"] or 1}
        if file["folder"] == "animate_anyone":
            (folder.parent / file["name"]).write_bytes(b"x")
    try:
        hub.tell(state="done", done=10_250_911_763)
        for one in (mine, second):
            seen = one.wait("6 of 6 files present", "in Load CLIP Vision")
            assert seen["buttons"] == ["Use these files"]
        second.press("Use these files")
        second.comfy.wait("() => app.graph._nodes[0].widgets[1].value !== '(none)'")
        prompt = second.comfy.prompt()["1"]["inputs"]
        assert prompt == {
            "preset": "moore",
            "denoiser": "moore/denoising_unet.pth",
            "motion": "moore/motion_module.pth",
            "reference_net": "moore/reference_unet.pth",
            "pose_guider": "moore/pose_guider.pth",
            "dtype": "automatic",
        }
        assert second.read()["buttons"] == []
        listed = second.comfy.evaluate("() => app.graph._nodes[0].widgets[1].options.values")
        assert "moore/denoising_unet.pth" in listed
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert mine.comfy.errors + second.comfy.errors == []


@pytest.mark.parametrize("nodes2", [True], ids=["nodes2"])
def test_a_workflow_whose_model_is_missing_says_which_and_keeps_everything(panel, hub, nodes2):
    mine = panel("LoadDWPose", nodes2=nodes2)
    seen = mine.wait("aa-mini's own pair is chosen", "DWPose", "YOLOX, DWPose")
    assert ["missing", "yolox_l.onnx", "217 MB"] in seen["rows"]
    mine.set("detector", "yolox_l.onnx")
    mine.wait("Not on this server: detector yolox_l.onnx. Part of DWPose")
    for role in ("detector", "estimator"):
        hub.file("dwpose", role, state="present")
    hub.models["download"] = {"set": "dwpose", "file": "", "done": 1, "total": 1, "error": None}
    hub.tell(state="done", exact=True, checking=False, speed=0)
    mine.wait("2 of 2 files present")
    mine.press("Use these files")
    mine.comfy.wait("() => app.graph._nodes[0].widgets[1].value === 'dw-ll_ucoco_384.onnx'")
    assert mine.read()["buttons"] == []

    comfy = mine.comfy
    graph = comfy.evaluate("() => app.graph.clear() ?? app.graph.serialize()")
    values = ["files (detect the kind)", r"musepose\denoising_unet.pth", "mine.safetensors"]
    values += ["(none)", "(none)", "bf16"]
    node = {"id": 1, "type": "AnimateAnyone_LoadModels", "pos": [80, 120], "size": [330, 280]}
    node |= {"widgets_values": values, "inputs": [], "outputs": [], "properties": {}}
    comfy.load(
        {**graph, "nodes": [{**node, "flags": {}, "order": 0, "mode": 0}], "last_node_id": 1}
    )
    seen = mine.wait(
        r"Not on this server: denoiser musepose\denoising_unet.pth. Part of MusePose, which",
        "Not on this server: motion mine.safetensors. It belongs to no published set",
        "non-commercial research only",
    )
    assert seen["buttons"] == ["Download missing (about 9.31 GB)"]
    comfy.picture("models_missing_nodes2")
    saved = comfy.evaluate("() => app.graph.serialize().nodes[0].widgets_values")
    assert saved == values
    assert list(comfy.prompt()["1"]["inputs"].values()) == values
    assert hub.asked == []
    assert comfy.errors == []
