"""Folders of pictures, and files that are no clips at all."""

from pathlib import Path

import numpy as np

from ..case import Case
from ..clip_checks import a_picture, shows
from ..clip_files import PLAIN, cut, holding, moving, picture, quarters, together
from ..clips import a_case
from .stills import png


def _empty_folders(folder: Path) -> Path:
    (folder / "frames" / "day 1").mkdir(parents=True)
    return folder / "frames"


# Name of the kind, name of the file, its first bytes, words of the error.
_NO_CLIPS = (
    ("SVG", "a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="64"/>', "cannot be decoded"),
    ("PDF", "a.pdf", b"%PDF-1.7\n", "PDF"),
    ("ZIP of frames", "frames.zip", b"PK\x03\x04" + bytes(40), "it is an archive"),
    ("keypoints packed by gzip", "keypoints.json.gz", b"\x1f\x8b\x08" + bytes(40), "gzip"),
    ("NumPy's array", "poses.npy", b"\x93NUMPY\x01\0" + bytes(40), "NumPy"),
    ("NumPy's arrays", "a.npz", b"PK\x03\x04" + bytes(26) + b"kp.npy", "arrays of NumPy"),
    ("pickle of Python", "poses.pkl", b"\x80\x04\x95" + bytes(40), "as JSON"),
    ("motion in space (BVH)", "walk.bvh", b"HIERARCHY\nROOT Hips\n{\n", "BVH"),
    ("HTML page of a failed download", "a.mp4", b"<!DOCTYPE html><html></html>", "web page"),
    (
        *("Git LFS pointer", "a.mp4"),
        *(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"),
    ),
)

FOLDERS: tuple[Case, ...] = (
    *(
        a_case(name, "refused", holding(file, data), shows(), words)
        for name, file, data, words in _NO_CLIPS
    ),
    a_case(
        "picture of 20,000 x 20,000 pixels",
        "refused",
        holding("a.png", png(np.zeros((1, 1)), 0, 8, size=(20000, 20000))),
        a_picture(),
        "178 million pixels",
    ),
    a_case(
        "folder of JPEG, PNG with alpha, and TIFF",
        "within 4",
        together(
            picture("0.jpg", quarters(), quality=100, subsampling=0),
            picture("1.png", quarters(), "RGBA"),
            picture("2.tif", quarters()),
        ),
        shows(frames=3),
    ),
    a_case(
        "folder of pictures of two sizes",
        "refused",
        together(picture("0.png", quarters()), picture("1.png", quarters(32, 24))),
        shows(),
        "the frames of a clip have one size",
    ),
    a_case(
        "folder in which a picture is missing",
        "one after another; told",
        together(*(picture(f"{n}.png", quarters()) for n in (1, 2, 4))),
        shows(within=0, frames=3, said="1 of 4 file numbers are missing"),
    ),
    a_case(
        "folder of two takes",
        "one after another; told",
        together(*(picture(f"{take}_{n}.png", quarters()) for take in "ab" for n in (1, 2))),
        shows(within=0, frames=4, said="names of 2 kinds"),
    ),
    a_case(
        "folder of every fifth frame",
        "one after another",
        together(*(picture(f"{n:05}.png", quarters()) for n in (0, 5, 10))),
        shows(within=0, frames=3, silent=True),
    ),
    a_case(
        "folder with an animated picture",
        "its first frame; told",
        together(
            picture("0.png", quarters()),
            moving("1.webp", [quarters(), 255 - quarters()], 100, lossless=True),
        ),
        shows(within=0, frames=2, said="1.webp"),
    ),
    a_case(
        "folder with a damaged picture",
        "refused, with its name",
        together(picture("0.png", quarters()), cut(picture("1.png", quarters()), 0.5)),
        shows(),
        "1.png; it cannot be decoded",
    ),
    a_case(
        "folder with an empty picture",
        "refused, with its name",
        together(picture("0.png", quarters()), holding("1.png", b"")),
        shows(),
        "1.png; it cannot be decoded",
    ),
    a_case("folder of folders", "refused", _empty_folders, shows(), "holds no pictures"),
    a_case(
        "folder of hidden pictures alone",
        "refused",
        together(picture(".0.png", quarters())),
        shows(),
        "holds no pictures",
    ),
    a_case(
        "folder with a video beside its pictures",
        "the pictures; told",
        together(picture("0.png", quarters()), PLAIN),
        shows(within=0, frames=1, said="passed over: 1 (plain.mp4)"),
    ),
)
