"""The two files of the GPU benchmark: one row a number in Parquet, and Markdown to read."""

import shlex
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from gpu_run import Row, Run
from hardware import markdown_table, number_with_range

SCHEMA = pa.schema(
    [
        ("section", pa.string()),
        ("name", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("n", pa.int64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("status", pa.string()),
    ]
)

LEGEND = {
    "numerics": (
        "The same weights, images and views on the CPU in fp32 and on the device, and the most "
        "that they may differ. 'views', 'loss': "
        "largest absolute difference, of numbers in [0, 1] and [-1, 1]; the others relative to the "
        "largest value, for gradients norm of the difference over norm. Views, k-Cos, the "
        "embedding of evaluations and its kappa do not depend on the precision of the training. "
        "'tf32' is what torch does with fp32 on CUDA unless told otherwise: TensorFloat-32 in "
        "convolutions."
    ),
    "matmul": "The yardstick: median (lowest–highest) of repeated blocks.",
    "ways": (
        "Whole steps run one by one, captured as a CUDA graph, and compiled, from one seed. A "
        "capture changes no bit where kernels are deterministic; a compilation rounds otherwise."
    ),
    "evaluation": (
        "On random images and a network as initialised, all encoder layers. The last row is what "
        "follows the embedding at every evaluation; oc-svm is solved on the host, and comes with "
        "the last evaluation of a training alone."
    ),
    "speed": (
        "Whole steps: batch, two augmented views, forward, backward, fused Adam. SimSiam with norm "
        "both, SimCLR with norm f. Trials side by side run in threads of one process, each on a "
        "stream of its own. FLOPs are those that a step counts (torch's FlopCounterMode), the "
        "share is of the bf16 product above. Memory is that of all trials of a row; waits for the "
        "device inside a captured step are errors (set_sync_debug_mode)."
    ),
    "training": (
        "By nsa_core.train, on the largest class of the first data set that is there; AUROC on the "
        "whole test split, no epoch chosen by it. The last row: where the time went; steps are "
        "timed on the device, the capture and all that is between steps are outside of both."
    ),
}


def write_parquet(path: Path, rows: list[Row], errors: dict[str, str]) -> None:
    """One row a number, and one without a number for each section that failed."""
    records = [
        {
            "section": row.section,
            "name": f"{row.case}: {row.quantity}",
            "value": row.value.median,
            "unit": row.unit,
            "n": row.value.n,
            "low": row.value.low,
            "high": row.value.high,
            "status": "ok",
        }
        for row in rows
    ]
    records += [{"section": name, "status": f"failed: {text}"} for name, text in errors.items()]
    pq.write_table(pa.Table.from_pylist(records, SCHEMA), path)


def markdown(run: Run, facts: dict[str, str], rows: list[Row], errors: dict[str, str]) -> str:
    """The report: the command, the hardware, and a table for each section."""
    command = shlex.join(["python", "benchmarks/gpu.py", *sys.argv[1:]])
    network = run.scale.network
    parts = [
        f"# Training on {facts.get('GPU', facts['CPU'])}",
        f"Made by `{command}` in {run.clock().split()[0]} minutes: ResNet-{network.depth} of width "
        f"{network.width}, {run.scale.size}x{run.scale.size} RGB.",
        markdown_table(["", "this machine"], list(facts.items())),
    ]
    for name, legend in LEGEND.items():
        mine = [row for row in rows if row.section == name]
        if not mine and name not in errors:
            continue
        parts += [f"## {name.capitalize()}", legend]
        if mine:
            parts.append(section_table(mine))
        if name in errors:
            parts.append(f"**Failed**: {errors[name]}")
    return "\n\n".join([*parts, *run.notes]) + "\n"


def section_table(rows: list[Row]) -> str:
    """Cases down, quantities across; how many repeats each number has in the last column."""
    quantities = {r.quantity: f"{r.quantity} [{r.unit}]" if r.unit else r.quantity for r in rows}
    cells = {(r.case, r.quantity): number_with_range(r.value) for r in rows}
    repeats = {r.case: str(r.value.n) for r in rows}
    body = [
        [case, *(cells.get((case, quantity), "") for quantity in quantities), n]
        for case, n in repeats.items()
    ]
    return markdown_table(["", *quantities.values(), "n"], body)
