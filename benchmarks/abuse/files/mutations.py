"""Seeded damage to bytes and to JSON values."""

import copy
import json
import random
import struct
from typing import Any

HEAD = 600  # bytes at the start of a file, where most formats keep what they promise
DEEP = "[" * 3_000 + "]" * 3_000
HOSTILE: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3,
        0.5,
        -0.0,
        1e-30,
        1e308,
        -1e308,
        2**31,
        2**63,
        2**64,
        -(2**63),
    ),
    *(
        float("nan"),
        float("inf"),
        10**400,
        "",
        " ",
        "\0",
        "..",
        "/",
        "../../x",
        "a" * 300,
        "舞\ud83d",
    ),
    *(
        "nan",
        "-1",
        "1e999",
        "true",
        [],
        {},
        [[]],
        [{}],
        {"": 0},
        [None] * 3,
        [0] * 700,
        {"a": {"a": {}}},
    ),
    "DEEP",  # stands for lists nested deep
)


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to three kinds of damage."""
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = _damage(data, rng)
    return bytes(data)


def _damage(data: bytearray, rng: random.Random) -> bytearray:
    if not data:
        return bytearray(rng.randbytes(8))
    kind = rng.randrange(12)
    at = rng.randrange(min(len(data), HEAD) if rng.random() < 0.6 else len(data))
    size = rng.choice((1, 2, 4, 8, 64, 1000))
    end = min(len(data), at + size)
    if kind < 4:  # single bytes
        for _ in range(rng.choice((1, 2, 8))):
            place = rng.randrange(min(len(data), HEAD) if rng.random() < 0.6 else len(data))
            data[place] = rng.choice((0, 255, 127, 128, rng.randrange(256), data[place] ^ 1))
    elif kind == 4:
        del data[at:]
    elif kind == 5:
        del data[at:end]
    elif kind == 6:
        data[at:at] = rng.randbytes(size)
    elif kind == 7:
        data[at:end] = rng.choice((b"\0", b"\xff")) * (end - at)
    elif kind == 8:
        data[at:at] = data[at:end]
    elif kind == 9:  # a number that a format may take for a length
        length = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, len(data)))
        data[at : at + 8] = struct.pack(rng.choice("<>") + "Q", length)
    elif kind == 10:
        data += rng.randbytes(size)
    else:
        data[at:end] = rng.randbytes(end - at)
    return data


def damaged_json(value: Any, rng: random.Random) -> str:  # noqa: ANN401  (JSON)
    """Return a JSON text with one to three values, names or lists changed."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _changed(value, rng)
    text = json.dumps(value)
    return text.replace('"DEEP"', DEEP)


def _changed(value: Any, rng: random.Random) -> Any:  # noqa: ANN401  (JSON)
    """Return a value in which one place, chosen on a walk from the root, is changed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kind = rng.randrange(12)
        if kind == 0:
            del value[key]
        elif kind == 1:
            value[rng.choice((key.upper(), key + " ", "x", "", "a" * 300, "\0"))] = value.pop(key)
        elif kind == 2:
            value["surplus"] = _hostile(rng)
        else:
            value[key] = _changed(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.85:
        at, kind = rng.randrange(len(value)), rng.randrange(12)
        if kind == 0:
            del value[at]
        elif kind == 1:
            value.insert(at, copy.deepcopy(value[at]))
        elif kind == 2:
            value = value[:at]
        elif kind == 3:
            value = value * 20
        elif kind == 4:
            value = value[at]
        else:
            value[at] = _changed(value[at], rng)
        return value
    return _hostile(rng)


def _hostile(rng: random.Random) -> Any:  # noqa: ANN401  (JSON)
    """Return a hostile value of its own, which the next change may go on changing."""
    return copy.deepcopy(rng.choice(HOSTILE))


def damaged_header(whole: bytes, rng: random.Random) -> bytes:
    """Return a safetensors file whose header is valid JSON that says something else."""
    length = struct.unpack("<Q", whole[:8])[0]
    text = damaged_json(json.loads(whole[8 : 8 + length]), rng).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + whole[8 + length :]
