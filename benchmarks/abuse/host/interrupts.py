"""Interrupts at random moments of every long node; each must be answered within a second."""

import os
import random
import time
from statistics import median
from typing import Any

from ..order import Order
from ..verdict import ACCEPTED, FAULT, Tally, Verdict
from .server import Served, node_of, servers, workflow
from .talk import outcome

FULL, FEW = 100, 3  # interrupts of all hosts together; of each in the short form
ANSWERED = 1.0  # seconds of a processor that nobody shares
PATIENCE = 60.0  # seconds
LONG = ("animate", "train 1", "train 2", "extract", "decode", "load", "evaluate", "encode")


def interrupts(order: Order) -> list[Tally]:
    """Interrupt prompts of a server of each ComfyUI."""
    count = FEW if order.short else FULL // 2
    return [each(served, order.seed, count) for served in servers(order.folder, order.host)]


def each(served: Served, seed: int, count: int) -> Tally:
    """Interrupt prompts of one server at random moments; the last prompt runs to its end."""
    tally = Tally(f"interrupts, ComfyUI {served.version}")
    rng, waits = random.Random(f"{seed} interrupts"), []
    for number in range(count):
        kind = LONG[number % len(LONG)]
        prompt = long_prompt(kind, number)
        verdict, waited = interrupted(served, prompt, rng.uniform(0.1, 4.0))
        tally.add(verdict, kind)
        if waited is not None:
            waits.append((waited, kind))
    last = workflow("first_run")
    node_of(last, "Animate")["steps"] = 1
    entry = outcome(served, served.client.queue(last), PATIENCE)
    whole = entry is not None and entry["status"]["status_str"] == "success"
    tally.add(Verdict(ACCEPTED if whole else FAULT, "the next prompt"), "the next prompt")
    if waits:
        longest = {kind: waited for waited, kind in sorted(waits)}
        told = ", ".join(f"{kind} {longest[kind]:.2f}" for kind in LONG if kind in longest)
        middle = median(waited for waited, _ in waits)
        busy = f"with {os.getloadavg()[0]:.0f} processes at work on {os.cpu_count()} cores"
        tally.notes.append(f"answered after {middle:.2f} s (median), {busy}; longest: {told} s")
    return tally


def interrupted(
    served: Served, prompt: dict[str, Any], delay: float
) -> tuple[Verdict, float | None]:
    """Queue a prompt, interrupt it after `delay` seconds; return the verdict and the wait."""
    client = served.client
    prompt_id = client.queue(prompt)
    time.sleep(delay)
    if prompt_id in client.get(f"/history/{prompt_id}"):
        return Verdict(ACCEPTED, "ended before"), None
    started = time.monotonic()
    client.post("/interrupt")
    entry = outcome(served, prompt_id, PATIENCE, pause=0.05)
    waited = time.monotonic() - started
    if entry is None:
        return Verdict(FAULT, f"not answered within {PATIENCE:.0f} s"), None
    told = dict(entry["status"]["messages"])
    if "execution_error" in told:
        return Verdict(FAULT, told["execution_error"]["exception_message"][:300]), waited
    return Verdict(ACCEPTED), waited


def long_prompt(kind: str, number: int) -> dict[str, Any]:
    """Return a prompt whose node of this kind works for a long time."""
    if kind.startswith("train"):
        prompt = workflow("fine_tune")
        node_of(prompt, "_Train").update(
            steps=2000, stage=int(kind[-1]), save_as=f"cut{number}", save_every=5
        )
        return {k: node for k, node in prompt.items() if int(k) < 10 or k == "20"}
    if kind in ("extract", "evaluate"):
        prompt = workflow("fine_tune" if kind == "evaluate" else "driving_video")
        for node in prompt.values():
            if node["class_type"] == "ImageFromBatch":
                node["inputs"]["length"] = 24
            if node["class_type"].endswith("_ExtractPose"):
                node["inputs"]["batch"] = 1 + number % 7
            if node["class_type"].endswith("_Animate"):
                node["inputs"].update(steps=1, seed=number)
        if kind == "evaluate":
            keep = ("1", "2", "3", "4", "5", "6", "7", "8", "15")
            prompt = {k: prompt[k] for k in keep}
            prompt["16"] = {
                "class_type": "RepeatImageBatch",
                "inputs": {"image": ["4", 0], "amount": 40},
            }
            prompt["15"]["inputs"] = {"title": str(number), "result": ["16", 0], "truth": ["16", 0]}
        return prompt
    prompt = workflow("long_clip" if kind in ("decode", "encode") else "first_run")
    if kind in ("decode", "encode"):
        node_of(prompt, "KSampler").update(seed=number, steps=1)
        node_of(prompt, "DecodeToVideo")["chunk"] = 1 + number % 8
        node_of(prompt, "EncodePose")["width"] = 128 + 8 * (number % 5)
    else:
        node_of(prompt, "Animate").update(seed=number, steps=1 if kind == "load" else 200)
    if kind == "load":
        node_of(prompt, "LoadModels")["dtype"] = ("fp32", "bf16", "fp16")[number % 3]
    return prompt
