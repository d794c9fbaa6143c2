"""What trials of one process share, take turns at, and keep apart."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nsa_core import train
from nsa_core.models import ResNet
from nsa_core.seeds import Seeded, derive_seed
from nsa_core.training import build_method, compilation, packing
from nsa_core.training.packing import MOST_STREAMS, own_stream, resident
from nsa_core.training.precision import true_float32
from nsa_core.training.step import TrainingStep
from tests.nsa_core.methods.small import FROM_SCRATCH
from tests.nsa_core.training.test_steps import HEADS, config, split

__all__ = ["split"]  # a fixture

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="this machine has no CUDA device"
)


def images_of(training) -> torch.Tensor:
    return training.gi_frame.f_locals["images"]


def test_trainings_on_equal_images_have_them_on_the_device_once(split):
    first, second = train(config(), split), train(config("byol", seed=9), split)
    next(first), next(second)
    assert images_of(first).data_ptr() == images_of(second).data_ptr()
    assert torch.equal(images_of(first), torch.from_numpy(split.train_images))
    first.close()
    assert torch.equal(images_of(second), torch.from_numpy(split.train_images))


def test_images_stay_as_long_as_somebody_has_them(split):
    before = len(packing._images)
    first, second = (resident(split.train_images.copy(), CPU) for _ in range(2))
    other = resident(split.train_images[:5], CPU)
    assert first is second
    assert (first.shape, other.shape) == (split.train_images.shape, (5, *first.shape[1:]))
    assert len(packing._images) == before + 2
    del first
    assert resident(split.train_images, CPU) is second
    del second, other
    gc.collect()
    assert len(packing._images) == before


def weights(settings) -> list[torch.Tensor]:
    return [each.clone() for each in build_method(settings).state_dict().values()]


@contextmanager
def beside(what: Callable[[], object]) -> Iterator[None]:
    """Something that another thread does over and over."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            what()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_weights_do_not_depend_on_who_else_draws_or_puts_back_the_global_generator(split):
    """A compiler in another thread puts it back, to what it was before it began."""
    every = [config(method, seed=seed, depth=18) for method in HEADS for seed in (1, 2)]
    state = torch.random.get_rng_state()
    expected = [weights(each) for each in every]
    assert torch.equal(torch.random.get_rng_state(), state)
    with beside(lambda: torch.random.set_rng_state(state)), ThreadPoolExecutor(8) as pool:
        found = [*pool.map(weights, every)]
    for mine, alone in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, alone, strict=True))


def test_weights_are_those_that_torchs_global_generator_would_give():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(3, "weights"))
        expected = ResNet(10, 4).state_dict()
    found = build_method(config(seed=3)).encoder.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("draw", [torch.rand, torch.randn, torch.randperm])
def test_functions_that_draw_are_seeded_like_methods_of_tensors(draw):
    expected = draw(7, generator=torch.Generator().manual_seed(5))
    for _ in range(2):
        with Seeded(5):
            assert torch.equal(draw(7), expected)


@pytest.mark.parametrize("method", FROM_SCRATCH)
def test_autocast_elsewhere_changes_no_bit_of_a_training_in_bf16(split, method, monkeypatch):
    """Killed by it: autocast's cache of weights, which whoever leaves autocast last empties."""
    settings = config(method, precision="bf16", budget=4)

    def losses() -> list:
        return [each.signals.loss for each in train(settings, split)]

    def leave_autocast() -> None:
        with true_float32(CPU):
            pass

    alone, real = losses(), TrainingStep._augment

    def interrupted(self, *arguments, **more):
        thread = threading.Thread(target=leave_autocast)
        thread.start()
        thread.join()
        return real(self, *arguments, **more)

    monkeypatch.setattr(TrainingStep, "_augment", interrupted)
    assert losses() == alone


class Convolutions(TorchDispatchMode):
    """Notes what every convolution of this thread is told of TensorFloat-32; None for nothing."""

    def __init__(self):
        super().__init__()
        self.told = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "convolution" in str(function):
            self.told.append(args[-1] if "_convolution" in str(function) else None)
        return function(*args, **(kwargs or {}))


