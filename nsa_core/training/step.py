"""One training step for every method: run as it is on a CPU, captured and replayed on CUDA."""

import math
import time

import torch
from torch import Tensor

from nsa_core.augment import MakeViews, augment, make_views
from nsa_core.config import TrialConfig
from nsa_core.errors import InputError
from nsa_core.methods import Method
from nsa_core.seeds import derive_seed, generator
from nsa_core.training.compilation import Compilation, compile_parts, compiling, reason, undo
from nsa_core.training.packing import capture_alone
from nsa_core.training.precision import autocast
from nsa_core.training.schedule import Schedule

_REHEARSALS = 3  # CUDA's libraries choose and allocate in the first ones, which a capture forbids


class TrainingStep:
    """Batch, views, loss, gradients, optimiser, and what the method does after a step.

    Nothing in it waits for the device, is made from Python values, or depends on a Python number
    that changes: what changes from step to step is looked up on the device. So on CUDA it can be
    captured once as a graph, and launched as a whole from then on.

    Args:
        method, optimiser: as initialised or loaded; the optimiser's rate is set here.
        images: uint8 [instances, C, H, W], as ``method.prepare`` makes them of training images.
    """

    def __init__(
        self,
        method: Method,
        optimiser: torch.optim.Optimizer,
        config: TrialConfig,
        schedule: Schedule,
        images: Tensor,
    ) -> None:
        self._method, self._optimiser, self._config = method, optimiser, config
        self._schedule, self._images = schedule, images
        device = images.device
        steps = range(schedule.total_steps)
        # On a CPU a rate in float64 gives the bits of a Python number; CUDA's kernels read float32.
        kind = torch.float32 if device.type == "cuda" else torch.float64
        rates = [config.learning_rate * schedule.learning_rate_factor(step) for step in steps]
        paces = [method.pace((step + 1) / schedule.total_steps) for step in steps]
        self._rates = torch.tensor(rates, dtype=kind, device=device)
        self._paces = torch.tensor(paces, device=device)
        self._rate = self._rates[0].clone()
        for group in optimiser.param_groups:
            group["lr"] = self._rate
        batches = schedule.steps_per_epoch, config.batch_size
        self._batches = torch.zeros(batches, dtype=torch.int64, device=device)
        self._batch = torch.zeros(1, dtype=torch.int64, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._views = torch.Generator(device)
        self._make_views: MakeViews = make_views
        self._graph: torch.cuda.CUDAGraph | None = None
        self.loss = torch.zeros((), device=device)
        """The sum over the steps of this epoch."""

    def compile(self) -> Compilation:
        """Compile encoder and views, before the first epoch; where that fails the step stays as it
        is. Either leaves no trace in the method and the optimiser.
        """
        started, failure = time.perf_counter(), ""
        self._method.train()
        try:
            with compiling(self._shape()), capture_alone():  # a compiler waits for the device
                self._make_views = compile_parts(self._method)
                self._rehearse()
        except Exception as error:  # of many classes; what ails the step itself comes again
            self._make_views = undo(self._method)
            failure = reason(error)
        return Compilation(time.perf_counter() - started, failure)

    def _shape(self) -> str:
        """Tells apart what is compiled apart."""
        names = (
            "method", "depth", "width", "stem", "backbone", "image_size", "batch_size",
            "precision", "channels_last", "augment",
        )  # fmt: skip
        fields = [getattr(self._config, name) for name in names]
        return f"{fields} {list(self._images.shape[1:])} {self._images.device}"

    def begin(self, epoch: int, rows: Tensor | None = None) -> int:
        """Set the epoch's order and random streams; returns how many steps it has.

        As many as if it learned from all images, also from some ``rows`` alone: those are then
        shuffled anew until the batches are full. No batch has an image twice.

        Raises:
            InputError: fewer rows than a batch has.
        """
        self._method.train()
        if self._images.device.type == "cuda" and self._graph is None:
            self._graph = self._capture()
        seed, done = self._config.seed, (epoch - 1) * self._schedule.steps_per_epoch
        stream = generator(torch.device("cpu"), seed, "order", epoch)
        if rows is None:
            rows = torch.arange(len(self._images))
        self._batches.copy_(self._shuffled(rows, epoch, stream))
        self._views.manual_seed(derive_seed(seed, "views", epoch))
        self._batch.zero_()
        self._step.fill_(done)
        self.loss.zero_()
        return min(self._schedule.steps_per_epoch, self._schedule.total_steps - done)

    def _shuffled(self, rows: Tensor, epoch: int, stream: torch.Generator) -> Tensor:
        """Batches [steps, B] of shuffled rows."""
        steps, size = self._batches.shape
        if len(rows) < size:
            raise InputError(
                f"epoch {epoch} has {len(rows)} of {len(self._images)} training images to learn "
                f"from, fewer than batch_size {size}; use a smaller batch, or keep more images"
            )
        whole = len(rows) // size
        shuffles = [
            rows[torch.randperm(len(rows), generator=stream)][: whole * size].view(whole, size)
            for _ in range(math.ceil(steps / whole))
        ]
        return torch.cat(shuffles)[:steps]

    def __call__(self) -> None:
        """The next step of the epoch."""
        if self._graph is None:
            self._run()
        else:
            self._graph.replay()

    def _augment(self, images: Tensor, views: int = 1, /, *, strength: float = 1.0) -> Tensor:
        recipe = self._config.augment.weakened(strength)
        return augment(images, recipe, self._views, views, self._make_views)

    def _run(self) -> None:
        method, config = self._method, self._config
        rows = self._batches.index_select(0, self._batch).squeeze(0)
        images = self._images.index_select(0, rows)
        self._rate.copy_(self._rates.index_select(0, self._step).squeeze(0))
        with autocast(images.device, config.precision):
            loss = method.loss(images, self._augment)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        method.before_step()
        self._optimiser.step()
        method.after_step(self._paces.index_select(0, self._step).squeeze(0))
        self.loss += loss.detach()
        self._batch += 1
        self._step += 1

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record the step's kernels. Other trials may use the device from other threads."""
        here = torch.cuda.current_stream(self._images.device)
        own = here
        if here == torch.cuda.default_stream(self._images.device):  # it cannot be captured
            own = torch.cuda.Stream(self._images.device)
        own.wait_stream(here)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._views)
        with capture_alone():
            with torch.cuda.stream(own):
                self._rehearse()
            with torch.cuda.graph(graph, stream=own, capture_error_mode="thread_local"):
                self._run()
        here.wait_stream(own)
        return graph

    def _rehearse(self) -> None:
        """Run some steps that leave the method and the optimiser as they were."""
        weights = [*self._method.parameters(), *self._method.buffers()]
        kept = [each.detach().clone() for each in weights]
        moments = {
            parameter: {name: value.clone() for name, value in state.items()}
            for parameter, state in self._optimiser.state.items()
        }
        try:
            for _ in range(_REHEARSALS):
                self._batch.zero_()
                self._step.zero_()
                self._run()
        finally:
            self._optimiser.zero_grad(set_to_none=True)  # a graph's own are made in its memory
            with torch.no_grad():
                for now, before in zip(weights, kept, strict=True):
                    now.copy_(before)
                for parameter, state in self._optimiser.state.items():
                    for name, value in state.items():
                        if parameter in moments:
                            value.copy_(moments[parameter][name])
                        else:
                            value.zero_()
