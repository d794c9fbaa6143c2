import os
import pickle

import pytest
import torch

from nsa_core import InputError
from nsa_core.training import UnusableCheckpointError
from nsa_core.training.checkpoint import VERSION, load_checkpoint, save_checkpoint

IDENTITY = {"config": "{...}", "fingerprint": "f00"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trial.ckpt"


@pytest.fixture
def state():
    model = torch.nn.Linear(30, 40)
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 30)).sum().backward()
    optimiser.step()
    return {
        **IDENTITY, "epoch": 3, "method": model.state_dict(), "optimiser": optimiser.state_dict()
    }  # fmt: skip


class Malicious:
    """Would create a file if anything unpickled it."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_a_state_comes_back_bit_for_bit(path, state):
    save_checkpoint(path, state)
    back = load_checkpoint(path, **IDENTITY)
    assert back["epoch"] == 3
    for name, value in state["method"].items():
        assert torch.equal(back["method"][name], value)
    for ours, theirs in zip(
        back["optimiser"]["state"].values(), state["optimiser"]["state"].values(), strict=True
    ):
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert back["optimiser"]["param_groups"] == state["optimiser"]["param_groups"]


def test_no_file_is_no_state(path):
    assert load_checkpoint(path, **IDENTITY) is None


def test_nothing_but_the_checkpoint_is_left(path, state):
    save_checkpoint(path, state)
    save_checkpoint(path, {**state, "epoch": 4})
    assert list(path.parent.iterdir()) == [path]
    assert load_checkpoint(path, **IDENTITY)["epoch"] == 4


def test_a_write_that_fails_leaves_the_earlier_checkpoint(path, state):
    save_checkpoint(path, state)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        save_checkpoint(path, {**state, "epoch": 4, "odd": lambda: None})
    assert load_checkpoint(path, **IDENTITY)["epoch"] == 3
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "keep",
    [0.0, 0.001, 0.1, 0.5, 0.9, 0.999],
)
def test_a_truncated_checkpoint_is_refused(path, state, keep):
    save_checkpoint(path, state)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(UnusableCheckpointError, match=r"trial.ckpt cannot be read .*move it away"):
        load_checkpoint(path, **IDENTITY)


def test_one_wrong_bit_is_noticed(path, state):
    save_checkpoint(path, state)
    content = bytearray(path.read_bytes())
    weights = state["method"]["weight"].numpy().tobytes()
    content[content.index(weights) + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnusableCheckpointError, match="is not what was written"):
        load_checkpoint(path, **IDENTITY)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_what_is_no_checkpoint_is_refused(path):
    for content in (b"hello", b"\x00" * 100, b"PK\x03\x04" + b"x" * 50, pickle.dumps({"a": 1})):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"trial.ckpt"):
            load_checkpoint(path, **IDENTITY)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_malicious_pickle_is_refused_and_not_run(path, state, kind, tmp_path):
    target = tmp_path / "created"
    content = {"version": VERSION, **state, "extra": Malicious(target)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(InputError, match=r"trial.ckpt cannot be read.* could run code") as error:
        load_checkpoint(path, **IDENTITY)
    assert not isinstance(error.value, UnusableCheckpointError)
    assert not target.exists()
    torch.load(path, weights_only=False) if kind != "pickle" else pickle.loads(path.read_bytes())
    assert target.exists()  # the trap was armed


@pytest.mark.parametrize("key", ["config", "fingerprint"])
def test_a_checkpoint_of_something_else_is_refused_with_both(path, state, key):
    save_checkpoint(path, {**state, key: "another"})
    with pytest.raises(
        UnusableCheckpointError, match=f"belongs to another {key} .another instead of"
    ):
        load_checkpoint(path, **IDENTITY)


@pytest.mark.parametrize("version", [0, VERSION + 1, None])
def test_a_checkpoint_of_another_version_is_refused(path, state, version):
    torch.save({**state, "version": version}, path)
    with pytest.raises(UnusableCheckpointError, match=f"is of version {version}, need {VERSION}"):
        load_checkpoint(path, **IDENTITY)
    torch.save([1, 2], path)
    with pytest.raises(UnusableCheckpointError, match=f"is of version None, need {VERSION}"):
        load_checkpoint(path, **IDENTITY)