def test_who_evaluates_in_true_float32_changes_no_training_beside_it():
    net = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1, groups=1)
    batch = torch.rand(2, 3, 8, 8)
    inside, over = threading.Event(), threading.Event()

    def train_beside():
        inside.wait(60)
        with Convolutions() as seen:
            net(batch)
        over.set()
        return seen.told, torch.backends.cudnn.conv.fp32_precision

    before = torch.backends.cudnn.conv.fp32_precision
    with ThreadPoolExecutor(1) as pool, true_float32(CUDA), torch.inference_mode():
        beside = pool.submit(train_beside)
        inside.set()
        over.wait(60)
        with Convolutions() as seen:
            found = net(batch)
    assert seen.told == [False]
    assert beside.result() == ([None], before)
    assert torch.equal(found, net(batch))


def test_streams_are_each_threads_own_and_come_free_with_it(monkeypatch):
    """As torch hands them out: 32 in turn, whoever uses them."""
    made = iter(range(10_000))

    class Stream:
        def __init__(self, device):
            self.cuda_stream = next(made) % 32

    monkeypatch.setattr(packing, "_taken", set())
    monkeypatch.setattr(packing, "_this_thread", threading.local())
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: threading.Lock())  # some context
    go_on, have = threading.Event(), threading.Barrier(MOST_STREAMS + 1)

    def take():
        for _ in range(2):  # the second trial of a thread has the stream of its first
            with own_stream(CUDA):
                pass
        have.wait(60)
        go_on.wait(60)

    threads = [threading.Thread(target=take) for _ in range(MOST_STREAMS)]
    for thread in threads:
        thread.start()
    have.wait(60)
    assert len(packing._taken) == MOST_STREAMS
    with pytest.raises(RuntimeError, match="32 trials share a GPU already"):
        own_stream(CUDA).__enter__()
    go_on.set()
    for thread in threads:
        thread.join()
    assert not packing._taken


def run(settings, split, device) -> list:
    with own_stream(device):
        found = [(each.signals.loss, each.test.auroc) for each in train(settings, split, device)]
        return [*found, torch.cuda.current_stream().cuda_stream if device == CUDA else 0]


def packs() -> list:
    """All methods, and some norms, seeds and batch sizes."""
    norms = {"simsiam": "both", "byol": "none", "simclr": "f"}
    return [
        *(config(method, precision="bf16", evaluations=2) for method in FROM_SCRATCH),
        *(config(method, norm=norms[method], seed=2, batch_size=5) for method in norms),
    ]


def packed(every: list, split, device) -> None:
    """Trained at once each has the numbers of itself alone. On CUDA, their captured steps are
    replayed at once, on streams of their own.
    """
    expected = [run(settings, split, device)[:-1] for settings in every]
    with ThreadPoolExecutor(len(every)) as pool:
        found = [*pool.map(lambda settings: run(settings, split, device), every)]
    assert [each[:-1] for each in found] == expected
    assert len({each[-1] for each in found}) == (len(every) if device == CUDA else 1)


@pytest.mark.parametrize("device", [CPU, pytest.param(CUDA, marks=needs_cuda)], ids=str)
def test_packed_trainings_have_the_bits_of_each_alone(split, device):
    packed(packs(), split, device)


@pytest.mark.parametrize("device", [CPU, pytest.param(CUDA, marks=needs_cuda)], ids=str)
def test_packed_trainings_that_are_compiled_have_the_bits_of_each_alone(
    split, device, tmp_path, monkeypatch
):
    """On a CPU up to the code that would be generated; beside one that is not compiled."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    if device == CPU:
        monkeypatch.setattr(compilation, "BACKEND", "aot_eager")
    every = [config(method, evaluations=2, compile=True) for method in HEADS]
    packed([*every, config(batch_size=5, compile=True), config(seed=5)], split, device)


@needs_cuda
def test_on_cuda_what_a_trial_held_is_given_back_and_others_keep_theirs(split):
    other = train(config("byol"), split, CUDA)
    next(other)
    held = []
    for _ in range(2):
        with own_stream(CUDA):
            training = train(config(), split, CUDA)
            next(training)
            during = torch.cuda.memory_allocated()
            training.close()
        packing.free_memory()
        held.append(torch.cuda.memory_allocated())
    assert held[1] == held[0] < during  # of the first, cuBLAS keeps a workspace
    other.close()
