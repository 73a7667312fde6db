"""A local server of weight files for tests, which can fail on request. Standard library only."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEMPLATE = "{repo_id}/resolve/{revision}/{filename}"


class TinyHub:
    """Serves files by their path in a repository; used in a `with` statement."""

    def __init__(self):
        self.files = {}  # "owner/name/path": bytes
        self.asked = []  # (path, first byte) of every request
        self.revisions = []  # the revision of every request
        self.ranges = True  # answer requests for a part with this part, as real hubs do
        self.lose_after = None  # bytes after which the connection is dropped, once
        self.hold_after = None  # bytes after which the answer waits for `go_on`
        self.go_on = threading.Event()

    def __enter__(self):
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        self.server.serve_forever(poll_interval=0.01)  # the end waits for it, by default 0.5 s

    def __exit__(self, *_):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def template(self):
        """Return the template from which `huggingface_hub` makes addresses."""
        host, port = self.server.server_address
        return f"http://{host}:{port}/{TEMPLATE}"

    def answer(self, handler):
        """Answer one request."""
        path = re.sub(r"/resolve/[^/]+/", "/", handler.path.lstrip("/"))
        self.revisions.append(handler.path.split("/resolve/")[1].split("/")[0])
        content = self.files.get(path)
        begin = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(begin[1]) if begin and self.ranges else 0
        self.asked.append((path, start))
        if content is None:
            handler.send_error(404)
            return
        if start and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        self._send(handler, content[start:])

    def _send(self, handler, content):
        try:
            if self.lose_after is not None:
                handler.wfile.write(content[: self.lose_after])
                self.lose_after = None
                handler.close_connection = True
                return
            if self.hold_after is not None:
                handler.wfile.write(content[: self.hold_after])
                handler.wfile.flush()
                self.go_on.wait(20)
                content = content[self.hold_after :]
            handler.wfile.write(content)
        except ConnectionError:
            pass  # the client has closed the connection
