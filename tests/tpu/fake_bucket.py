"""Buckets in memory with the part of Google's JSON API that TensorStore uses.

The published emulator that was tried serves requests serially and fails on empty objects.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class Server(ThreadingHTTPServer):
    """A server with a thread per connection and a long queue of connections."""

    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores errors of clients that were killed."""


class Handler(BaseHTTPRequestHandler):
    """The base of the fakes' handlers: persistent connections, and answers with a length."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def answer_json(self, content: object, status: int = 200) -> None:
        self.answer(status, json.dumps(content).encode(), Content_Type="application/json")

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None: ...


class FakeBucket:
    """Objects by `bucket/name`.

    Attributes:
      watch: a function that is called with the name and content of each write.
      forbids: a function from a request (`list`, `read`, `write` or `delete`) and a name to whether
        the account has no right to it.
      delay: a function from a name to the seconds before an object is written.
      credentials: the authorization headers of all reads; None for a read without a header.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.watch: Callable[[str, bytes], None] = lambda name, content: None
        self.forbids: Callable[[str, str], bool] = lambda request, name: False
        self.delay: Callable[[str], float] = lambda name: 0.0
        self.writes = 0
        self.sent = 0  # bytes of objects that were read
        self.credentials: set[str | None] = set()
        self.outage_end = 0.0
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), type("Bucket", (_BucketHandler,), {"store": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, name: str, content: bytes, condition: int | None) -> int | None:
        """Writes an object if its generation is `condition`; the new generation, or None if not."""
        time.sleep(self.delay(name))
        with self._lock:
            if condition is not None and self.objects.get(name, (0, b""))[0] != condition:
                return None
            self.writes += 1
            self.objects[name] = (self.writes, content)
            generation = self.writes
        self.watch(name, content)
        return generation

    def outage(self, seconds: float) -> None:
        """Answers all requests of the next seconds with errors."""
        self.outage_end = time.monotonic() + seconds

    def names(self, start: str) -> list[str]:
        """All names with the prefix `start`."""
        with self._lock:
            return sorted(name for name in self.objects if name.startswith(start))

    def find(self, end: str) -> bytes | None:
        """The content of an object with the suffix `end`; None if there is none."""
        with self._lock:
            return next(
                (content for name, (_, content) in self.objects.items() if name.endswith(end)), None
            )

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _BucketHandler(Handler):
    store: FakeBucket

    def _where(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        match = re.fullmatch(r"(?:/upload)?/storage/v1/b/([^/]+)/o(?:/(.+))?", parts.path)
        assert match, self.path
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return match[1], unquote(match[2] or query.get("name", "")), query

    def parse_request(self) -> bool:
        is_valid = super().parse_request()
        if is_valid and time.monotonic() < self.store.outage_end:
            self.body()
            self.answer(503)
            return False
        if is_valid and "/storage/v1/" in self.path:
            _, name, _ = self._where()
            requests = {"GET": "read" if name else "list", "POST": "write", "DELETE": "delete"}
            if self.store.forbids(requests[self.command], name):
                self.body()
                error = {"code": 403, "message": "The account does not have access."}
                self.answer_json({"error": error}, 403)
                return False
        return is_valid

    def do_GET(self) -> None:
        bucket, name, query = self._where()
        self.store.credentials.add(self.headers.get("Authorization"))
        if not name:
            self._list(bucket, query)
            return
        generation, content = self.store.objects.get(f"{bucket}/{name}", (0, None))
        if content is None:
            self.answer(404)
        elif query.get("ifGenerationNotMatch") == str(generation):
            self.answer(304)
        elif match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(match[1]), int(match[2] or len(content) - 1)
            last = min(last, len(content) - 1)
            span = f"bytes {first}-{last}/{len(content)}"
            piece = content[first : last + 1]
            self.store.sent += len(piece)
            self.answer(206, piece, x_goog_generation=str(generation), Content_Range=span)
        else:
            self.store.sent += len(content)
            self.answer(200, content, x_goog_generation=str(generation))

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        first = query.get("startOffset", query.get("prefix", ""))
        last = query.get("endOffset", "\U0010ffff")
        names = [name.partition("/")[2] for name in self.store.names(f"{bucket}/")]
        items = [
            {"name": name, "size": str(len(self.store.objects[f"{bucket}/{name}"][1]))}
            for name in names
            if first <= name < last and name.startswith(query.get("prefix", ""))
        ]
        self.answer_json({"items": items})

    def do_POST(self) -> None:
        bucket, name, query = self._where()
        condition = query.get("ifGenerationMatch")
        content = self.body()
        if bucket == "missing":
            self.answer(404, b"The specified bucket does not exist.")
            return
        expected = int(condition) if condition else None
        generation = self.store.put(f"{bucket}/{name}", content, expected)
        if generation is None:
            self.answer(412)
        else:
            self.answer_json({"generation": str(generation), "name": name})

    def do_DELETE(self) -> None:
        bucket, name, _ = self._where()
        removed = self.store.objects.pop(f"{bucket}/{name}", None)
        self.answer(204 if removed else 404)


def bucket_environment(bucket: FakeBucket) -> dict[str, str]:
    """Variables that make TensorStore use a fake bucket, without a search for credentials."""
    return {
        "TENSORSTORE_GCS_HTTP_URL": bucket.url,
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",
    }
