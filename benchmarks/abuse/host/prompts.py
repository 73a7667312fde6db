"""Prompts that no page would send: hostile values, wrong links, missing inputs, for every node."""

import copy
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files.mutations import HOSTILE
from ..order import Order
from ..verdict import ACCEPTED, CLEAR, FAULT, Tally, Verdict, of_words
from .server import PREFIX, Served, put_inputs, servers, small_prompts
from .talk import ServerError, alive, outcome

FULL, FEW = 300, 15  # prompts for each host
TEXTS = (
    "../../x",
    "/etc/passwd",
    "a\0b",
    "n" * 300,
    "",
    "舞",
    "%date:yyyy%",
    "two.json [temp]",
    "a/b",
)


def prompts(order: Order) -> list[Tally]:
    """Send hand-made prompts to a server of each ComfyUI; go on where an earlier call stopped."""
    count, found = FEW if order.short else FULL, []
    for served in servers(order.folder, order.host):
        form = f"{served.version}.seed{order.seed}{'.short' if order.short else ''}"
        saved = None if order.results is None else order.results / f"prompts.{form}.part.json"
        found.append(each(served, order.seed, count, saved=saved, minutes=order.minutes))
    return found


def each(
    served: Served,
    seed: int,
    count: int,
    names: Sequence[str] = (),  # of workflows; (): all
    *,
    saved: Path | None = None,  # file with the tally so far, written after each prompt
    minutes: float | None = None,  # after which to stop; None: at the end
) -> Tally:
    """Send hand-made prompts to one server; prompt number n follows from the seed and n alone."""
    put_inputs(served.base)
    tally = Tally(f"hand-made prompts, ComfyUI {served.version}")
    if saved is not None and saved.is_file():
        tally = Tally.read(saved)
    ends = time.monotonic() + 60 * (float("inf") if minutes is None else minutes)
    whole = small_prompts()
    places = [
        (name, number)
        for name, prompt in whole.items()
        if not names or name in names
        for number, node in prompt.items()
        if node["class_type"].startswith(PREFIX)
    ]
    by_kind: dict[str, list[tuple[str, str]]] = {}
    for name, number in places:
        by_kind.setdefault(whole[name][number]["class_type"], []).append((name, number))
    kinds = sorted(by_kind)
    for attempt in range(tally.tried, count):
        if time.monotonic() > ends:
            tally.unfinished = f"{count - attempt} of {count} are left; the next call goes on"
            break
        rng = random.Random(f"{seed} {served.version} {attempt}")
        name, number = rng.choice(by_kind[kinds[attempt % len(kinds)]])
        prompt = copy.deepcopy(whole[name])
        told = _spoil(prompt, number, rng)
        verdict = sent(served, prompt)
        tally.add(verdict, f"{attempt} {name} {told}")
        if saved is not None:
            tally.write(saved)
        if verdict.kind == FAULT and not alive(served):
            tally.unfinished = f"the server is dead after prompt {attempt} of {count}"
            break
    return tally


def _spoil(prompt: dict[str, Any], number: str, rng: random.Random) -> str:
    """Change one or two inputs of a node; return what was done."""
    node, told = prompt[number], []
    for _ in range(rng.choice((1, 1, 1, 2))):
        inputs = node["inputs"]
        key = rng.choice(sorted(inputs)) if inputs else "surplus"
        kind = rng.randrange(10)
        if kind == 0:
            inputs.pop(key, None)
            told.append(f"without {key}")
            continue
        if kind == 1:
            value: Any = [rng.choice(list(prompt)), rng.choice((0, 1, 2, 3, -1, 99, "0", None))]
        elif kind == 2:
            value = rng.choice(([number, 0], ["nowhere", 0], [1], ["1"], {"a": 1}, [["1", 0]]))
        elif kind < 6 and isinstance(inputs.get(key), str):
            value = rng.choice(TEXTS)
        elif kind < 6 and isinstance(inputs.get(key), int | float):
            value = rng.choice(
                (-1, 0, 1, 2, 3, 7, 0.5, 1e9, -1e9, 10**30, float("nan"), "3", "3.5")
            )
        else:
            value = rng.choice(HOSTILE)
        inputs[key] = value
        told.append(f"{node['class_type']}.{key}={json.dumps(value)[:60]}")
    return ", ".join(told)


def sent(served: Served, prompt: dict[str, Any]) -> Verdict:
    """Queue a prompt and return what came of it."""
    try:
        answer = served.client.post("/prompt", {"prompt": prompt})
    except ServerError as error:
        if error.status == 400 and error.body:
            return Verdict(CLEAR, json.dumps(error.body))
        # A value that breaks the host's own checks, before any code of this pack.
        return Verdict(FAULT, f"{error.status} {str(error.body)[:300]}")
    except (OSError, ValueError) as error:
        return Verdict(FAULT, f"no answer: {error}")
    entry = outcome(served, answer["prompt_id"])
    if entry is None:
        return Verdict(FAULT, "no end, or no work on it")
    if entry["status"]["status_str"] == "success":
        return Verdict(CLEAR if answer["node_errors"] else ACCEPTED)
    told = dict(entry["status"]["messages"])["execution_error"]
    text, kind = told["exception_message"], told["exception_type"]
    if kind.split(".")[-1] in ("InputError", "ConfigError", "WeightsError", "MediaError"):
        node = prompt[told["node_id"]]["inputs"]
        return of_words(text, [*node, *FIELDS])
    if not told["node_type"].startswith(PREFIX) and "animate_anyone" not in str(told["traceback"]):
        return Verdict(CLEAR, f"in ComfyUI's own {told['node_type']}: {text}")
    return Verdict(FAULT, f"{kind} in {told['node_type']}: {text[:200]} {told['traceback'][-2:]}")


FIELDS = ("window", "frames", "latent", "keypoints", "picture", "model", "file", "poses", "clip")
