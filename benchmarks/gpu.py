"""Numerics, speed, packing, evaluation and a real training on a CUDA machine, in three minutes.

    python benchmarks/gpu.py --minutes 3 [--data-root DIR] [--out DIR] [--device cuda|cpu] [--toy]

Needs torch >= 2.11, torchvision, numpy, scipy, scikit-learn and pyarrow, and nothing else; the
project need not be installed. Writes gpu.parquet (one row a number) and gpu.md (to read).
"""

import argparse
import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for ``python -m benchmarks.gpu``
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu_evaluation import evaluation
from gpu_numerics import numerics
from gpu_report import markdown, write_parquet
from gpu_run import TOY, Row, Run, Scale
from gpu_speed import matmul, speed
from gpu_training import training
from gpu_ways import ways
from hardware import describe, number_with_range

from nsa_core.training import best_precision

OUTPUT = Path(__file__).resolve().parent / "results"
SECTIONS: tuple[Callable[[Run], Iterator[Row]], ...] = (
    numerics,
    ways,
    matmul,
    evaluation,
    speed,
    training,
)


def run_sections(run: Run) -> tuple[list[Row], dict[str, str]]:
    """All rows, and the errors of the sections that failed; one failure stops no other section."""
    rows: list[Row] = []
    errors: dict[str, str] = {}
    for section in SECTIONS:
        name = section.__name__
        print(f"[{run.clock()}] {name}: {(section.__doc__ or '').splitlines()[0]}", flush=True)
        try:
            for row in section(run):
                rows.append(row)
                text = f"{row.quantity} {number_with_range(row.value)} {row.unit}"
                print(f"[{run.clock()}]   {row.case}: {text}", flush=True)
        except Exception as error:  # reported in both files and by the exit status
            traceback.print_exc()
            first_line = str(error).splitlines()[0] if str(error) else ""
            errors[name] = f"{type(error).__name__}: {first_line}"
        gc.collect()
    return rows, errors


def available_precisions(device: torch.device, toy: bool) -> tuple[str, ...]:
    """The lightest first; bf16 only where the hardware has it (a toy is small enough without)."""
    bf16 = ("bf16",) if toy or best_precision(device) == "bf16" else ()
    return (*bf16, "tf32", "fp32") if device.type == "cuda" else (*bf16, "fp32")


def parse() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="in all, about (default: 3)")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder of CIFAR-10")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda; cpu with --toy")
    parser.add_argument("--toy", action="store_true", help="toy sizes, a few seconds")
    options = parser.parse_args()
    options.device = options.device or ("cpu" if options.toy else "cuda")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error(
            "torch finds no CUDA device here; run this on a machine with an NVIDIA GPU, its driver "
            "and a CUDA build of torch, or try it at toy size on the CPU with --toy"
        )
    if options.data_root is not None and not options.data_root.is_dir():
        parser.error(f"--data-root {options.data_root} is not a folder")
    if not options.minutes > 0:
        parser.error(f"--minutes is {options.minutes}; need a number above 0")
    return options


def main() -> int:
    """Run, print, write; 1 if a section failed."""
    options = parse()
    device = torch.device(options.device)
    run = Run(
        scale=TOY if options.toy else Scale(),
        device=device,
        precisions=available_precisions(device, options.toy),
        data_root=options.data_root,
        started=time.monotonic(),
        seconds=300.0 if options.toy else 60 * options.minutes,  # a toy leaves nothing out
    )
    facts = describe(device)
    options.out.mkdir(parents=True, exist_ok=True)
    rows, errors = run_sections(run)
    write_parquet(options.out / "gpu.parquet", rows, errors)
    (options.out / "gpu.md").write_text(markdown(run, facts, rows, errors))
    print(f"[{run.clock()}] wrote {options.out / 'gpu.md'} and gpu.parquet")
    for name, error in errors.items():
        print(f"failed: {name}: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
