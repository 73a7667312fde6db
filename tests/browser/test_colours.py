"""What Chromium shows of the clips that are written: the colours and the alpha of their frames."""

import base64

import numpy as np
from colour_patches import ALPHAS, COLOURS, HEIGHTS, middles, patches

from animate_anyone.media import VideoWriter
from animate_anyone.types import Size

LEVELS = 3  # of 255, between a frame and what is shown

# Draws a frame of each clip on a canvas, and returns its size and colours at some places.
READ = """
async (clips) => {
  const all = [];
  for (const { source, places } of clips) {
    const video = document.createElement('video');
    video.muted = true;
    video.src = source;
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error(video.error.message));
    });
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const read = () => {
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(video, 0, 0);
      return places.map(([x, y]) => [...context.getImageData(x, y, 1, 1).data]);
    };
    let colours = read();
    await video.play();
    for (let tries = 0; tries < 300 && !colours.flat().some(Boolean); tries += 1) {
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      colours = read();
    }
    all.push({ size: [canvas.width, canvas.height], colours });
  }
  return all;
}
"""


def clip(folder, name, width, height, crf=16):
    """Write a clip of patches; return it as the page takes it."""
    path, alpha = folder / name, name.startswith("alpha")
    with VideoWriter(path, Size(width, height), 24, crf=crf, alpha=alpha) as writer:
        writer.write(np.stack([patches(width, height, alpha)] * 2))
    data = base64.b64encode(path.read_bytes()).decode()
    kind = "webm" if path.suffix == ".webm" else "mp4"
    return {"source": f"data:video/{kind};base64,{data}", "places": middles(width, height)}


def test_clips_are_shown_in_the_colours_of_their_frames(chromium, tmp_path):
    clips = {f"{height}.mp4": clip(tmp_path, f"{height}.mp4", 160, height) for height in HEIGHTS}
    more = {"odd.mp4": (161, 721), "big.webm": (160, 768), "alpha.webm": (160, 768)}
    clips |= {name: clip(tmp_path, name, *size) for name, size in more.items()}
    clips["compare.mp4"] = clip(tmp_path, "compare.mp4", 320, 720, crf=10)
    page = chromium.new_page()
    try:
        seen = dict(zip(clips, page.evaluate(READ, list(clips.values())), strict=True))
    finally:
        page.close()

    assert seen["odd.mp4"]["size"] == [162, 722]
    off = {
        name: np.abs(np.array(one["colours"])[:, :3] - COLOURS.astype(int)).max()
        for name, one in seen.items()
    }
    assert max(off.values()) <= LEVELS, off
    alphas = np.array(seen["alpha.webm"]["colours"])[:, 3]
    assert np.abs(alphas - ALPHAS.astype(int)).max() <= LEVELS
