"""Peak memory of the uses of a large store, each in a process of its own.

python benchmarks/store_memory.py --trials 5000
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import torch
from generated_store import generate
from hardware import describe, markdown_table, number

from tracking import Store, open_store
from tracking.trial import trial_id

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "benchmarks" / "results" / "store_memory.md"

OPEN = "from tracking import open_store; store = open_store(sys.argv[1])"
QUERY = (
    "select d.epoch, s.layer, s.scorer, avg(s.auroc), corr(s.auroc, d.kappa_train) "
    "from scores s join dynamics d using (trial_id, epoch) join trials t using (trial_id) "
    "group by all order by all"
)
USES = {
    "opened, nothing read": OPEN,
    "a query of all three tables, before compaction": f"{OPEN}; store.sql({QUERY!r})",
    "`store.scores()`, before compaction": f"{OPEN}; store.scores()",
    "compaction": f"{OPEN}; store.compact()",
    "a query of all three tables, after compaction": f"{OPEN}; store.sql({QUERY!r})",
    "`store.scores()`, after compaction": f"{OPEN}; store.scores()",
    "the report": "from tracking.report.__main__ import main; main([sys.argv[1]])",
}
PEAK = (
    "import re, time; status = open('/proc/self/status').read(); "
    "print(re.search('VmHWM:\\\\s*([0-9]+)', status)[1], time.process_time(), file=sys.stderr)"
)


def multiply(store: Store, trials: int) -> None:
    """Give a store of the study "generated" so many trials: its own, and those with other seeds.

    Their tables are written whole, which the real writer does epoch by epoch in an hour.
    """
    own = [store.trial(each) for each in store.members("generated")]
    finished = [record for record in own if record.state()["status"] == "finished"]
    ids = [record.trial_id for record in own]
    for index in range(trials - len(own)):
        pattern = finished[index % len(finished)]
        definition = pattern.definition()
        config = definition["config"] | {"seed": 1 + index // len(finished)}
        record = store.trial(trial_id(config, definition["data_fingerprint"]))
        record.folder.mkdir(parents=True)
        facts = {name: definition[name] for name in ("class_name", "data_fingerprint")}
        record.create(config, facts)
        with record.claim():
            record.begin({"host": "worker-1"})
            for name, table in (("scores", pattern.scores()), ("dynamics", pattern.dynamics())):
                key = pa.array([record.trial_id] * len(table))
                column = table.schema.get_field_index("trial_id")
                record.write_artifact(name, table.set_column(column, "trial_id", key))
            record.end("finished")
        ids.append(record.trial_id)
    store.plan("generated", ids, about=store.about("generated"))


def peak(use: str, store: Path) -> tuple[float, float]:
    """MiB and seconds of CPU that a use takes, imports included."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {use}; {PEAK}", str(store)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    kibibytes, seconds = map(float, done.stderr.split()[-2:])
    return kibibytes / 1024, seconds


def main() -> int:
    """Generate, measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=5000, metavar="N")
    parser.add_argument("--store", metavar="DIR", help="generate here and keep, or use again")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args()
    machine = describe(torch.device("cpu"))
    with tempfile.TemporaryDirectory(prefix="memory-") as scratch:
        path = Path(options.store or Path(scratch) / "store")
        if not path.exists():
            multiply(generate(path, trials=100), options.trials)
        (path / "parquet").unlink(missing_ok=True)  # as if never compacted
        table = [[name, *map(number, peak(use, path))] for name, use in USES.items()]
        rows = len(open_store(path).scores())
    text = "\n\n".join(
        [
            "# Memory of a large store",
            f"Made by `python benchmarks/store_memory.py --trials {options.trials}`.",
            markdown_table(["", "this machine"], list(machine.items())),
            f"{options.trials:,} trials, {rows:,} rows of scores. Each use once, in a process of "
            "its own: peak of resident memory and time of CPU, imports included.",
            markdown_table(["use", "MiB", "CPU s"], table),
        ]
    )
    options.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
