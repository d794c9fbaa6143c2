"""Numerics, speed, memory and a real training on a CUDA machine, in one command of a few minutes.

    python benchmarks/gpu.py --minutes 5 [--data-root DIR] [--out DIR] [--device cuda|cpu] [--toy]

Needs torch >= 2.11, torchvision, numpy, scipy, scikit-learn and pyarrow, and nothing else; the
project need not be installed. Writes gpu.parquet (one row a number) and gpu.md (to read).
"""

import argparse
import gc
import resource
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware import (
    Spread,
    block_rates,
    describe,
    encoder_flops,
    markdown_table,
    matmul_rate,
    number_with_range,
    random_images,
    tf32,
    training_step,
)

from nsa_core import InputError, OneClassSplit, TrialConfig, kappa, load_images, one_class_split
from nsa_core.augment import ViewParams, apply_views, sample_views
from nsa_core.scorers import KCos
from nsa_core.training import Evaluation, best_precision, build_method, embed, train
from nsa_core.training.precision import autocast

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
DATA_SETS = ("cifar10", "fashion-mnist", "digits")  # the first one that is there is trained on
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


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is; the defaults are the paper's network."""

    network: TrialConfig = field(default_factory=TrialConfig)
    size: int = 32
    numerics_batch: int = 16
    batches: tuple[int, ...] = (32, 512)
    matmul: int = 8192
    blocks: int = 5
    block_s: float = 0.5
    limit_s: float = 5.0  # a step that takes longer is timed once
    max_epochs: int = 100_000
    evaluations: int = 6


