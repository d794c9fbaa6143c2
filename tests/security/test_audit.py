"""The audit of the pinned packages, with the real pip-audit against a service on loopback."""

import importlib.util
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.studies.conftest import ROOT
from tests.tracking.mlflow_lab import free_port

SCRIPT = ROOT / ".ci" / "audit.py"
ADVISORY = {
    "id": "GHSA-test-test-test",
    "aliases": ["CVE-2026-0001"],
    "summary": "made up",
    "affected": [],
    "published": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def service():
    """An OSV service that knows what ``answers`` holds, by package; its address."""
    answers: dict[str, list[dict]] = {}

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vulns = answers.get(asked["package"]["name"], [])
            body = json.dumps({"vulns": vulns} if vulns else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()


def audit(address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "-s", "osv", "--osv-url", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def pins() -> int:
    return len(re.findall("^[^ ]+==", (ROOT / "requirements.lock").read_text(), re.M))


def test_it_asks_for_every_pinned_package_and_passes_if_none_is_known(service):
    done = audit(service[0])
    assert done.returncode == 0, done.stdout + done.stderr
    count = int(re.search(r"audit: (\d+) packages", done.stdout)[1])
    assert 100 < count <= pins()  # some are for other systems


def test_a_known_vulnerability_is_red_and_named(service):
    service[1]["pillow"] = [ADVISORY]
    done = audit(service[0])
    assert done.returncode == 1
    assert "vulnerable: pillow " in done.stdout
    assert re.search("GHSA-test-test-test|CVE-2026-0001", done.stdout)


def test_a_service_that_is_not_there_is_no_pass():
    done = audit(f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "AUDIT COULD NOT BE DONE: no package was audited" in done.stdout


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_packages_that_the_service_does_not_know_are_no_pass(script, capsys):
    known = {"name": "a", "version": "1", "vulns": []}
    assert script.verdict([known], {}) == 0
    assert script.verdict([known, {"name": "b", "skip_reason": "not found"}], {}) == 3
    assert "1 of 2 packages were not audited" in capsys.readouterr().out
    assert script.verdict([], {}) == 3


def test_an_ignored_advisory_needs_a_reason_and_is_said(script, capsys):
    vulnerable = {
        "name": "a", "version": "1",
        "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}],
    }  # fmt: skip
    assert script.verdict([vulnerable], {}) == 1
    assert script.verdict([vulnerable], {"CVE-1": "not called"}) == 0
    assert "ignored: a PYSEC-1: not called" in capsys.readouterr().out
    assert script.accepted("# a comment\n\nCVE-1  not called\n") == {"CVE-1": "not called"}
    with pytest.raises(SystemExit, match="CVE-2 has no reason"):
        script.accepted("CVE-2\n")
    script.accepted(script.IGNORED.read_text())


def test_ci_fails_on_a_vulnerability_alone():
    line = next(
        line for line in (ROOT / ".ci" / "run").read_text().splitlines() if "audit.py" in line
    )
    for status, wanted in ((0, 0), (1, 1), (3, 0), (2, 1)):
        shown = line.replace(".venv/bin/python .ci/audit.py", f"(exit {status})")
        done = subprocess.run(["bash", "-ec", f"{shown}\ntrue"], check=False)
        assert (done.returncode != 0) == bool(wanted)
