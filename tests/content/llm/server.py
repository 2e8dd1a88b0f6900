"""A chat endpoint on this machine that answers at once, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENCE = 1.5  # seconds
UNSUPPORTED = {"error": {"message": "Use another.", "param": "max_tokens", "code": "unsupported_parameter"}}
COMMAND_LINE = """
from flatrec.cli import main
from flatrec.content.llm.chat_client import ChatClient

if __name__ == "__main__":
    ChatClient.__init__.__defaults__ = (None, 0.01)  # hardly a pause between two tries
    main()
"""


@dataclass
class Request:
    """What came."""

    key: str | None
    model: str
    prompt: str
    image: str | None
    body: dict


@dataclass
class StandIn:
    """A server that runs.

    ``misbehave`` is given a prompt and how often it came before, and names what goes wrong, or nothing. The answer to
    a prompt is ``answer(prompt, image)``.
    """

    url: str
    misbehave: Callable[[str, int], str | None] = lambda _prompt, _before: None
    answer: Callable[[str, str | None], str] = lambda prompt, image: f"{'seen' if image else 'read'}: {prompt[-40:]}"
    delay: float = 0.0
    excuse: str = "no, "
    patience: str = "0.05"  # seconds that it asks for after 429
    tokens: int = 10
    requests: list[Request] = field(default_factory=list)
    answered: Counter = field(default_factory=Counter)
    billed: int = 0  # answers that came with a count of tokens, of use or not
    under_way: int = 0
    most_under_way: int = 0
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def stand_in(port: int = 0) -> Iterator[StandIn]:
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    server.stand_in = StandIn(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        one = self.server.stand_in
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][0]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        prompt = "".join(part["text"] for part in parts if part["type"] == "text")
        image = next((part["image_url"]["url"] for part in parts if part["type"] == "image_url"), None)
        with one.lock:
            before = sum((request.prompt, request.image) == (prompt, image) for request in one.requests)
            one.requests.append(Request(self.headers.get("Authorization"), body["model"], prompt, image, body))
            one.times.append(time.monotonic())
            one.under_way += 1
            one.most_under_way = max(one.most_under_way, one.under_way)
        try:
            time.sleep(one.delay)
            self._reply(one, prompt, image, one.misbehave(prompt, before))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with one.lock:
                one.under_way -= 1

    def _reply(self, one, prompt, image, wrong):
        if wrong and wrong.isdigit():
            said = {"error": {"message": one.excuse + self.headers["Authorization"], "type": "x", "code": None}}
            more = {"429": {"Retry-After": one.patience}, "307": {"Location": "/elsewhere"}}
            self._send(json.dumps(said), int(wrong), more.get(wrong, {}))
        elif wrong == "endless":
            self._drip()
        elif wrong == "new name":
            if "max_tokens" in self.server.stand_in.requests[-1].body:
                self._send(json.dumps(UNSUPPORTED), 400)
            else:
                self._send(self._good(one, prompt, image))
        elif wrong == "silence":
            time.sleep(SILENCE)
            self.close_connection = True
        elif wrong == "half":
            whole = self._good(one, prompt, image)
            self._send(whole[: len(whole) // 2], length=len(whole))
            self.close_connection = True
        else:
            with one.lock:
                one.answered[prompt, image] += wrong is None
                one.billed += wrong in (None, "empty", "null", "length", "content_filter")
            self._send(self._text(one, prompt, image, wrong))

    def _text(self, one, prompt, image, wrong):
        good = {"empty": {"text": "  "}, "null": {"text": None}, "length": {"reason": wrong}}
        fixed = {
            "no JSON": "<html>we are busy</html>",
            "wrong JSON": '{"choices": [], "usage": 3}',
            "list": "[1, 2]",
            "error": '{"error": {"message": "out of credit"}}',
            "parts": json.dumps({"choices": [{"message": {"content": [{"text": "one"}, {"text": "two"}]}}]}),
            "no count": json.dumps({"choices": [{"message": {"content": one.answer(prompt, image)}}]}),
        }
        if wrong in fixed:
            return fixed[wrong]
        return self._good(one, prompt, image, **{None: {}, "content_filter": {"reason": wrong}, **good}[wrong])

    def _drip(self):
        """A letter now and then, for ever."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"1\r\n \r\n")
            time.sleep(0.05)

    def _good(self, one, prompt, image, text="", reason="stop"):
        words = one.answer(prompt, image) if text == "" else text
        reply = {
            "id": "x",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": reason}],
            "usage": {"prompt_tokens": one.tokens, "completion_tokens": 3, "total_tokens": 13},
        }
        return json.dumps(reply)

    def _send(self, text, status=200, headers=None, length=None):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
