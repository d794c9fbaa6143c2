"""What tests of several packages share: object storage that speaks S3, on loopback."""

import socket
import subprocess
import sys
import time

import pytest
from pyarrow.fs import S3FileSystem


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="session")
def s3_server():
    """The environment in which ``s3://nsa/...`` is a bucket of a server of its own (moto)."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
    }
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert server.poll() is None, "the storage server did not start"
            assert time.monotonic() < deadline, "the storage server does not answer"
            time.sleep(0.2)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        S3FileSystem(
            endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True
        ).create_dir("nsa")
        yield environment
    server.kill()
    server.wait()


@pytest.fixture
def s3_store(s3_server, request):
    """The name of a place for a store that no other test has."""
    return f"s3://nsa/{request.node.name[:60].replace('[', '-').strip(']')}-{time.time_ns()}/store"
