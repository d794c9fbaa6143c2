"""One class trained for as long as the time allows, and how much of that its steps take."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import numpy as np
from gpu_run import TOY, Row, Run, once
from gpu_trial import timed_steps

from nsa_core import InputError, OneClassSplit, load_images, one_class_split
from nsa_core.training import Evaluation, train

DATA_SETS = ("cifar10", "fashion-mnist", "digits")  # the first one that is there is trained on


def training(run: Run) -> Iterator[Row]:
    """One class for as long as the time allows, by ``nsa_core.train`` with torch's defaults."""
    dataset, split, class_name = largest_class(run)
    images = len(split.train_images)
    config = replace(
        run.scale.network,
        dataset=dataset,
        normal_class=split.normal_class,
        batch_size=min(run.scale.large, images),
        precision=run.step_precision,
        evaluations=run.scale.evaluations,
        learning_rate=1e-4,
    )
    with timed_steps(run.device) as seconds:
        first = next(iter(train(replace(config, budget=1, evaluations=1), split, run.device)))
        an_epoch = images // config.batch_size * median(seconds())
    left = run.seconds - run.spent - config.evaluations * first.evaluate_seconds
    epochs = int(0.75 * left / an_epoch)
    config = replace(config, budget=min(max(epochs, 1), run.scale.max_epochs))
    run.notes.append(
        f"Trained on {dataset}, class {class_name} ({images:,} images), for "
        f"{config.budget} epochs: batch {config.batch_size}, {config.precision}, Adam "
        f"{config.learning_rate:g}, norm {config.norm.value}."
    )
    if images < (dimensions := 8 * config.width):
        run.notes.append(
            f"There are fewer training images ({images:,}) than dimensions ({dimensions}) of the "
            "embedding: its covariance is mostly a guess, and so is an AUROC that rests on it."
        )
    print(*run.notes, sep="\n", flush=True)
    trained = evaluated = 0.0
    with timed_steps(run.device) as seconds:
        for evaluation in train(config, split, run.device):
            trained += evaluation.train_seconds
            evaluated += evaluation.evaluate_seconds
            case = f"{dataset} {class_name}, epoch {evaluation.epoch}"
            for quantity, unit, value in measured(evaluation):
                yield Row("training", case, quantity, unit, once(value))
        in_steps = sum(seconds())
    case = f"{dataset} {class_name}, {trained + evaluated:.0f} s in all"
    for quantity, part in (
        ("in steps", in_steps),
        ("in evaluations", evaluated),
        ("outside of both", trained - in_steps),
    ):
        share = 100 * part / (trained + evaluated)
        yield Row("training", case, quantity, "%", once(share))


def measured(evaluation: Evaluation) -> Iterator[tuple[str, str, float]]:
    """Quantity, unit and value of what is reported of an evaluation."""
    yield "loss", "", evaluation.signals.loss
    yield "kappa", "", evaluation.signals.embedding.kappa
    for (layer, name), value in evaluation.test.auroc.items():
        if layer in ("embedding", "ensemble"):
            yield f"AUROC {name} ({layer})", "", value
    yield "images", "1/s", evaluation.images_per_second


def largest_class(run: Run) -> tuple[str, OneClassSplit, str]:
    """The first data set that is there, the class with most training images as normal."""
    for name in DATA_SETS[-1:] if run.scale is TOY else DATA_SETS:
        try:
            images, test = (load_images(name, part, run.data_root) for part in ("train", "test"))
        except InputError as error:
            run.notes.append(f"Not there: {error}")
            continue
        largest = int(np.bincount(images.labels).argmax())
        return name, one_class_split(images, test, largest), images.class_names[largest]
    raise InputError("no data set could be loaded")
