"""A file server on this machine that misbehaves on demand."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.files``; troubles are taken off ``server.troubles`` one a request."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        trouble = server.troubles.pop(0) if server.troubles else ""
        if isinstance(trouble, int):
            self.send_error(trouble)
            return
        data = server.files.get(self.path.lstrip("/"))
        if data is None:
            self.send_error(404)
            return
        start = self.start_of()
        if start >= len(data) > 0 and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", server.etag)
        self.end_headers()
        data = data[start:]
        if trouble == "cut":
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(data)

    def start_of(self):
        wanted = self.headers.get("Range")
        if not wanted or not self.server.ranges or self.headers.get("If-Range") != self.server.etag:
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))


@contextmanager
def serving(**files):
    """A server of some files by name, and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.troubles, server.asked = dict(files), [], []
    server.etag, server.ranges = '"one"', True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
