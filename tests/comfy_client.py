"""A client for ComfyUI's HTTP interface. Standard library only."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows" / "api"
# A server hangs if it uses less processor time than STILL_CPU_SECONDS in STILL_SECONDS.
STILL_SECONDS, STILL_CPU_SECONDS = 120, 1.0
MOST_CPU_SECONDS = 600  # for one prompt


class Patience:
    """A time limit that depends on the server's progress, not on the speed of the machine."""

    def __init__(self, cpu_seconds=None):
        """Start waiting; `cpu_seconds()` returns the processor time that the server has used."""
        self._used = cpu_seconds or time.monotonic
        self._first = self._last = self._used()
        self._since = time.monotonic()

    @property
    def pause(self):
        """Return how many seconds to wait between requests, which cost the server time too."""
        return 0.1 if time.monotonic() - self._since < 20 else 1.0

    def check(self, what):
        """Raise TimeoutError if the server hangs or has used more than MOST_CPU_SECONDS."""
        used, now = self._used(), time.monotonic()
        if used - self._first > MOST_CPU_SECONDS:
            raise TimeoutError(f"{what} took more than {MOST_CPU_SECONDS} processor seconds")
        if used - self._last > STILL_CPU_SECONDS:
            self._last, self._since = used, now
        elif now - self._since > STILL_SECONDS:
            raise TimeoutError(f"{what}: the server has done nothing for {STILL_SECONDS} seconds")


class ServerError(Exception):
    """An HTTP error, with status and decoded body."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Client:
    """Queues prompts and waits for their results."""

    def __init__(self, address, cpu_seconds=None):
        """Use the server at `address`; `cpu_seconds()` returns its processor time so far."""
        self.address, self._cpu_seconds = address, cpu_seconds

    def patience(self):
        """Return a new time limit for this server."""
        return Patience(self._cpu_seconds)

    def get(self, path, **query):
        """Return the bytes or the decoded JSON at a path."""
        return self._ask(urllib.request.Request(self._url(path, query)))

    def post(self, path, value=None):
        """Send a JSON value; return the decoded answer."""
        data = json.dumps(value if value is not None else {}).encode()
        headers = {"Content-Type": "application/json"}
        return self._ask(urllib.request.Request(self._url(path, {}), data, headers))

    def raw(self, path, body, headers):
        """Send bytes with these headers; return status and decoded answer, of errors too."""
        headers = {"Content-Type": "application/json"} | headers
        try:
            return 200, self._ask(urllib.request.Request(self._url(path, {}), body, headers))
        except ServerError as error:
            return error.status, error.body

    def upload(self, name, data):
        """Put a file into the input folder as the browser does."""
        edge = "----edge"
        head = (
            f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        )
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return self._ask(urllib.request.Request(self._url("/upload/image", {}), body, headers))

    def queue(self, prompt, **more):
        """Queue a prompt, assert that all its nodes are valid, and return its id."""
        answer = self.post("/prompt", {"prompt": prompt, **more})
        assert not answer["node_errors"], answer["node_errors"]
        return answer["prompt_id"]

    def result(self, prompt_id):
        """Wait for a prompt; return its entry in the history."""
        wait = self.patience()
        while prompt_id not in (history := self.get(f"/history/{prompt_id}")):
            wait.check(f"prompt {prompt_id}")
            time.sleep(wait.pause)
        return history[prompt_id]

    def run(self, prompt):
        """Queue a prompt and return its outputs by node; fail with the prompt's error if any."""
        entry = self.result(self.queue(prompt))
        assert entry["status"]["status_str"] == "success", message(entry)
        return entry["outputs"]

    def file(self, shown):
        """Return the bytes of a file that an output names."""
        return self.get("/view", **shown)

    def _url(self, path, query):
        return f"{self.address}{path}?{urllib.parse.urlencode(query)}"

    def _ask(self, request):
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                data, kind = answer.read(), answer.headers.get_content_type()
        except urllib.error.HTTPError as error:
            body = error.read()
            is_json = error.headers.get_content_type() == "application/json"
            raise ServerError(error.code, json.loads(body) if is_json else body) from error
        return json.loads(data) if kind == "application/json" and data else data


def workflow(name):
    """Return a bundled workflow as a prompt."""
    return json.loads((WORKFLOWS / f"{name}.json").read_text())


def node_of(prompt, kind):
    """Return the inputs of the only node of this kind."""
    (found,) = (node["inputs"] for node in prompt.values() if node["class_type"].endswith(kind))
    return found


def events(entry):
    """Return the events of a prompt by name."""
    return dict(entry["status"]["messages"])


def message(entry):
    """Return the text of the error that ended a prompt."""
    return events(entry).get("execution_error", {}).get("exception_message", entry["status"])
