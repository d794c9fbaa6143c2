"""A signal stops a study once; what it does as it ends is not cut short by more of them."""

import subprocess
import sys

import pytest

from tests.studies.conftest import ROOT

TOLD_AGAIN_WHILE_IT_ENDS = """
import os, signal
from studies.cluster.signals import stop_on_sigterm
stop_on_sigterm()
try:
    os.kill(os.getpid(), signal.{first})
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    print("ended")
"""

TOLD_IN_THE_MIDST = """
import os, signal
from studies.cluster.signals import signals_wait, stop_on_sigterm
stop_on_sigterm()
try:
    with signals_wait():
        os.kill(os.getpid(), signal.{first})
        os.kill(os.getpid(), signal.SIGTERM)
        print("whole")
    print("not reached")
except KeyboardInterrupt:
    print("ended")
"""


@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("program", "said"),
    [(TOLD_AGAIN_WHILE_IT_ENDS, "ended\n"), (TOLD_IN_THE_MIDST, "whole\nended\n")],
)
def test_it_is_told_once(program, said, first):
    done = subprocess.run(
        [sys.executable, "-c", program.format(first=first)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)
