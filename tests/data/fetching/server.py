"""A file server on this machine that misbehaves on demand."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.files``; troubles are taken off ``server.troubles`` one a request."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.server.heads.append(self.path)
        data = self.server.files.get(self.path.lstrip("/"))
        if data is None or not self.server.sizes:
            self.send_error(501)
            return
        self.head(200, len(data))

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
        more = getattr(self, f"do_{trouble.replace('-', '_')}", None)
        if more is not None:
            more(data, start)
            return
        self.head(206 if start else 200, len(data) - start, *([f"{start}-{len(data) - 1}/{len(data)}"] * bool(start)))
        data = data[start:]
        if trouble == "cut":
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(data)

    def head(self, status, length=None, span=None, etag=None, **more):
        self.send_response(status)
        headers = {"Content-Length": length, "Content-Range": span and f"bytes {span}", **more}
        headers["ETag"] = self.server.etag if etag is None else etag
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def do_empty(self, _data, _start):
        self.head(200, 0)

    def do_empty_without_length(self, _data, _start):
        self.head(200)

    def do_204(self, _data, _start):
        self.head(204)

    def do_page(self, _data, _start):
        self.head(200, 20, Content_Type="text/html; charset=utf-8")
        self.wfile.write(b"<html>log in</html> ")

    def do_abc(self, data, _start):
        self.head(200, "abc")
        self.wfile.write(data)

    def do_packed(self, data, _start):
        self.head(200, len(data), Content_Encoding="br")
        self.wfile.write(data)

    def do_no_length(self, data, _start):
        self.head(200)
        self.wfile.write(data)

    def do_no_length_cut(self, data, _start):
        self.head(200)
        self.wfile.write(data[: len(data) // 2])

    def do_chunks(self, data, _start):
        self.chunked(data, whole=True)

    def do_chunks_cut(self, data, _start):
        self.chunked(data[: len(data) // 2], whole=False)

    def do_chunks_empty(self, _data, _start):
        self.chunked(b"", whole=True)

    def chunked(self, data, *, whole):
        self.protocol_version = "HTTP/1.1"  # before which there are no chunks
        self.close_connection = True
        self.head(200, Transfer_Encoding="chunked")
        for place in range(0, len(data), 5000):
            piece = data[place : place + 5000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if whole:
            self.wfile.write(b"0\r\n\r\n")

    def do_wrong_offset(self, data, start):
        self.head(206, len(data) - start + 1, f"{start - 1}-{len(data) - 1}/{len(data)}")
        self.wfile.write(data[start - 1 :])

    def do_from_0(self, data, _start):
        self.head(206, len(data), f"0-{len(data) - 1}/{len(data)}")
        self.wfile.write(data)

    def do_other_etag(self, data, start):
        self.head(206, len(data) - start, f"{start}-{len(data) - 1}/{len(data)}", '"two"')
        self.wfile.write(data[::-1][start:])

    def do_other_total(self, data, start):
        self.head(206, len(data) - start + 9, f"{start}-{len(data) + 8}/{len(data) + 9}")
        self.wfile.write(data[start:] + b"x" * 9)

    def do_no_range(self, data, start):
        self.head(206, len(data) - start)
        self.wfile.write(data[start:])

    def do_short_piece(self, data, start):
        self.head(206, 1000, f"{start}-{start + 999}/{len(data)}")
        self.wfile.write(data[start : start + 1000])

    def do_wrong_length(self, data, start):
        self.head(206, len(data) - start - 7, f"{start}-{len(data) - 1}/{len(data)}")
        self.wfile.write(data[start:-7])

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
    server.heads, server.sizes = [], True  # what was asked by HEAD, and whether such requests are answered
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
