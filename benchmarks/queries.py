"""Ten questions to a store of 640 trials, before compaction and after it.

    python benchmarks/queries.py

The questions are those of docs/results_schema.md. Every time is that of
``open_store(path).sql(query)``, opening included; DuckDB alone on the compacted files is the peer.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow
import torch
from generated_store import generate
from hardware import Spread, describe, markdown_table, number, number_with_range

from tracking import open_store
from tracking.schema import TABLES

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "benchmarks" / "results" / "queries.md"
LIMITS = {"before": 1.0, "after": 0.3}

Ask = Callable[[str], object]


def questions() -> list[tuple[str, str]]:
    """Title and query of each question of the documentation."""
    text = (ROOT / "docs" / "results_schema.md").read_text()
    return re.findall(r"\*\*(\d+\. [^*]*)\*\*[^`]*```sql\n(.*?)```", text, re.DOTALL)


@dataclass(frozen=True)
class Cost:
    """What a query takes: seconds on the clock, and of all its threads on a CPU."""

    clock: Spread
    cpu: Spread


def rounds_of(ask: Ask, queries: list[tuple[str, str]], rounds: int) -> list[Cost]:
    """Cost of every query, asked in turn; the first round warms up."""
    seconds: list[list[tuple[float, float]]] = [[] for _ in queries]
    for index in range(rounds + 1):
        for found, (_, query) in zip(seconds, queries, strict=True):
            clock, cpu = time.perf_counter(), time.process_time()
            ask(query)
            if index:
                found.append((time.perf_counter() - clock, time.process_time() - cpu))
    return [Cost(*map(Spread.of, zip(*values, strict=True))) for values in seconds]


def bare_duckdb(folder: Path) -> Ask:
    """The peer: no checks, no walls, and nothing that happened since the compaction."""

    def ask(query: str) -> object:
        with duckdb.connect(":memory:") as connection:
            for name in TABLES:
                file = folder / f"{name}.parquet"
                connection.execute(f"create view {name} as from read_parquet('{file}')")
            return connection.sql(query).to_arrow_table()

    return ask


def table(queries: list[tuple[str, str]], columns: dict[str, list[Cost]]) -> str:
    """Milliseconds a question: on the clock with their range, and of CPU."""
    body = [
        [
            title,
            *(number_with_range(costs[row].clock.scaled(1000)) for costs in columns.values()),
            *(number(costs[row].cpu.median * 1000) for costs in columns.values()),
        ]
        for row, (title, _) in enumerate(queries)
    ]
    return markdown_table(["question", *columns, *(f"CPU {name}" for name in columns)], body)


def measure(path: Path, rounds: int) -> str:
    """Ask before and after compaction; returns the report's tables."""
    queries = questions()

    def ask(query: str) -> object:
        return open_store(path).sql(query)

    before = rounds_of(ask, queries, rounds)
    started = time.perf_counter()
    pointer = open_store(path).compact()
    compacting = time.perf_counter() - started
    after = rounds_of(ask, queries, rounds)
    bare = rounds_of(bare_duckdb(pointer), queries, rounds)
    columns = {"before": before, "after": after, "bare DuckDB": bare}
    verdicts = []
    for name, limit in LIMITS.items():
        fast, lean = (
            sum(getattr(cost, kind).median < limit for cost in columns[name])
            for kind in ("clock", "cpu")
        )
        verdicts.append(
            f"- {name} compaction, below {limit:g} s: {fast} of {len(queries)} on the clock, "
            f"{lean} of CPU"
        )
    size = sum(file.stat().st_size for file in pointer.iterdir()) / 2**20
    return "\n\n".join(
        [
            table(queries, columns),
            f"Milliseconds, median (range) of {rounds} rounds, all questions in turn, files in the "
            "page cache. CPU: of all threads. The load before tells who else was at work. "
            f"Compaction took {number(compacting)} s; a generation has {number(size)} MiB.",
            "\n".join(verdicts),
        ]
    )


def main() -> int:
    """Generate, measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sizes = {"trials": 640, "epochs": 30, "layers": 5, "scorers": 8}
    for name, default in (*sizes.items(), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--store", metavar="DIR", help="generate here and keep, or use again")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    machine = describe(CPU)
    versions = f"duckdb {duckdb.__version__}, pyarrow {pyarrow.__version__}"
    with tempfile.TemporaryDirectory(prefix="queries-") as scratch:
        path = Path(options.store or Path(scratch) / "store")
        written = "before"
        if not path.exists():
            started = time.perf_counter()
            generate(path, **{name: getattr(options, name) for name in sizes})
            written = f"in {number(time.perf_counter() - started)} s"
        (path / "parquet").unlink(missing_ok=True)  # as if never compacted
        store = open_store(path)
        rows = [len(each()) for each in (store.trials, store.dynamics, store.scores)]
        found = measure(path, options.rounds)
    text = "\n\n".join(
        [
            "# Queries",
            f"Made by `{' '.join(['python benchmarks/queries.py', *sys.argv[1:]])}`. The questions "
            "are those of [docs/results_schema.md](../../docs/results_schema.md); a time is that "
            "of `open_store(path).sql(query)`.",
            markdown_table(["", "this machine"], [*map(list, machine.items()), ["", versions]]),
            f"{rows[0]:,} trials, {rows[1]:,} rows of dynamics, {rows[2]:,} of scores, written "
            f"{written} by `TrialRecord.add`, one epoch after another.",
            found,
        ]
    )
    Path(options.output).write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
