"""A server in front of an object storage that takes its time to say that it has written."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def slow_writes(endpoint: str, seconds: float) -> Iterator[str]:
    """The address of one that answers a PUT so many seconds after it was carried out."""
    behind = endpoint.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            storage = http.client.HTTPConnection(behind, timeout=60)
            storage.request(self.command, self.path, body, dict(self.headers))
            answer = storage.getresponse()
            content = answer.read()
            if self.command == "PUT":
                time.sleep(seconds)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(content)
            storage.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_request  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
