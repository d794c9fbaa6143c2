"""Places that are poor: a terminal of ASCII, a user without a home or a name."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.studies.conftest import ROOT
from tracking import create_store
from tracking.trial import trial_id

PAGE = """
from dataclasses import replace
from studies.batchsize_ablation import STUDY as WHOLE
STUDY = replace(WHOLE, title="größer \\u2192 混ぜる")
"""
AS_NOBODY_KNOWN = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
AS_NOBODY_KNOWN += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def nsa(*arguments, **environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studies", *map(str, arguments)],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "study.py"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_a_study_s_words_are_escaped_where_the_terminal_has_ascii_alone(page):
    done = nsa("study", page, "--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"gr\xf6\xdfer \u2192 \u6df7\u305c\u308b" in done.stdout


@pytest.mark.parametrize("command", ["query", "report"])
def test_so_are_the_words_of_a_store(tmp_path, command):
    store = create_store(tmp_path / "größer")
    key = trial_id({}, "f")
    store.trial(key).create({}, {"class_name": "größe", "data_fingerprint": "f"})
    store.plan("s", [key], {})
    more = ["select class_name from trials"] if command == "query" else []
    done = nsa(command, store.root, *more, PYTHONIOENCODING="ascii")
    assert r"gr\xf6\xdfe" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="becomes another user: needs root"
)
def test_a_user_without_home_and_name_can_use_ray():
    bare = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(
        [*AS_NOBODY_KNOWN, sys.executable, "-c", "import studies.cluster.run; print('imported')"],
        cwd=ROOT, env=bare, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == "imported\n", done.stderr
