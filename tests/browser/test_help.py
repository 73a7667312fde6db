"""The help panel shows our pages, and the page speaks Chinese where it is set so."""

import pytest

NODE = "AnimateAnyone_Animate"
OPEN = """
() => {
  const node = window.app.graph._nodes.find((one) => one.type === "AnimateAnyone_Animate");
  window.app.canvas.selectNode(node);
  window.app.canvas.centerOnNode(node);
}
"""
SHOWN = """
(src) => {
  const image = [...document.querySelectorAll("img")].find((one) => one.src.includes(src));
  return image?.complete && image.naturalWidth > 0 && image.closest("div").innerText;
}
"""


def open_help(comfy):
    """Open the help of a node as a user does; return its text once its picture is there."""
    comfy.load("first_run")
    comfy.evaluate(OPEN)
    comfy.page.wait_for_timeout(500)
    comfy.page.locator("[data-testid=info-button]").first.click()
    return comfy.wait(SHOWN, f"/docs/{NODE}/node.webp").json_value()


@pytest.mark.page("another language")
def test_names_are_chinese(open_page):
    comfy = open_page(locale="zh")
    comfy.load("first_run")
    title, overlap = comfy.node("Animate").evaluate(
        "(node) => [node.constructor.title ?? node.title,"
        " node.widgets.find((one) => one.name === 'overlap').label]"
    )
    comfy.picture("chinese")
    assert title == "生成动画 (Animate Anyone)"
    assert overlap == "重叠帧数"


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ["Frames that neighbouring windows share"]),
        pytest.param("zh", ["相邻窗口共用的帧数"], marks=pytest.mark.page("another language")),
    ],
)
def test_help_panel_shows_text_and_picture(open_page, locale, words):
    comfy = open_page(locale=locale)
    text = open_help(comfy)
    comfy.picture(f"help_{locale}")
    assert all(word in text for word in words)
    assert not comfy.errors
