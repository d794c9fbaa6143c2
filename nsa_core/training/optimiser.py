"""The optimisers: Adam and SGD of torch, and LARS, with a learning rate that lies on the device."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from nsa_core.config import TrialConfig

_TRUST = 1e-3  # You et al. 2017; torchlars, and so CSI
_EPSILON = 1e-8


def build_optimiser(method: nn.Module, config: TrialConfig) -> torch.optim.Optimizer:
    """The configured optimiser of all of a method's parameters.

    Weight decay is added to the gradient of every parameter, batch norms and biases among them: so
    DROC and CSI train. Each of the three reads its rate from a tensor without waiting for it, so
    that a step can be captured as a CUDA graph.
    """
    parameters, rate, decay = method.parameters(), config.learning_rate, config.weight_decay
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, rate, momentum=config.momentum, weight_decay=decay, fused=True
        )
    if config.optimiser == "lars":
        return LARS(parameters, rate, momentum=config.momentum, weight_decay=decay)
    capturable = next(method.parameters()).device.type == "cuda"
    return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True, capturable=capturable)


def restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Continue from a ``state_dict`` that was saved on whatever device."""
    here = [group.get("capturable") for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, capturable in zip(optimiser.param_groups, here, strict=True):
        if capturable is not None:
            group["capturable"] = capturable


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose steps are in proportion to each tensor's length (You et al. 2017).

    The decayed gradient g + decay w of a tensor w is scaled by 1e-3 ||w|| / (||g|| + decay ||w||)
    before it enters the momentum; by 1 where w or g is zero, as a bias is at first. All tensors are
    treated alike, biases and batch norms too, as CSI does; others leave those out.

    Args:
        parameters: tensors to train.
        lr: learning rate; may be replaced by a tensor of one element.
        momentum: in [0, 1).
        weight_decay: at least 0.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, *, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step from the gradients; parameters without one stay as they are."""
        for group in self.param_groups:
            decay = group["weight_decay"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                length, slope = parameter.norm(), parameter.grad.norm()
                trust = _TRUST * length / (slope + decay * length + _EPSILON)
                trust = torch.where((length > 0) & (slope > 0), trust, 1.0)
                change = trust * parameter.grad.add(parameter, alpha=decay)
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                state["momentum_buffer"].mul_(group["momentum"]).add_(change)
                parameter.sub_(group["lr"] * state["momentum_buffer"])
