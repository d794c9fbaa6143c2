"""Small stores, made by the real writer, whose numbers a test can compute by hand."""

import io
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from matplotlib import image as png

from tracking import Store, create_store
from tracking.schema import DYNAMICS
from tracking.trial import trial_id

HOSTILE = "<script>alert(\"x\")</script>|`a`\n**b** & 'c'"
CONFIG = {
    "dataset": "cifar10", "normal_class": 0, "method": "simsiam", "norm": "none",
    "batch_size": 32, "pollution": 0.0, "seed": 0, "budget": 40, "budget_unit": "epochs",
    "evaluations": 3, "layers": ["embedding"], "probe_images": 0, "held_out": 0.0,
    "learning_rate": 1e-3, "weight_decay": 0.0, "depth": 18, "width": 16,
    "stem": "3x3", "precision": "fp32", "channels_last": True,
    "augment": {"flip": 0.0}, "method_options": {"projector_dim": 8},
}  # fmt: skip
EPOCHS = (1, 5, 20, 40)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def auroc(config: Mapping[str, Any], epoch: int = EPOCHS[-1], scorer: str = "c-cos") -> float:
    """What a made-up trial measures: round numbers, with an effect of everything."""
    value = 0.6 + 0.1 * (config["norm"] == "both") + 0.05 * (config["norm"] == "f")
    value += 0.02 * config["normal_class"] + 0.01 * config["seed"]
    value += 0.001 * ((3 * config["normal_class"] + 5 * config["seed"]) % 7)
    value += 0.02 * (config["batch_size"] == 512) - 0.4 * config["pollution"]
    return value - 0.001 * (EPOCHS[-1] - epoch) - 0.02 * (scorer == "k-cos")


def configurations(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """The base configuration with axes crossed."""
    return [
        CONFIG | dict(zip(axes, values, strict=True))
        for values in itertools.product(*axes.values())
    ]


def run(store: Store, config: Mapping[str, Any], **how: Any) -> str:
    """Live a trial through the real record; ``how`` may set status, message, class_name, kept,
    data, versions.

    ``kept`` are artifacts: "scores", "extremes"; ``data`` is a fingerprint; ``versions`` are those
    of scores, which older programs did not note.
    """
    data = how.get("data", "f00d")
    record = store.trial(key := trial_id(config, data))
    record.folder.mkdir(parents=True)
    name = how.get("class_name", NAMES[config["normal_class"] % 10])
    record.create(config, {"class_name": name, "data_fingerprint": data, "train_images": 500})
    status = how.get("status", "finished")
    if status == "pending":
        return key
    with record.claim():
        facts = {"host": "here", "device": "cpu (x86_64)", "torch": "2.14", "commit": "abc"}
        noted = {"score_versions": how["versions"]} if "versions" in how else {}
        record.begin(facts | noted)
        names = [n for n in DYNAMICS.names if n not in ("trial_id", "epoch", "step", "time")]
        for epoch in EPOCHS:
            value = auroc(config, epoch)
            dynamics = dict.fromkeys(names, 1.0) | {
                "collapsed": False, "kappa_train": 500 * value, "mmd_train": 1 - value,
                "linear_probe": None, "train_seconds": 3.0, "evaluate_seconds": 0.5,
                "epoch": epoch, "step": 10 * epoch, "images_per_second": 800.0,
            }  # fmt: skip
            scores = [
                {"layer": layer, "scorer": scorer, "auprc": 0.5, "fpr95": 0.5,
                 "auroc": auroc(config, epoch, scorer) - 0.1 * (layer == "stem")}
                for layer in ("embedding", "stem") for scorer in ("c-cos", "k-cos")
            ]  # fmt: skip
            record.add(dynamics, scores)
        keep(record, how.get("kept", ()), how.get("class_name", name))
        if status != "running":
            record.end(status, how.get("message", ""), peak_memory_mb=700.0, energy_joules=5e3)
    return key


def keep(record, kept: Iterable[str], class_name: str) -> None:
    """The artifacts that a worker leaves."""
    stream = np.random.default_rng(0)
    if "scores" in kept:
        outlier = np.arange(300) >= 100
        scores = stream.normal(size=300) + 1.5 * outlier
        table = {"row": np.arange(300), "is_outlier": outlier, "c-cos": scores, "k-cos": scores}
        record.write_artifact("test_scores", pa.table(table))
    if "extremes" in kept:
        rows = [
            {"kind": kind, "rank": rank, "row": 7 * rank, "score": 1.5 - rank / 10,
             "class_name": class_name, "image": tiny_png(stream)}
            for kind in ("false alarm", "miss") for rank in range(6)
        ]  # fmt: skip
        record.write_artifact("extremes", pa.Table.from_pylist(rows))


def tiny_png(stream: np.random.Generator) -> bytes:
    """A coloured 8x8 image."""
    buffer = io.BytesIO()
    png.imsave(buffer, stream.random((8, 8, 3)), format="png")
    return buffer.getvalue()


@pytest.fixture
def store(tmp_path) -> Store:
    return create_store(tmp_path / "store")


@pytest.fixture
def planned(store) -> Callable[..., list[str]]:
    """Run trials and plan them as a study."""

    def plan(configs, about=None, study="table3", **how) -> list[str]:
        ids = [run(store, config, **how) for config in configs]
        store.plan(study, ids, about=about)
        return ids

    return plan


def written(store: Store, study: str = "table3") -> tuple[str, str, Path]:
    """The page, the Markdown and their folder."""
    from tracking.report.document import write_report

    folder = store.root / "report"
    written = write_report(store, study, folder)
    page, text = written.page, written.markdown
    return page.read_text(), text.read_text(), folder
