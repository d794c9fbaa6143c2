"""Freed memory stays, seen by the pages that the kernel hands out."""

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from nsa_core.training.freed_memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
    keep_freed_memory()
for step in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(48 * 2**18)  # 48 MB
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this machine's C library is another")
@pytest.mark.parametrize(
    ("asked", "variables", "keep"),
    [(False, {}, False), (True, {}, True), (True, {"MALLOC_TRIM_THRESHOLD_": "131072"}, False)],
)
def test_large_blocks_come_without_pages_that_the_kernel_must_clear(asked, variables, keep):
    """Unless whoever started the process says what is to be done with them."""
    command = [sys.executable, "-c", COUNT.format(keep=asked)]
    told = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=True
    ).stdout.split()
    first, *_, before_last, last = map(int, told)
    assert first > 100
    assert [pages < 100 for pages in (before_last, last)] == [keep, keep]
