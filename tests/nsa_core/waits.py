"""Counts what makes a device wait, or the host, in code that runs on a CPU."""

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

CALLS = ("cpu", "numpy", "tolist", "item", "tensor", "as_tensor", "from_numpy", "__bool__")
OPERATIONS = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "lift_fresh", "_unique2")


class Waits:
    """A context; afterwards ``found`` names tensors that were made from Python values, and
    questions whose answer the host waits for.
    """

    def __enter__(self):
        self.found = []
        self._modes = _Calls(self.found), _Operations(self.found)
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error):
        for mode in reversed(self._modes):
            mode.__exit__(*error)


class _Calls(TorchFunctionMode):
    """Sees ``x.cpu()``, which is no operation on a CPU."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in CALLS:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    """Sees what torch's own functions call."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().removeprefix("aten::").partition(".")[0]
        by_mask = name in ("index", "index_put_") and any(
            isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in args[1]
        )
        if by_mask or name in OPERATIONS:
            self.found.append(name)
        return function(*args, **(kwargs or {}))
