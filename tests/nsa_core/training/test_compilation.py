"""Compiled steps beside eager ones, and what happens where nothing can be compiled.

The compiler is torch's up to the code that it would generate ("aot_eager": traced, differentiated
and run operation by operation), which takes seconds; one test has a smaller network compiled whole.
"""

import dataclasses
import os
import shutil

import pytest
import torch
from torch import nn

from nsa_core import InputError, TrialConfig, methods, train
from nsa_core.methods import SimSiam
from nsa_core.models import NormVariant, ResNet
from nsa_core.training import compilation
from nsa_core.training.compilation import cache_folder
from nsa_core.training.embedding import embed
from nsa_core.training.own_scores import scores_of
from nsa_core.training.schedule import plan
from nsa_core.training.step import TrainingStep
from tests.nsa_core.methods import test_contract as contract
from tests.nsa_core.training.test_step import made, made_of, run, values
from tests.nsa_core.training.test_steps import HEADS, config, split

__all__ = ["split"]  # a fixture


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What is compiled goes here."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    return tmp_path / "compiled"


@pytest.fixture
def traced(folder, monkeypatch):
    monkeypatch.setattr(compilation, "BACKEND", "aot_eager")


def losses(settings, split, *more, tell=None):
    return [each.signals.loss for each in train(settings, split, "cpu", *more, on_epoch=tell)]


@pytest.mark.parametrize("method", ["byol", "simclr"])
def test_a_compiled_training_has_the_losses_and_the_checkpoint_of_an_eager_one(
    split, traced, tmp_path, method
):
    eager, pulses = config(method, evaluations=3), []
    settings = dataclasses.replace(eager, compile=True)
    expected = losses(eager, split, tmp_path / "eager.pt")
    found = losses(settings, split, tmp_path / "compiled.pt", tell=pulses.append)
    assert found == pytest.approx(expected, rel=1e-4)
    assert [pulse.compiling for pulse in pulses] == [True, False, False, False, False]
    assert pulses[1].compilation.failure == ""
    ours, theirs = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True)["method"]
        for name in ("compiled", "eager")
    )
    assert list(ours) == list(theirs)
    assert all(ours[name].shape == theirs[name].shape for name in theirs)


def test_every_encoder_and_the_views_are_what_is_compiled(split, traced, monkeypatch):
    compiled = []
    real = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda what, **how: compiled.append((what, how)) or real(what, **how)
    )
    step, method, _ = made(split, "byol", compile=True)
    assert step.compile().failure == ""
    functions = [getattr(what, "__self__", what) for what, _ in compiled]
    assert functions[:2] == [method.encoder, method.target_encoder]
    assert functions[2].__name__ == "make_views"
    assert all(how["fullgraph"] and how["dynamic"] is False for _, how in compiled)


@pytest.mark.parametrize("method", [*filter(methods.trains, methods.available())])
def test_encoders_are_compiled_for_steps_and_evaluations_pass_them_by(
    split, folder, monkeypatch, method
):
    """Or each would be compiled again for every size of a block, with nobody who waits for it."""
    graphs = []

    def backend(graph, inputs):
        convolutions = sum("conv" in str(node.target) for node in graph.graph.nodes)
        graphs.append(convolutions)
        return graph.forward

    monkeypatch.setattr(compilation, "BACKEND", backend)
    torch.compiler.reset()
    settings, device = contract.config(method, evaluations=1), torch.device("cpu")
    step, built, _ = made_of(settings, split)
    assert step.compile().failure == ""
    assert max(graphs) > 5  # an encoder's
    once = len(graphs)
    run(step, (1, 2))
    embed(built, split.test_images, device)
    scores_of(built, settings, split.train_images, split.test_images, device)
    assert len(graphs) == once


def test_compiling_leaves_no_trace_in_weights_optimiser_and_random_streams(split, traced):
    step, built, optimiser = made(split, "byol", compile=True)
    before = values(built, optimiser)
    assert step.compile().failure == ""
    after = values(built, optimiser)
    assert all(torch.equal(a, b) for a, b in zip(after[: len(before)], before, strict=True))
    assert not any(each.any() for each in after[len(before) :])
    undisturbed, _, _ = made(split, "byol")
    assert run(step, (1, 2, 3)) == pytest.approx(run(undisturbed, (1, 2, 3)), rel=1e-4)


