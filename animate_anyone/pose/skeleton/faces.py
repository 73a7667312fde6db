"""Faces of several layouts as the 68 points of iBUG (300-W), the layout of this project.

iBUG counts from the right ear over the chin: 0-16 jaw, 17-21 right and 22-26 left brow, 27-30
bridge of the nose, 31-35 its base, 36-41 right and 42-47 left eye, 48-59 outer and 60-67 inner
lips. "Right" is the person's right, the left side of the picture.
"""

# For each of the 68 points the nearest vertex of MediaPipe's face mesh. On its outlines vertices
# were chosen at even distances along the curve, measured on the mesh's canonical face.
_MESH = (
    *(127, 234, 93, 132, 58, 136, 149, 148, 152, 377, 378, 365, 288, 361, 323, 454, 356),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 1, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 81, 13, 311, 308, 402, 14, 178),
)
_IBUG = tuple(range(68))
# By the number of points: which of them are the 68. OpenPose adds the pupils at the end, and
# MediaPipe's mesh of 478 the irises.
FACES: dict[int, tuple[int, ...]] = {68: _IBUG, 70: _IBUG, 468: _MESH, 478: _MESH}

assert len(_MESH) == len(set(_MESH)) == 68
