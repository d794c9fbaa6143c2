"""Which precision and memory layout trains fastest on this CPU; writes results/cpu_precision.md.

    python benchmarks/cpu_precision.py [--threads 2] [--rounds 5] [--out benchmarks/results]

Variants run in interleaved rounds, so that drift of the machine hits all of them alike.
"""

import argparse
import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware import (
    Spread,
    Step,
    describe,
    markdown_table,
    matmul_rate,
    number,
    number_with_range,
    seconds_for,
    training_step,
)

from nsa_core import TrialConfig
from nsa_core.training import best_precision

CPU = torch.device("cpu")
SIZE = 32
CASES = ((64, 32), (16, 64))  # width, batch
VARIANTS = (("fp32", False), ("fp32", True), ("bf16", False), ("bf16", True))
LIMIT_S = 20.0  # a step that takes longer is not repeated
BLOCK_S = 1.0
PROBE = 4  # image pairs, from which the cost of a step in an emulated format is estimated


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results = Path(__file__).resolve().parent / "results"
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=results, metavar="DIR")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = describe(CPU)
    facts["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "not set")
    parts = [_head(facts, options), _matmul(options.rounds)]
    parts += [_case(width, batch, options.rounds) for width, batch in CASES]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cpu_precision.md").write_text("\n\n".join(parts) + "\n")
    print(f"wrote {options.out / 'cpu_precision.md'}")


def _head(facts: dict[str, str], options: argparse.Namespace) -> str:
    command = f"python benchmarks/cpu_precision.py --threads {options.threads}"
    return (
        "# SimSiam training steps on a CPU, by precision and memory layout\n\n"
        f"Made by `{command} --rounds {options.rounds}`. Whole steps: two augmented views, "
        "forward, backward, fused Adam; ResNet-18 with 3x3 stem, 32x32 RGB, norm both, the paper's "
        "heads. Median (lowest–highest) of interleaved rounds.\n"
        "The machine was not known to be quiet: see the load, which counts processes other than "
        "this one. Ratios within this run are the result, rates are not.\n"
        "A variant too slow to repeat was timed once at a smaller batch, where fixed costs weigh "
        "more, so its ratio errs to the low side.\n\n"
        f"`nsa_core.training.best_precision` chooses **{best_precision(CPU)}** here.\n\n"
        + markdown_table(["", "this machine"], list(facts.items()))
    )


def _matmul(rounds: int) -> str:
    rows = []
    for precision in ("fp32", "bf16"):
        print(f"matrix product, {precision}", flush=True)
        size, rate = matmul_rate(CPU, precision, 2048, rounds, limit_s=LIMIT_S / 2)
        rows.append([precision, str(size), number_with_range(rate.scaled(1e-9)), str(rate.n)])
    table = markdown_table(["product of square matrices", "size", "GFLOP/s", "n"], rows)
    return (
        "## Bare matrix product\n\n" + table + "\n\nA size below 2048 means that a larger "
        f"product would take more than {LIMIT_S / 2:.0f} s."
    )


def _case(width: int, batch: int, rounds: int) -> str:
    """The table of one network and batch size."""
    steps: dict[tuple[str, bool], Step] = {}
    rates: dict[tuple[str, bool], list[float]] = {}
    remarks: dict[tuple[str, bool], str] = {}
    counts = {}
    for variant in VARIANTS:
        print(f"width {width}, batch {batch}, {_name(*variant)}: first step", flush=True)
        pairs = batch
        if variant[0] not in ("fp32", best_precision(CPU)):  # emulated: try a small batch first
            small = training_step(_config(width, PROBE, variant), SIZE, CPU)
            if (seconds := seconds_for(small, CPU)) * batch / PROBE > LIMIT_S:
                pairs = PROBE
        if pairs == batch:
            steps[variant] = training_step(_config(width, batch, variant), SIZE, CPU)
            seconds = seconds_for(steps[variant], CPU)
        rates[variant] = []
        if pairs < batch or seconds > LIMIT_S:
            rates[variant] = [pairs / seconds]
            remarks[variant] = f"one step of {pairs} pairs, {seconds:.1f} s; too slow to repeat"
            steps.pop(variant, None)
        counts[variant] = max(1, round(BLOCK_S / seconds))
    for index in range(rounds):
        print(f"width {width}, batch {batch}: round {index + 1} of {rounds}", flush=True)
        for variant, step in steps.items():
            count = counts[variant]
            rates[variant].append(count * batch / seconds_for(step, CPU, count))
    plain = Spread.of(rates[VARIANTS[0]]).median
    rows = []
    for variant, values in rates.items():
        rate = Spread.of(values)
        ratio = number(rate.median / plain)
        remark = remarks.get(variant, f"{counts[variant]} steps a round")
        rows.append([_name(*variant), number_with_range(rate), str(rate.n), ratio, remark])
    header = ["variant", "image pairs/s", "n", "ratio to fp32", "remark"]
    return f"## Width {width}, batch {batch}\n\n" + markdown_table(header, rows)


def _config(width: int, batch: int, variant: tuple[str, bool]) -> TrialConfig:
    precision, channels_last = variant
    return TrialConfig(
        width=width, batch_size=batch, precision=precision, channels_last=channels_last
    )


def _name(precision: str, channels_last: bool) -> str:
    return f"{precision}, channels_last" if channels_last else precision


if __name__ == "__main__":
    main()
