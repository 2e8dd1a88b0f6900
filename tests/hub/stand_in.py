"""A Hub on this machine: the few requests that huggingface_hub makes of one, with troubles on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_aTokenThatMustNotLeak"
READER = "hf_aTokenThatMayOnlyRead"
LARGE = (".safetensors", ".parquet", ".npy", ".inter")  # endings of files that go to the large file storage
KINDS = {"models": "model", "datasets": "dataset"}


@dataclass
class Commit:
    """What a repository holds at a commit."""

    oid: str
    message: str
    files: dict[str, bytes]


@dataclass
class Repository:
    """A repository and its commits, the oldest first."""

    private: bool
    commits: list[Commit] = field(default_factory=list)

    @property
    def files(self):
        return self.commits[-1].files

    def add(self, files, message=""):
        oid = hashlib.sha1(f"{len(self.commits)} {sorted(files)} {message}".encode()).hexdigest()
        self.commits.append(Commit(oid, message, files))
        return self.commits[-1]

    def at(self, revision):
        found = [one for one in self.commits if one.oid == revision]
        return self.commits[-1] if revision == "main" else found[0] if found else None


@dataclass
class Trouble:
    """A request that goes wrong: the first ``times`` of those whose method and path fit."""

    method: str
    within: str
    status: int = 0  # 0: the answer breaks off in the middle
    times: int = 1
    say: str = "trouble"


class StandIn(ThreadingHTTPServer):
    """The repositories, the large files, what was asked, and what goes wrong."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.troubles: list[Trouble] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.uploaded: list[bytes] = []  # the bodies of all requests that send something
        self.listed: dict[str, bytes] = {}  # files that listings claim to be there, whatever is
        self.makes_private = None  # what a new repository is, whatever was asked for

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def store(self):
        """Where large files are downloaded from: another host, which must not be told the token."""
        return f"http://localhost:{self.server_port}"

    def repository(self, name, kind="model"):
        return self.repositories[kind, name]

    def put(self, name, files, *, kind="model", private=False):
        """Add a repository as if somebody had pushed it."""
        repository = self.repositories[kind, name] = Repository(private)
        repository.add(dict(files), "by hand")
        return repository


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answered("GET")

    def do_HEAD(self):
        self.answered("HEAD")

    def do_POST(self):
        self.answered("POST")

    def do_PUT(self):
        self.answered("PUT")

    def answered(self, method):
        self.method, self.place = method, urlsplit(self.path)
        self.body = self.read_body()
        self.server.asked.append((method, self.path, dict(self.headers)))
        if self.body:
            self.server.uploaded.append(self.body)
        for trouble in self.server.troubles:
            if trouble.method == method and trouble.within in self.path and trouble.times:
                trouble.times -= 1
                self.cuts = trouble.status == 0
                if trouble.status:
                    self.fail(trouble.status, trouble.say)
                    return
                break
        else:
            self.cuts = False
        self.route(unquote(self.place.path).lstrip("/").split("/"))

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def route(self, words):
        if words[:3] == ["api", "repos", "create"]:
            self.create()
        elif words[:2] == ["api", "validate-yaml"]:
            bad = b"license: nonsense" in self.body
            problem = {"message": "license must be one of a list"}
            self.json({"errors": [problem] * bad, "warnings": []}, 400 if bad else 200)
        elif words[0] == "lfs":
            self.server.large[words[1]] = self.body
            self.json({})
        elif words[0] == "cdn":
            self.content(self.server.large[words[1]])
        elif words[0] == "api" and words[1] in KINDS:
            self.of_repository(KINDS[words[1]], "/".join(words[2:4]), words[4:])
        else:
            kind = "dataset" if words[0] == "datasets" else "model"
            words = words[1:] if kind == "dataset" else words
            if words[2:3] == ["resolve"]:
                self.resolve(self.seen(kind, "/".join(words[:2])), words[3], "/".join(words[4:]))
            else:
                self.batch()

    def seen(self, kind, name):
        """The repository, if whoever asks may see it."""
        found = self.server.repositories.get((kind, name))
        return found if found is not None and (not found.private or self.token() in (TOKEN, READER)) else None

    def token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def may_write(self):
        if self.token() == TOKEN:
            return True
        if self.token() == READER:
            self.fail(403, "You don't have the rights required")
        else:
            self.fail(401, "Invalid credentials in Authorization header")
        return False

    def of_repository(self, kind, name, words):
        if self.token() not in ("", TOKEN, READER):
            self.fail(401, "Invalid credentials in Authorization header")
            return
        repository = self.seen(kind, name)
        if repository is None:
            self.fail(404, "Repository not found", "RepoNotFound")
            return
        if words[:1] == ["preupload"]:
            self.preupload()
        elif words[:1] == ["commit"]:
            self.commit(repository, f"{'datasets/' if kind == 'dataset' else ''}{name}")
        else:
            commit = repository.at(words[1] if len(words) > 1 else "main")
            if commit is None:
                self.fail(404, "Revision not found", "RevisionNotFound")
            elif words[:1] == ["tree"]:
                self.json([entry(path, content) for path, content in {**commit.files, **self.server.listed}.items()])
            else:
                about = {"id": name, "modelId": name, "sha": commit.oid, "private": repository.private}
                self.json({**about, "siblings": [], "tags": [], "downloads": 0, "likes": 0})

    def create(self):
        if not self.may_write():
            return
        asked = json.loads(self.body)
        name, kind = f"{asked['organization']}/{asked['name']}", asked.get("type") or "model"
        private = asked.get("visibility") == "private" or asked.get("private") is True
        if self.server.makes_private is not None:
            private = self.server.makes_private
        repository = self.server.repositories[kind, name] = Repository(private)
        repository.add({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        self.json({"url": f"{self.server.address}/{name}", "name": name, "id": name})

    def preupload(self):
        if self.may_write():
            files = json.loads(self.body)["files"]
            self.json(
                {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                            "shouldIgnore": False,
                        }
                        for file in files
                    ]
                }
            )

    def batch(self):
        if self.may_write():
            objects = json.loads(self.body)["objects"]
            upload = [{"upload": {"href": f"{self.server.address}/lfs/{one['oid']}"}} for one in objects]
            self.json(
                {
                    "transfer": "basic",
                    "objects": [{**one, "actions": way} for one, way in zip(objects, upload, strict=True)],
                }
            )

    def commit(self, repository, page):
        if not self.may_write():
            return
        lines = [json.loads(line) for line in self.body.splitlines()]
        files, head = dict(repository.files), lines[0]["value"]
        if head.get("parentCommit", repository.commits[-1].oid) != repository.commits[-1].oid:
            self.fail(412, "A commit has happened since")
            return
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        done = repository.add(files, head["summary"])
        self.json({"commitUrl": f"{self.server.address}/{page}/commit/{done.oid}", "commitOid": done.oid})

    def resolve(self, repository, revision, path):
        commit = None if repository is None else repository.at(revision)
        if commit is None or path not in commit.files:
            code = "RepoNotFound" if commit is None else "EntryNotFound"
            self.fail(404, "not found", code)
            return
        content = commit.files[path]
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{git_digest(content)}"'}
        if path.endswith(LARGE):
            oid = hashlib.sha256(content).hexdigest()
            self.server.large[oid] = content
            place = {"Location": f"{self.server.store}/cdn/{oid}", "X-Linked-Size": str(len(content))}
            self.head(302, {**headers, **place, "X-Linked-Etag": f'"{oid}"', "Content-Length": "0"})
            return
        self.content(content, headers)

    def content(self, content, headers=None):
        headers = headers or {}
        self.head(200, {**headers, "Content-Length": str(len(content)), "Accept-Ranges": "none"})
        if self.method == "HEAD":
            return
        if self.cuts:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    def json(self, value, status=200, headers=None):
        text = json.dumps(value).encode()
        self.head(status, {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})})
        if self.method != "HEAD":
            self.wfile.write(text)

    def fail(self, status, say, code=None):
        self.json({"error": say}, status, {"X-Error-Message": say, **({"X-Error-Code": code} if code else {})})

    def head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def git_digest(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(path, content):
    """A file as the listing of a tree has it."""
    found = {"type": "file", "path": path, "size": len(content), "oid": git_digest(content)}
    if path.endswith(LARGE):
        found["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return found


@contextmanager
def stand_in():
    """A Hub at an address of this machine, closed when the block ends."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