def test_an_interrupted_training_goes_on_with_the_same_bits(split, traced, tmp_path):
    settings = config(evaluations=3, compile=True)
    whole = losses(settings, split)
    path = tmp_path / "checkpoint.pt"
    first = train(settings, split, "cpu", path)
    found = [next(first).signals.loss, next(first).signals.loss]  # the second asks for the save
    first.close()
    assert [found[0], *losses(settings, split, path)] == whole


def test_where_nothing_is_left_to_train_nothing_is_compiled(split, traced, tmp_path):
    settings, pulses = config(compile=True), []
    losses(settings, split, tmp_path / "checkpoint.pt")
    assert losses(settings, split, tmp_path / "checkpoint.pt", tell=pulses.append) == []
    assert pulses == []


def test_without_a_compiler_it_trains_eagerly_to_the_same_bits_and_says_why_in_a_line(
    split, folder, caplog
):
    """The compiler is one that fails."""
    from torch._inductor import config as generating

    torch.compiler.reset()
    pulses = []
    settings = config(evaluations=2)
    with generating.patch({"cpp.cxx": ("/bin/false",)}):
        found = losses(dataclasses.replace(settings, compile=True), split, tell=pulses.append)
    assert found == losses(settings, split)
    failure = pulses[1].compilation.failure
    assert failure
    assert "\n" not in failure
    (line,) = [
        record.getMessage() for record in caplog.records if record.name.startswith("nsa_core")
    ]
    assert line == f"trained without being compiled: {failure}"


def test_an_error_of_the_compilers_in_the_middle_leaves_no_trace_either(split, traced, monkeypatch):
    def broken(self):
        real(self)  # weights are other ones now
        raise RuntimeError("the second step\nis too much")

    real = TrainingStep._run
    step, built, optimiser = made(split, "simsiam", compile=True)
    before = values(built, optimiser)
    monkeypatch.setattr(TrainingStep, "_run", broken)
    assert step.compile().failure == "RuntimeError: the second step"
    monkeypatch.undo()
    assert all(torch.equal(a, b) for a, b in zip(before, values(built, optimiser), strict=False))
    undisturbed, _, _ = made(split, "simsiam")
    assert run(step, (1, 2)) == run(undisturbed, (1, 2))


def test_a_folder_that_others_can_write_to_is_not_used(split, folder, monkeypatch):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(InputError, match="is not this user's alone, and holds programs; set TORCH"):
        cache_folder()
    step, _, _ = made(split, "simsiam", compile=True)
    assert step.compile().failure.startswith(f"InputError: {folder} is not this user's alone")
    assert list(folder.iterdir()) == []


def test_a_link_to_a_folder_is_not_used(folder, tmp_path):
    (tmp_path / "other").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="is not this user's alone"):
        cache_folder()


def test_the_folder_is_the_users_own_and_closed(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = os.umask(0)
    try:
        found = cache_folder()
    finally:
        os.umask(before)
    assert found == tmp_path / "nsa-studies" / "compiled"
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler on this machine"
)
def test_torchs_own_code_generation_gives_the_losses_of_an_eager_step(split, folder):
    """One block instead of four: the others would be compiled for minutes."""
    steps = []
    for compile in (False, True):
        settings = config("simsiam", compile=compile)
        step, _, _ = small(settings, split)
        if compile:
            assert step.compile().failure == ""
        steps.append(run(step, (1, 2)))
    assert steps[1] == pytest.approx(steps[0], rel=1e-3)
    assert steps[1] != steps[0]  # it is other code
    assert any(folder.rglob("*.so"))
    assert not (folder / "precompiled_headers").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("method", sorted(HEADS))
def test_on_cuda_a_compiled_step_is_captured_and_has_the_losses_of_an_eager_one(
    split, folder, method
):
    eager, compiled = (made(split, method, "cuda", compile=each)[0] for each in (False, True))
    assert compiled.compile().failure == ""
    assert run(compiled, (1, 2, 3)) == pytest.approx(run(eager, (1, 2, 3)), rel=2e-2)
    assert compiled._graph is not None


def small(settings: TrialConfig, split):
    torch.manual_seed(0)
    encoder = ResNet(10, settings.width)
    encoder.stages, encoder.features = nn.ModuleList([encoder.stages[0]]), settings.width
    method = SimSiam(encoder, NormVariant.F, **methods.checked_options("simsiam", HEADS["simsiam"]))
    optimiser = torch.optim.Adam(method.parameters(), fused=True)
    images = torch.tensor(split.train_images)
    return TrainingStep(method, optimiser, settings, plan(settings, len(images)), images), 0, 0
