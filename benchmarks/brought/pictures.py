"""Moving and still pictures, names, folders, and files that are refused."""

from pathlib import Path

import numpy as np
from PIL import Image

from .case import Case
from .clip_checks import a_picture, counts, shows
from .clip_files import (
    FRAMES,
    PLAIN,
    counted,
    cut,
    holding,
    moving,
    picture,
    quarters,
    renamed,
    sound,
    together,
)
from .clips import BLACK, WHITE, a_case

# Names that some program takes for something else: a protocol, a quotation, a pattern, an option.
NAMES = ("take: 1.mp4", "it's \"new\".mp4", "a b\nc.mp4", "舞蹈 é.mp4", "frame%03d [x].mp4",
    "-i.mp4", "no suffix", "1.0 final.MP4")  # fmt: skip

_STEPS = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in counted(6)]
_MOVING = (
    a_case(
        "GIF",
        "6 frames at 10 per second",
        moving("dance.gif", counted(6), 100),
        counts(range(6), 10),
    ),
    a_case(
        "GIF whose frames last differently",
        "even at 10 frames per second; told",
        moving("slow.gif", counted(4), [100, 100, 300, 100]),
        counts([0, 1, 2, 2, 2, 3], 10, "varies"),
    ),
    a_case(
        "animated WebP",
        "6 frames at 12 per second",
        moving("dance.webp", _STEPS, [83, 84, 83, 83, 84, 83], lossless=True),
        counts(range(6), 12),
    ),
    a_case(
        "animated PNG",
        "6 frames at 10 per second",
        moving("dance.png", _STEPS, 100),
        counts(range(6), 10),
    ),
    a_case(
        "animated PNG with a still picture in front",
        "5 frames, without the still one",
        moving("still.png", _STEPS, 100, default_image=True),
        counts(range(1, 6), 10),
    ),
)

_NAMES = (
    a_case("video named .png", "read as a video", renamed(PLAIN, "clip.png"), shows(frames=FRAMES)),
    a_case(
        "PNG named .jpg",
        "read as a picture",
        renamed(picture("a.png", quarters()), "photo.jpg"),
        a_picture(within=0),
    ),
    a_case(
        "GIF named .mp4",
        "read as a moving picture",
        renamed(moving("a.gif", counted(6), 100), "clip.mp4"),
        counts(range(6), 10),
    ),
    *(
        a_case(f"the name {name!r}", "read", renamed(PLAIN, name), shows(silent=True))
        for name in NAMES
    ),
)

_FOLDERS = (
    a_case(
        "folder with hidden files of macOS and Windows",
        "they are passed over",
        together(
            picture("1.png", quarters()),
            holding("._1.png", b"no picture"),
            holding(".DS_Store", b"Bud1"),
            holding("Thumbs.db", b"db"),
        ),
        shows(within=0, frames=1, silent=True),
    ),
    a_case(
        "folder with notes beside its pictures",
        "the pictures; told",
        together(picture("1.png", quarters()), holding("notes.txt", b"take 2")),
        shows(within=0, frames=1, said="passed over: 1 (notes.txt)"),
    ),
    a_case(
        "folder of frames 1 to 11",
        "in the order of the numbers",
        together(*(picture(f"f{n}.png", frame) for n, frame in enumerate(counted(12)))),
        counts(range(12), None),
    ),
)


def _few(folder: Path) -> Path:
    """Write a PNG with a palette of eight colours."""
    Image.fromarray(quarters()).quantize(8).save(folder / "few.png")
    return folder / "few.png"


def _photo(folder: Path) -> Path:
    """Write a JPEG that a camera held upright stored lying, with the turn in its EXIF data."""
    image = Image.fromarray(np.rot90(quarters()).copy())
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "photo.jpg", exif=exif, quality=100, subsampling=0)
    return folder / "photo.jpg"


_DEEP = np.repeat(np.repeat(np.array([[0, 16384], [32768, 65535]], np.uint16), 24, 0), 32, 1)
_PICTURES = (
    a_case("photo turned by its EXIF data", "upright, within 4", _photo, a_picture()),
    a_case(
        "grey PNG of 16 bits",
        "its upper 8 bits",
        picture("deep.png", _DEEP),
        a_picture((BLACK, (64,) * 3, (128,) * 3, WHITE), 0),
    ),
    a_case("PNG with a palette", "within 4", _few, a_picture()),
    a_case(
        "JPEG of a printer (CMYK)",
        "within 4",
        picture("print.jpg", quarters(), "CMYK", quality=100),
        a_picture(),
    ),
)

_REFUSED = (
    a_case(
        "text named .mp4", "refused", holding("a.mp4", b"no video"), shows(), "cannot be decoded"
    ),
    a_case("empty file", "refused", holding("a.mp4", b""), shows(), "cannot be decoded"),
    a_case("MP4 without its end", "refused", cut(PLAIN, 0.5), shows(), "cannot be decoded"),
    a_case("sound alone", "refused", sound("a.mp4"), shows(), "holds no video"),
    a_case(
        "sound with a cover picture",
        "refused",
        sound("a.mp4", cover=True),
        shows(),
        "holds no video",
    ),
    a_case(
        "HEIC photo",
        "refused, with what to do",
        holding("a.heic", b"\0\0\0\x18ftypheic" + bytes(64)),
        shows(),
        "HEIC photo",
    ),
    a_case(
        "folder without pictures",
        "refused",
        together(holding("a.txt", b"")),
        shows(),
        "holds no pictures",
    ),
    a_case(
        "damaged PNG",
        "refused",
        cut(picture("a.png", quarters()), 0.5),
        a_picture(),
        "cannot be decoded",
    ),
    a_case(
        "TIFF of float numbers",
        "refused",
        picture("a.tif", np.zeros((8, 8), np.float32)),
        a_picture(),
        "unknown range",
    ),
)


PICTURES: tuple[Case, ...] = (*_MOVING, *_NAMES, *_FOLDERS, *_PICTURES, *_REFUSED)
