"""What tests of several packages share: who runs beside whom, and storage that speaks S3."""

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from tests import workers

# Several test processes on few cores; read when torch, in this process or in a child, is imported.
os.environ["OMP_NUM_THREADS"] = "1"
# What chooses BLAS's kernels chooses last digits, and hosts that are reached over ssh have it not.
for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
    del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return workers.ByFile(config, log, workers.common_folder(os.getpid()))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that need the whole machine come last, by one worker."""
    items.sort(key=_is_alone)  # stable
    for item in filter(_is_alone, items):
        item.add_marker(pytest.mark.xdist_group("alone"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session):
    if _is_worker(session.config):
        workers.note_groups(session.items, workers.common_folder(os.getppid()))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    if not _is_worker(item.config):
        return (yield)
    with workers.turn(workers.common_folder(os.getppid()), _is_alone(item)):
        return (yield)


def pytest_unconfigure(config):
    if not _is_worker(config):
        shutil.rmtree(workers.common_folder(os.getpid()))


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


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
        from pyarrow.fs import S3FileSystem

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
