"""Cores and memory of a container are what its control groups give, in both of their versions."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core.limits import usable_cores, usable_memory
from tests.faults.cgroup import absent, tight_group

ROOT = Path(__file__).parents[2]
CORES = len(os.sched_getaffinity(0))
MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
NO_LIMIT = 9223372036854771712


@pytest.fixture
def groups(tmp_path):
    """Writes the files of a kernel: the groups of this process, and what limits them."""

    def write(own, **files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return tmp_path / "fs", tmp_path / "own"

    return write


VERSION_1 = "4:memory:/docker/a\n2:cpuacct,cpu:/docker/a\n1:name=systemd:/docker/a\n0::/\n"
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "max 100000"}, CORES),
        ("0::/a/b\n", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, 1),
        ("0::/not/seen/from/here\n", {"cpu.max": "100000 100000"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000"}, min(CORES, 64)),
        (VERSION_1, {f"cpu/{QUOTA}": "150000", f"cpu/{PERIOD}": "100000"}, 1),
        (
            VERSION_1,
            {f"cpuacct,cpu/docker/a/{QUOTA}": "1", f"cpuacct,cpu/docker/a/{PERIOD}": "9"},
            1,
        ),
        (VERSION_1, {f"cpu/{QUOTA}": "-1", f"cpu/{PERIOD}": "100000"}, CORES),
        ("", {}, CORES),
    ],
)
def test_cores_are_the_share_of_time_that_the_groups_give(groups, own, files, cores):
    assert usable_cores(*groups(own, **files)) == cores


@pytest.mark.parametrize(
    ("own", "files", "memory"),
    [
        ("0::/\n", {"memory.max": "1000000"}, 1_000_000),
        ("0::/\n", {"memory.max": "max"}, MEMORY),
        ("0::/a/b\n", {"a/memory.max": "2000000", "a/b/memory.max": "3000000"}, 2_000_000),
        (VERSION_1, {"memory/memory.limit_in_bytes": "1000000"}, 1_000_000),
        (VERSION_1, {"memory/docker/a/memory.limit_in_bytes": "1000000"}, 1_000_000),
        (VERSION_1, {"memory/memory.limit_in_bytes": NO_LIMIT}, MEMORY),
        ("", {}, MEMORY),
    ],
)
def test_memory_is_what_the_groups_may_take(groups, own, files, memory):
    assert usable_memory(*groups(own, **files)) == memory


def test_without_such_a_kernel_it_is_the_machine_s(tmp_path):
    assert usable_cores(tmp_path, tmp_path / "none") == CORES
    assert usable_memory(tmp_path, tmp_path / "none") == MEMORY


IN_A_GROUP = """
import sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text("0")
from nsa_core import InputError, load_images
from nsa_core.limits import usable_memory
print(usable_memory())
try:
    load_images(sys.argv[2], "train")
except InputError as error:
    print(error)
"""


@pytest.mark.root
@pytest.mark.skipif(bool(absent()), reason=absent())
def test_pictures_that_a_group_of_the_kernel_s_has_no_room_for_are_refused(tmp_path):
    """200 MB, of which there are three copies for a moment, in 512 MB."""
    stream = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(stream, "PNG")
    pictures = [{"bytes": stream.getvalue(), "path": None}] * 70
    table = pa.table({"image": pictures, "label": [0, 1] * 35})
    pq.write_table(table, tmp_path / "large-train.parquet")
    with tight_group(512 << 20) as group:
        done = subprocess.run(
            [sys.executable, "-c", IN_A_GROUP, str(group), str(tmp_path / "large-{split}.parquet")],
            cwd=ROOT, env=os.environ | {"NSA_CACHE": str(tmp_path / "cache")},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    seen, refused = done.stdout.splitlines()
    assert seen == str(512 << 20)
    assert refused.endswith(
        "70 images of 1000x1000 take 0.2 GB decoded; need at most a quarter of the 0.5 GB that "
        "this process has"
    )
