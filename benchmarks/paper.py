"""The paper's tables on CIFAR-10, trained anew in runs of some minutes, as many as it takes.

    python -m benchmarks.paper --minutes 10 --data DIR/cifar10-{split}.parquet [--epochs N]

Needs torch >= 2.11, torchvision, numpy, scipy, scikit-learn and pyarrow, and nothing else, and runs
on CUDA or on a CPU. The data are Parquet files in the Hugging Face convention (one with a column
``split``, or two with ``{split}`` in the path); a subset of the classes will do, whose outliers are
then those classes alone, as the table says.

A run trains the next models of the list in ``paper_plan.py``, on CUDA compiled and four side by
side (``--at-once N``), each on a stream of its own; on a CPU one after another. Each has the
paper's epochs if they fit into a run of this length by the measured speed; otherwise they are
halved until they do, and its cosine ends there. ``--epochs N`` gives all models N epochs at most.
A model that has been trained as long or longer is not trained again. The run ends before a model
that would not fit any more; one that the time ran out on is continued by the next run. It writes

    OUT/paper/ID.parquet    a file a model, one row an epoch, layer and score
    OUT/paper/ID.pt         its checkpoint, until it has ended; not to be committed
    OUT/paper.md            the paper's numbers beside these, what is missing, and what it costs

Files of several machines can be put into one folder: an id is a hash of the configuration and of
the data's content, so the same model has the same name everywhere.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for ``python -m benchmarks.paper``
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paper_report import markdown
from paper_results import read_all
from paper_run import Run, load
from paper_training import train_next

from nsa_core import InputError
from nsa_core.training.packing import MOST_STREAMS

OUTPUT = Path(__file__).resolve().parent / "results"
AT_ONCE = {"cuda": 4, "cpu": 1}


def parse() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, required=True, help="in all, about")
    parser.add_argument("--data", required=True, metavar="PATH.parquet", help="CIFAR-10's images")
    parser.add_argument("--epochs", type=int, metavar="N", help="at most; default: what fits")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda if there is one")
    parser.add_argument(
        "--at-once", type=int, metavar="N", help="models side by side; default: 4 on CUDA, else 1"
    )
    parser.add_argument("--toy", action="store_true", help="a tiny network; needs --out")
    options = parser.parse_args()
    if not options.minutes > 0:
        parser.error(f"--minutes is {options.minutes}; need a number above 0")
    if options.epochs is not None and options.epochs < 1:
        parser.error(f"--epochs is {options.epochs}; need a whole number of at least 1")
    if options.at_once is not None and not 1 <= options.at_once <= MOST_STREAMS:
        parser.error(f"--at-once is {options.at_once}; need a number from 1 to {MOST_STREAMS}")
    if options.toy and options.out == OUTPUT:
        parser.error("--toy needs --out DIR: toy results do not belong among the real ones")
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; leave --device out to train on the CPU")
    options.at_once = options.at_once or AT_ONCE[options.device]
    return options


def main() -> int:
    """Train, and write the table whatever happens; 2 for bad input."""
    options = parse()
    deadline = time.monotonic() + 60 * options.minutes
    try:
        run = Run(
            data=load(options.data, options.toy),
            folder=options.out / "paper",
            device=torch.device(options.device),
            seconds=60 * options.minutes,
            deadline=deadline,
            epochs=options.epochs,
            toy=options.toy,
            at_once=options.at_once,
        )
        run.folder.mkdir(parents=True, exist_ok=True)
        run.trained |= {each.last["trial_id"]: each for each in read_all(run.folder)}
        report = options.out / "paper.md"
        command = shlex.join(["python", "-m", "benchmarks.paper", *sys.argv[1:]])
        train_all(run, lambda: report.write_text(markdown(run, command)))
        print(f"wrote {report}")
    except KeyboardInterrupt:
        print("stopped; the next run goes on from the last checkpoints", file=sys.stderr)
        return 130
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def train_all(run: Run, tell: Callable[[], object]) -> None:
    """Train what fits, some models side by side; tell after each."""

    def work() -> None:
        more = True
        while more:
            more = train_next(run)
            with run.turn:
                tell()

    with ThreadPoolExecutor(run.at_once) as pool:
        try:
            for each in as_completed([pool.submit(work) for _ in range(run.at_once)]):
                each.result()
        except BaseException:  # the others end after their epoch
            run.stopped = True
            raise


if __name__ == "__main__":
    sys.exit(main())
