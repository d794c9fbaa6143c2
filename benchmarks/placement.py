"""Where Ray really puts trials: hosts with GPUs that are not there, trials that train nothing.

    python benchmarks/placement.py > benchmarks/results/placement.md

Every host is a Ray node of its own (a raylet) on this machine; the first one has no GPU, as the
head of a cluster has none. Trials run through ``studies.cluster.run``, placed as a study's. As
many as fit wait for one another, so that all are seen at once; the others last ``--seconds``. With
``--equal`` all ask Ray for the same share, as they would without ``gpu_waves``.
"""

import argparse
import json
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update(
    {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # or nodes on loopback are refused
        "RAY_prestart_worker_first_driver": "0",
        "RAY_enable_worker_prestart": "0",
    }
)

import ray
import torch
from hardware import describe
from ray.cluster_utils import Cluster

from studies.cluster import run as cluster_room
from studies.cluster.actor import TrialActor
from studies.cluster.placement import Resources
from studies.cluster.progress import Progress
from studies.cluster.queue import Listed
from tracking import create_store
from tracking.text import markdown_table


class Recorded(TrialActor):
    """Notes where and when it ran; the first ``at_once`` trials wait for one another."""

    def setup(self, config: dict[str, Any]) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def step(self) -> dict[str, Any]:
        seen = Path(self.config["store"]).parent / "seen"
        told = json.loads((seen / "told").read_text())
        name = self.config["trial_id"]
        if int(name, 16) == 0 and not (seen / "died").exists():
            (seen / "died").touch()
            os._exit(1)  # the others wait until it has found its place again
        note = {
            "trial": name,
            "host": ray.get_runtime_context().get_node_id(),
            "gpu": ray.get_gpu_ids(),
            "worker": os.getpid(),
            "ask": self.config["ray_gpus"],
            "start": time.time(),
        }
        (seen / f"{name}.start").touch()
        if int(name, 16) < told["at_once"]:
            while len([*seen.glob("*.start")]) < told["at_once"]:
                time.sleep(0.1)
        else:
            time.sleep(told["seconds"])
        part = seen / f".{name}"
        part.write_text(json.dumps({**note, "end": time.time()}))
        part.replace(seen / f"{name}.json")
        told = {"progress": 1.0, "epoch": 1, "speed": 0.0, "compiling": False}
        return {"done": True, **told}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True


def main() -> None:
    """Run trials on a cluster of such hosts, print which GPU had how many and when."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", default="2,2,4,1", help="of every host but the first")
    parser.add_argument("--cpus", type=int, default=16, help="cores that a host says it has")
    parser.add_argument("--share", type=float, default=0.25, help="of a GPU, for each trial")
    parser.add_argument("--trials", default="13,72", help="of each run")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--equal", action="store_true", help="as without gpu_waves")
    parser.add_argument("--json", action="store_true", help="print what every trial noted")
    options = parser.parse_args()
    gpus = [int(each) for each in options.gpus.split(",")]
    started = time.monotonic()
    cluster = _cluster(gpus, options.cpus)
    up = time.monotonic() - started
    runs = []
    try:
        for trials in options.trials.split(","):
            runs.append(_run(cluster.address, int(trials), options))
    finally:
        cluster.shutdown()
    if options.json:
        print(json.dumps(runs))
        return
    print("# Where Ray puts trials\n")
    how = f"--gpus {options.gpus} --share {options.share} --trials {options.trials}"
    how += " --equal" * options.equal
    print(f"Command: `python benchmarks/placement.py {how}`; n = 1 run a column.\n")
    print(f"{len(gpus) + 1} raylets, {sum(gpus)} GPUs that are not there; up in {up:.0f} s.\n")
    print(markdown_table(["quantity", *[f"{run['trials']} trials" for run in runs]], _rows(runs)))
    print()
    facts = describe(torch.device("cpu")) | {"Ray": ray.__version__}
    print(markdown_table(["hardware", ""], [[*pair] for pair in facts.items()]))


def _cluster(gpus: Sequence[int], cpus: int) -> Cluster:
    memory = 80 * 2**20  # bytes, the least that Ray takes
    head = {"num_cpus": 0, "num_gpus": 0, "include_dashboard": False}
    head |= {"object_store_memory": memory}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for count in gpus:
        cluster.add_node(num_cpus=cpus, num_gpus=count, object_store_memory=memory, wait=False)
    cluster.wait_for_nodes(timeout=300)
    return cluster


def _run(address: str, trials: int, options: argparse.Namespace) -> dict[str, Any]:
    how = cluster_room.RunOptions(Resources(1, options.share), address=address)
    where = cluster_room.placement(how, trials)
    if options.equal:
        where = replace(where, asks=(where.resources.gpus,) * where.at_once)
    cluster_room.TrialActor = Recorded  # type: ignore[misc]
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # of the one worker that dies
    with tempfile.TemporaryDirectory() as folder:
        store, seen = create_store(f"{folder}/store"), Path(folder) / "seen"
        seen.mkdir()
        told = {"at_once": where.at_once, "seconds": options.seconds}
        (seen / "told").write_text(json.dumps(told))
        ids = [f"{number:016x}" for number in range(trials)]
        for key in ids:  # what the driver asks the ledger at a trial's end
            store.trial(key).end("finished")
        started = time.time()
        progress = Progress(trials, trials, lambda key: 1.0)
        cluster_room.run(store, Listed(ids), how, where, progress)
        ended = time.time()
        notes = [json.loads(path.read_text()) for path in sorted(seen.glob("*.json"))]
    return {
        "trials": trials,
        "at_once": where.at_once,
        "note": where.note,
        "started": started,
        "ended": ended,
        "notes": notes,
        "gpus": sum(int(each) for each in options.gpus.split(",")),
    }


def _rows(runs: list[dict[str, Any]]) -> list[list[str]]:
    def first(run: dict[str, Any]) -> list[dict[str, Any]]:
        return [note for note in run["notes"] if int(note["trial"], 16) < run["at_once"]]

    def loads(run: dict[str, Any]) -> str:
        count = Counter(f"{note['host']} {note['gpu']}" for note in first(run))
        idle = run["gpus"] - len(count)
        found = Counter(count.values()) | Counter({0: idle})
        return ", ".join(f"{n} GPUs with {each}" for each, n in sorted(found.items()) if n)

    def used(run: dict[str, Any]) -> str:
        seen: set[str] = set()
        in_order = sorted(run["notes"], key=lambda note: note["start"])
        for number, note in enumerate(in_order, start=1):
            seen.add(f"{note['host']} {note['gpu']}")
            if len(seen) == run["gpus"]:
                return f"{number} ({note['start'] - run['started']:.1f} s)"
        return "never"

    return [
        ["trials that ended", *[str(len(run["notes"])) for run in runs]],
        ["planned at once", *[str(run["at_once"]) for run in runs]],
        ["seen at once", *[str(_most_at_once(first(run))) for run in runs]],
        ["trials by GPU, all at once", *[loads(run) for run in runs]],
        ["trials started when every GPU had one", *[used(run) for run in runs]],
        ["workers", *[str(len({note["worker"] for note in run["notes"]})) for run in runs]],
        ["wall time, s", *[f"{run['ended'] - run['started']:.0f}" for run in runs]],
    ]


def _most_at_once(notes: list[dict[str, Any]]) -> int:
    edges = sorted([(n["start"], 1) for n in notes] + [(n["end"], -1) for n in notes])
    running, most = 0, 0
    for _, change in edges:
        running += change
        most = max(most, running)
    return most


if __name__ == "__main__":
    main()
