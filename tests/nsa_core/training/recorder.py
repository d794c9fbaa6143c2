"""What a training does, recorded through torch's own hooks while ``train`` runs."""

from contextlib import ExitStack

import torch
from torch import Tensor
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from nsa_core.models import ResNet, ViewBatchNorm


def copies(tensors) -> list[Tensor]:
    return [each.detach().clone() for each in tensors]


class Recorder(ExitStack):
    """A context; afterwards one entry an optimiser step, in each list.

    Attributes:
        encoders: those that were called in training mode, in the order of their first call.
        views: what the first of them was given, [2 B, C, H, W].
        map_types: what its first convolution gave.
        norms: (input, weight, bias, epsilon, output) of every batch norm of the first step.
        rates: the learning rates of the optimiser's groups.
        before, gradients, after: the optimiser's parameters around its step.
        encoder_weights: of every encoder, after the optimiser's step and before anything else.
    """

    def __enter__(self):
        self.encoders, self.views, self.map_types, self.norms = [], [], [], []
        self.rates, self.before, self.gradients, self.after = [], [], [], []
        self.encoder_weights = []
        for handle in (
            register_module_forward_pre_hook(self._called),
            register_module_forward_hook(self._returned),
            register_optimizer_step_pre_hook(self._stepping),
            register_optimizer_step_post_hook(self._stepped),
        ):
            self.callback(handle.remove)
        return self

    def _called(self, module, inputs):
        if isinstance(module, ResNet) and module.training:
            if not any(module is each for each in self.encoders):
                self.encoders.append(module)
            if module is self.encoders[0]:
                self.views.append(inputs[0].detach().clone())

    def _returned(self, module, inputs, output):
        if not self.encoders or not module.training:
            return
        if module is self.encoders[0].stem[0]:
            self.map_types.append(output.dtype)
        if isinstance(module, ViewBatchNorm) and not self.rates:
            affine = copies((module.weight, module.bias)) if module.affine else (None, None)
            self.norms.append((*copies(inputs), *affine, module.eps, output.detach().clone()))

    def _stepping(self, optimiser, *_):
        used = [p for group in optimiser.param_groups for p in group["params"]]
        self.used = [p for p in used if p.grad is not None]
        self.before.append(copies(self.used))
        self.gradients.append(copies(p.grad for p in self.used))

    def _stepped(self, optimiser, *_):
        self.rates.append([float(group["lr"]) for group in optimiser.param_groups])
        self.after.append(copies(self.used))
        self.encoder_weights.append([copies(each.parameters()) for each in self.encoders])


def record(training) -> tuple[Recorder, list]:
    """Run a training to its end; what was recorded, and its evaluations."""
    with Recorder() as recorder, torch.random.fork_rng(devices=[]):
        evaluations = list(training)
    return recorder, evaluations
