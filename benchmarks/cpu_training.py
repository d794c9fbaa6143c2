"""SimSiam training on this CPU beside lightly's, on equal networks; writes cpu_training.md.

    python benchmarks/cpu_training.py [--threads 2] [--rounds 5] [--seconds 5]

End to end (images in memory to updated weights), the step alone on views that are ready, and the
views alone; ours as it is and compiled; beside them the bare matrix product. Everything is measured
in turn, round by round, so that drift of the machine hits all alike. lightly 1.6 is the peer if it
can be imported. What is compiled is compiled anew.
"""

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpu_training_measures import (
    COMPILED,
    CPU,
    LIGHTLY,
    SIZE,
    WITH_VIEWS,
    Case,
    Found,
    lightly_peer,
    measured,
)
from hardware import (
    Spread,
    describe,
    encoder_flops,
    markdown_table,
    matmul_rate,
    number,
    number_with_range,
)

from nsa_core.training import best_precision

OUTPUT = Path(__file__).resolve().parent / "results"
NO_PEER = (
    "lightly is not installed, so it is not compared; to have it: pip install --target DIR "
    "--no-deps 'lightly==1.6.*' lightly-utils lightning-utilities, and PYTHONPATH=DIR"
)


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="a measurement (default: 5)")
    parser.add_argument(
        "--cases", nargs="+", type=_case, default=[(64, 32), (16, 64), (16, 512)],
        metavar="WIDTHxBATCH", help="networks and batch sizes (default: 64x32 16x64 16x512)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR")
    options = parser.parse_args()
    if min(options.threads, options.rounds, options.seconds) <= 0:
        parser.error("--threads, --rounds and --seconds need numbers above 0")
    torch.set_num_threads(options.threads)
    facts = describe(CPU)
    if lightly_peer is None:
        print(NO_PEER)
    products = _products(options)
    parts = [_head(facts, options), _product_table(products)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        for width, batch in options.cases:
            case = Case(width, batch, options.seconds)
            parts.append(_section(case, measured(case, options.rounds), products))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cpu_training.md").write_text("\n\n".join(parts) + "\n")
    print(f"wrote {options.out / 'cpu_training.md'}")
    return 0


def _case(text: str) -> tuple[int, int]:
    """Width and batch size, of ``64x32``."""
    width, _, batch = text.partition("x")
    if not (width.isdigit() and batch.isdigit() and int(width) >= 8 and int(batch) >= 2):
        raise argparse.ArgumentTypeError(
            f"{text!r}; need WIDTHxBATCH as in 64x32, a width of at least 8, a batch of at least 2"
        )
    return int(width), int(batch)


def _section(case: Case, found: Found, products: dict[str, tuple[int, Spread]]) -> str:
    """The tables of one network."""
    flops = encoder_flops(case.config(), SIZE)
    parts = [f"## Width {case.width}, batch {case.batch}"]
    for part, title in (("end to end", "End to end"), ("step", "The step alone")):
        rates = found.rates[part]
        plain = [each.median for name, each in rates.items() if name.startswith("lightly, fp32")]
        rows = []
        for name, rate in rates.items():
            precision = "fp32" if "fp32" in name else best_precision(CPU)
            share = flops * rate.median / products[precision][1].median
            rows.append([
                name, number_with_range(rate), str(rate.n),
                f"{rate.median / max(plain):.2f}" if plain else "",
                number(flops * rate.median / 1e9), f"{100 * share:.1f} %",
            ])  # fmt: skip
        header = ["image pairs/s", "n", "ratio to lightly", "GFLOP/s", "of the product"]
        parts.append(markdown_table([title, *header], rows))
    return "\n\n".join([*parts, found.told, _views(found)])


def _views(found: Found) -> str:
    """What making views costs of a step."""
    views, step = found.rates["views"], found.rates["step"]
    told = []
    for name in (WITH_VIEWS, COMPILED):
        if name in views:
            share = 100 * step[name].median / views[name].median
            told.append(f"{name}: {number_with_range(views[name])} pairs/s, {share:.1f} %")
    sentence = f"Views alone, and their share of the step ({'; '.join(told)})."
    if LIGHTLY in views:
        theirs, alone = views[LIGHTLY], step["lightly, fp32"].median
        share = 100 * alone / (alone + theirs.median)
        sentence += (
            f" lightly's transform: {number_with_range(theirs)} pairs/s in one process, "
            f"{share:.1f} % of its fp32 step and transform together."
        )
    return sentence


def _products(options: argparse.Namespace) -> dict[str, tuple[int, Spread]]:
    """Size and FLOP/s of the bare matrix product by precision."""
    return {p: matmul_rate(CPU, p, 2048, options.rounds, options.seconds) for p in ("fp32", "bf16")}


def _product_table(products: dict[str, tuple[int, Spread]]) -> str:
    rows = [
        [precision, str(size), number_with_range(rate.scaled(1e-9)), str(rate.n)]
        for precision, (size, rate) in products.items()
    ]
    return markdown_table(["product of square matrices", "size", "GFLOP/s", "n"], rows)


def _head(facts: dict[str, str], options: argparse.Namespace) -> str:
    peer = (
        ""
        if lightly_peer is None
        else f"lightly {lightly_peer.VERSION} on equal networks (but for one bias of a head)"
    )
    return (
        "# SimSiam training on a CPU, beside lightly's\n\n"
        f"Made by `{shlex.join(['python', 'benchmarks/cpu_training.py', *sys.argv[1:]])}`. "
        "ResNet-18 with 3x3 stem, 32x32 RGB, no norms, three-layer heads, Adam; FLOPs are the "
        "encoder's alone. Median (lowest–highest) of n interleaved rounds of about "
        f"{options.seconds:g} s a measurement. End to end is from images in memory to updated "
        "weights. The ratio is to lightly in fp32, its faster number of workers. Ratios within "
        f"this run are the result; see the load.\n\n{peer or NO_PEER}.\n\n"
        + markdown_table(["", "this machine"], list(facts.items()))
    )


if __name__ == "__main__":
    sys.exit(main())
