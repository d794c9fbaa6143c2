"""What trials of one process share, take turns at, and keep apart."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nsa_core import train
from nsa_core.training import build_method, packing
from nsa_core.training.packing import MOST_STREAMS, own_stream, resident
from nsa_core.training.precision import true_float32
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


def test_weights_are_drawn_by_one_thread_at_a_time(split):
    """Killed by it: the global generator seeded without a lock."""
    every = [config(method, seed=seed, depth=18) for method in HEADS for seed in range(8)]
    state = torch.random.get_rng_state()
    expected = [weights(each) for each in every]
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(weights, every)]
    for mine, alone in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, alone, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


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
    """Different methods, norms, seeds and batch sizes."""
    norms = {"simsiam": "both", "byol": "none", "simclr": "f"}
    return [
        config(method, norm=norms[method], seed=seed, batch_size=size, evaluations=2)
        for method in HEADS
        for seed, size in ((1, 8), (2, 5))
    ]


@pytest.mark.parametrize("device", [CPU, pytest.param(CUDA, marks=needs_cuda)], ids=str)
def test_packed_trainings_have_the_bits_of_each_alone(split, device):
    """On CUDA, six captured steps are replayed at once, on streams of their own."""
    expected = [run(settings, split, device)[:-1] for settings in packs()]
    with ThreadPoolExecutor(len(packs())) as pool:
        found = [*pool.map(lambda settings: run(settings, split, device), packs())]
    assert [each[:-1] for each in found] == expected
    assert len({each[-1] for each in found}) == (len(packs()) if device == CUDA else 1)


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
