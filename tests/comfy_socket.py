"""Runs a prompt beside an open websocket, as the page does, and acts on what it tells."""

import asyncio
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

ENDS = ("execution_success", "execution_error", "execution_interrupted")


def watch(server, prompt, on_event=lambda event: None):
    """Run a prompt; return its events, its previews, and its entry in the history.

    `on_event` is called with every event as soon as it arrives.
    """
    # In its own thread, because browser tests that ran before leave an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _watch(server, prompt, on_event)).result()


async def _watch(server, prompt, on_event):
    import aiohttp

    name, seen, previews = uuid.uuid4().hex, [], []
    wait = server.patience()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.address}/ws?clientId={name}", max_msg_size=0) as socket,
    ):
        prompt_id = await asyncio.to_thread(server.queue, prompt, client_id=name)
        while True:
            try:
                received = await socket.receive(timeout=1)
            except asyncio.TimeoutError:
                wait.check(f"prompt {prompt_id}")
                continue
            if received.type == aiohttp.WSMsgType.BINARY:
                previews.append(received.data)
                continue
            event = json.loads(received.data)
            seen.append(event)
            await asyncio.to_thread(on_event, event)
            if event["type"] in ENDS and event["data"]["prompt_id"] == prompt_id:
                return seen, previews, await asyncio.to_thread(server.result, prompt_id)


def interrupted(server, prompt, is_time):
    """Run a prompt and interrupt it at the first progress for which `is_time` holds.

    Returns the entry of the prompt in the history.
    """
    sent = []

    def interrupt(event):
        if event["type"] == "progress" and not sent and is_time(event["data"]):
            sent.append(event)
            server.post("/interrupt")

    _, _, entry = watch(server, prompt, interrupt)
    assert sent, "the prompt ended before the moment to interrupt it"
    return entry
