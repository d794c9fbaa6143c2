"""The same step on the CPU in fp32 and on the device: how far apart, and how far is too far."""

from collections.abc import Iterator

import torch
from gpu_run import Row, Run, Scale, once
from hardware import random_images, tf32
from torch import Tensor

from nsa_core import kappa
from nsa_core.augment import ViewParams, apply_views, sample_views
from nsa_core.scorers import KCos
from nsa_core.training import build_method, embed
from nsa_core.training.precision import autocast

CPU = torch.device("cpu")

ANY = {"views": 1e-5, "embedding": 1e-4, "kappa": 1e-3, "k-Cos": 1e-6}
LIMITS = {
    "fp32": ANY | {"loss": 1e-5, "gradient": 0.05, "gradient, worst tensor": 0.1},
    "tf32": ANY | {"loss": 1e-3, "gradient": 0.5, "gradient, worst tensor": 1.0},
    "bf16": ANY | {"loss": 1e-2, "gradient": 1.5, "gradient, worst tensor": 4.0},
}
"""The most that a quantity may differ, by precision of the training.

SimSiam's gradients nearly cancel at random weights: another order of sums moves them by 0.6 % in
fp32, and bf16 leaves half of them, on a CPU. That of bf16 is held to be no more than noise.
"""


class OverLimitError(RuntimeError):
    """A device computes something else than the CPU."""


def numerics(run: Run) -> Iterator[Row]:
    """The same weights, images and views on the CPU in fp32 and on the device.

    Raises:
        OverLimitError: after the last row; a difference is over its limit, or not a number.
    """
    over: list[str] = []
    with tf32(convolutions=False, products=False):
        expected = tiny_step(run.scale, CPU, "fp32")
    for precision in run.precisions:
        with tf32(convolutions=precision == "tf32", products=False):
            found = tiny_step(run.scale, run.device, precision)
        apart = differences(found, expected)
        for quantity, value in apart.items():
            unit = "absolute" if quantity in ("views", "loss") else "relative"
            limit = once(LIMITS[precision][quantity])
            yield Row("numerics", precision, quantity, unit, once(value))
            yield Row("numerics", f"at most, {precision}", quantity, unit, limit)
        over += over_limits(precision, apart)
    if over:
        raise OverLimitError(f"the device differs from the CPU: {', '.join(over)}")


def tiny_step(scale: Scale, device: torch.device, precision: str) -> dict[str, list[Tensor]]:
    """Everything that a training computes, once: float64 tensors on the CPU, by name."""
    config, count = scale.network, scale.numerics_batch
    images = random_images(count, scale.size)
    method = build_method(config).to(device)
    embedding = embed(method, images.numpy(), device)["embedding"]
    stream = torch.Generator().manual_seed(0)
    params = sample_views(config.augment, count, (scale.size,) * 2, stream, 2)
    views = apply_views(images, params).to(device)  # made on the CPU
    method.train()
    with autocast(device, precision):
        loss = method.loss(images.to(device), lambda *_: views)
    loss.backward()
    there = ViewParams(*(part.to(device) for part in params))
    features = torch.randn(600, 64, generator=stream).add_(1).to(device)
    scores = KCos().fit(features[:400]).score(features[400:])
    tensors = {
        "views": [*apply_views(images.to(device), there).chunk(2)],
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


def over_limits(precision: str, apart: dict[str, float]) -> list[str]:
    """What is over its limit, or not a number, in words."""
    return [
        f"{precision} {quantity} {value:.2g} (at most {LIMITS[precision][quantity]:g})"
        for quantity, value in apart.items()
        if not value <= LIMITS[precision][quantity]
    ]
