"""Counts the operations that a device computes, views of memory and questions apart."""

from torch.utils._python_dispatch import TorchDispatchMode


class Kernels(TorchDispatchMode):
    """A context; afterwards ``count`` is how many there were, and ``names`` which."""

    def __enter__(self):
        self.count, self.names = 0, set()
        return super().__enter__()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        space, _, name = function.name().partition("::")
        if space == "aten" and not function.is_view and "_unsafe_view" not in name:
            self.count += 1
            self.names.add(name.partition(".")[0])
        return function(*args, **(kwargs or {}))