TOY = Scale(
    network=TrialConfig(
        depth=10, width=8, method_options={"projector_dim": 32, "predictor_dim": 16}
    ),
    size=16,
    numerics_batch=4,
    batches=(4, 8),
    matmul=256,
    blocks=2,
    block_s=0.05,
    max_epochs=3,
    evaluations=2,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One number: of which section, for which case, which quantity."""

    section: str
    case: str
    quantity: str
    unit: str
    value: Spread


@dataclass(slots=True)
class Run:
    """What all sections know, and what they learn for later ones."""

    scale: Scale
    device: torch.device
    precisions: tuple[str, ...]
    data_root: Path | None
    started: float
    seconds: float
    matmul: dict[str, float] = field(default_factory=dict)  # precision to FLOP/s
    images_per_second: float | None = None  # of the settings that the training uses
    notes: list[str] = field(default_factory=list)

    def clock(self) -> str:
        """For instance ``0:12 of about 5:00``."""
        spent = time.monotonic() - self.started
        minutes = [f"{int(s) // 60}:{int(s) % 60:02}" for s in (spent, max(spent, self.seconds))]
        return " of about ".join(minutes)


def once(value: float) -> Spread:
    """A number that was measured once."""
    return Spread.of([value])


def numerics(run: Run) -> Iterator[Row]:
    """The same weights, images and views on the CPU in fp32 and on the device."""
    with tf32(convolutions=False, products=False):
        expected = tiny_step(run.scale, CPU, "fp32")
    for precision in run.precisions:
        with tf32(convolutions=precision == "tf32", products=False):
            found = tiny_step(run.scale, run.device, precision)
        for quantity, value in differences(found, expected).items():
            unit = "absolute" if quantity in ("views", "loss") else "relative"
            yield Row("numerics", precision, quantity, unit, once(value))


def tiny_step(scale: Scale, device: torch.device, precision: str) -> dict[str, list[Tensor]]:
    """Everything that a training computes, once: float64 tensors on the CPU, by name."""
    config, count = scale.network, scale.numerics_batch
    images = random_images(count, scale.size)
    method = build_method(config).to(device)
    embedding = embed(method, images.numpy(), device, precision)["embedding"]
    stream = torch.Generator().manual_seed(0)
    params = [sample_views(config.augment, count, (scale.size,) * 2, stream) for _ in range(2)]
    views = iter([apply_views(images, each).to(device) for each in params])  # made on the CPU
    method.train()
    with autocast(device, precision):
        loss = method.loss(images.to(device), lambda _: next(views))
    loss.backward()
    there = [ViewParams(*(part.to(device) for part in each)) for each in params]
    features = torch.randn(600, 64, generator=stream).add_(1).to(device)
    scores = KCos().fit(features[:400]).score(features[400:])
    tensors = {
        "views": [apply_views(images.to(device), each) for each in there],
        "embedding": [embedding],
        "loss": [loss],
        "gradient": [p.grad for p in method.parameters() if p.grad is not None],
        "kappa": [torch.tensor(kappa(embedding.cpu().numpy()), dtype=torch.float64)],
        "k-Cos": [torch.from_numpy(scores)],
    }
    return {name: [v.detach().double().cpu() for v in each] for name, each in tensors.items()}


def differences(
    found: dict[str, list[Tensor]], expected: dict[str, list[Tensor]]
) -> dict[str, float]:
    """Largest difference of each quantity; relative ones to the largest value, absolute others.

    Gradients differ by ``|g - g'| / |g'|``, all parameters together and in the worst tensor;
    tensors whose gradient is under a thousandth of the largest hold rounding alone.
    """
    result = {}
    for name in ("views", "loss", "embedding", "kappa", "k-Cos"):
        ours, reference = (torch.cat([v.flatten() for v in d[name]]) for d in (found, expected))
        largest = 1 if name in ("views", "loss") else reference.abs().max()
        result[name] = float((ours - reference).abs().max() / largest)
    pairs = list(zip(found["gradient"], expected["gradient"], strict=True))
    apart = torch.stack([(ours - reference).norm() for ours, reference in pairs])
    length = torch.stack([reference.norm() for _, reference in pairs])
    counted = length > 1e-3 * length.max()
    result["gradient"] = float(apart.norm() / length.norm())
    result["gradient, worst tensor"] = float((apart / length)[counted].max())
    return result


def matmul(run: Run) -> Iterator[Row]:
    """The bare matrix product: what the hardware gives at best."""
    for precision in run.precisions:
        scale = run.scale
        size, rate = matmul_rate(run.device, precision, scale.matmul, scale.blocks, scale.limit_s)
        run.matmul[precision] = rate.median
        case = f"{precision}, {size} x {size}"
        yield Row("matmul", case, "rate", "TFLOP/s", rate.scaled(1e-12))


def speed(run: Run) -> Iterator[Row]:
    """Whole SimSiam steps: augment, forward, backward, fused Adam."""
    flops = encoder_flops(run.scale.network, run.scale.size)
    for precision, config in settings(run, layouts=(True, False)):
        step = training_step(config, run.scale.size, run.device)
        scale = run.scale
        with tf32(convolutions=precision == "tf32", products=False):
            rate = block_rates(step, run.device, scale.blocks, scale.block_s, scale.limit_s)
        pairs = rate.scaled(config.batch_size)
        case = name_of(precision, config)
        yield Row("speed", case, "image pairs", "1/s", pairs)
        yield Row("speed", case, "encoder", "TFLOP/s", pairs.scaled(flops / 1e12))
        if peak := run.matmul.get(precision):
            share = pairs.scaled(100 * flops / peak)
            yield Row("speed", case, "share of matmul", "%", share)
        if config.channels_last and config.precision == best_precision(run.device):
            run.images_per_second = pairs.median  # the largest batch comes last and stays


def memory(run: Run) -> Iterator[Row]:
    """Peak memory of a few steps."""
    for precision, config in settings(run, layouts=(True,)):
        gc.collect()
        if run.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(run.device)
        step = training_step(config, run.scale.size, run.device)
        with tf32(convolutions=precision == "tf32", products=False):
            for _ in range(2 if run.device.type == "cuda" else 1):
                step()
        if run.device.type == "cuda":
            peak, what = torch.cuda.max_memory_allocated(run.device), "peak allocated"
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            what = "peak of the process so far"
        yield Row("memory", name_of(precision, config), what, "GiB", once(peak / 2**30))


def settings(run: Run, layouts: tuple[bool, ...]) -> Iterator[tuple[str, TrialConfig]]:
    """Batch sizes x precisions x layouts, the lightest first; "tf32" is a setting of torch."""
    for batch in run.scale.batches:
        for precision in run.precisions:
            for channels_last in layouts:
                yield (
                    precision,
                    replace(
                        run.scale.network,
                        batch_size=batch,
                        precision="bf16" if precision == "bf16" else "fp32",
                        channels_last=channels_last,
                    ),
                )


def training(run: Run) -> Iterator[Row]:
    """One class for as long as the time allows, by ``nsa_core.train`` with torch's defaults."""
    dataset, split, class_name = one_class(run)
    config = replace(
        run.scale.network,
        dataset=dataset,
        batch_size=min(run.scale.batches[-1], len(split.train_images)),
        precision=best_precision(run.device),
        evaluations=run.scale.evaluations,
        learning_rate=1e-4,
    )
    first = next(iter(train(replace(config, budget=1, evaluations=1), split, run.device)))
    left = run.seconds - (time.monotonic() - run.started)
    left -= config.evaluations * first.evaluate_seconds
    rate = run.images_per_second or first.images_per_second
    epochs = int(0.9 * left * rate / len(split.train_images))
    config = replace(config, budget=min(max(epochs, 1), run.scale.max_epochs))
    run.notes.append(
        f"Trained on {dataset}, class {class_name} ({len(split.train_images)} images), for "
        f"{config.budget} epochs: batch {config.batch_size}, {config.precision}, Adam "
        f"{config.learning_rate:g}, norm {config.norm.value}."
    )
    print(run.notes[-1], flush=True)
    for evaluation in train(config, split, run.device):
        case = f"{dataset} {class_name}, epoch {evaluation.epoch}"
        for quantity, unit, value in measured(evaluation):
            yield Row("training", case, quantity, unit, once(value))


def measured(evaluation: Evaluation) -> Iterator[tuple[str, str, float]]:
    """Quantity, unit and value of what is reported of an evaluation."""
    yield "loss", "", evaluation.signals.loss
    yield "kappa", "", evaluation.signals.embedding.kappa
    for (layer, name), value in evaluation.test.auroc.items():
        if layer in ("embedding", "ensemble"):
            yield f"AUROC {name} ({layer})", "", value
    yield "images", "1/s", evaluation.images_per_second


def one_class(run: Run) -> tuple[str, OneClassSplit, str]:
    """The first data set that is there, its first class as normal."""
    for name in DATA_SETS[-1:] if run.scale is TOY else DATA_SETS:
        try:
            images, test = (load_images(name, part, run.data_root) for part in ("train", "test"))
        except InputError as error:
            run.notes.append(f"Not there: {error}")
            continue
        return name, one_class_split(images, test, 0), images.class_names[0]
    raise InputError("no data set could be loaded")


def name_of(precision: str, config: TrialConfig) -> str:
    """For instance ``batch 512, bf16, channels_last``."""
    layout = ", channels_last" if config.channels_last else ""
    return f"batch {config.batch_size}, {precision}{layout}"


SECTIONS: tuple[Callable[[Run], Iterator[Row]], ...] = (numerics, matmul, speed, memory, training)

LEGEND = {
    "numerics": (
        "The same weights, images and views on the CPU in fp32 and on the device. 'views', 'loss': "
        "largest absolute difference, of numbers in [0, 1] and [-1, 1]; the others relative to the "
        "largest value, for gradients norm of the difference over norm. Views and k-Cos do not "
        "depend on the precision of the encoder. 'tf32' is what torch does with fp32 on CUDA "
        "unless told otherwise: TensorFloat-32 in convolutions."
    ),
    "matmul": "The yardstick: median (lowest–highest) of repeated blocks.",
    "speed": (
        "Whole SimSiam steps with norm both: two augmented views, forward, backward, fused Adam. "
        "FLOPs are the encoder's alone, so the share of the matrix product is a lower bound."
    ),
    "memory": "Two training steps from a clean start; on a CPU the process's high-water mark.",
    "training": "By nsa_core.train; AUROC on the whole test split, no epoch chosen by it.",
}


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
        f"# SimSiam on {facts.get('GPU', facts['CPU'])}",
        f"Made by `{command}` in {run.clock().split()[0]} minutes: ResNet-{network.depth} of width "
        f"{network.width}, {run.scale.size}x{run.scale.size} RGB.",
        markdown_table(["", "this machine"], list(facts.items())),
    ]
    for section in SECTIONS:
        name = section.__name__
        parts += [f"## {name.capitalize()}", LEGEND[name]]
        if name == "training":
            parts += run.notes
        if mine := [row for row in rows if row.section == name]:
            parts.append(section_table(mine))
        if name in errors:
            parts.append(f"**Failed**: {errors[name]}")
    return "\n\n".join(parts) + "\n"


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


def available_precisions(device: torch.device, toy: bool) -> tuple[str, ...]:
    """The lightest first; bf16 only where the hardware has it (a toy is small enough without)."""
    bf16 = ("bf16",) if toy or best_precision(device) == "bf16" else ()
    return (*bf16, "tf32", "fp32") if device.type == "cuda" else (*bf16, "fp32")


def parse() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="in all, about (default: 5)")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder of CIFAR-10")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results", metavar="DIR")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda; cpu with --toy")
    parser.add_argument("--toy", action="store_true", help="toy sizes, about half a minute")
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
        seconds=30.0 if options.toy else 60 * options.minutes,
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
