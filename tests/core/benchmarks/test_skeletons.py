"""The skeletons that benchmarks draw."""

import numpy as np

from benchmarks.skeletons import DRIVER_VIEW, NEUTRAL, film, make_body


def test_faces_stand_upright():
    clip = film(make_body(np.random.default_rng(0)), [NEUTRAL], DRIVER_VIEW)
    assert clip.face is not None
    rows = clip.face.xy[0, 0, :, 1]
    chin, brow, eye, mouth = rows[8], rows[19], rows[36:42].mean(), rows[48:60].mean()
    assert brow < eye < mouth < chin < clip.body.xy[0, 0, 1, 1]
