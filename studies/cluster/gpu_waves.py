"""GPU shares that make Ray spread trials over all GPUs before it doubles up.

Asked for equal shares, Ray fills the first GPU of a host before it uses the next. So the first
trial of a GPU asks for nearly all of it, the second for nearly all of what is left, and so on: no
two trials of one wave fit on the same GPU. What Ray counts is bookkeeping alone; the share that
caps a trial's memory is the same for all.
"""

_UNIT = 10_000  # Ray counts in ten-thousandths


def wave_asks(per_gpu: int, gpus: int) -> list[float]:
    """Shares to request for the first, second, ... trial of a GPU; they sum to at most 1.

    Ray's head chooses a host by the sum of what its GPUs have left, so every wave asks for more
    than what all GPUs of a host have left after it: else the head would send trials to a host that
    refuses them, for seconds each. Ray's numbers are fine enough for 5 such waves with 8 GPUs on a
    host; if there are to be more, the first ones are one, of equal shares, and Ray packs those.

    Args:
        per_gpu: trials on one GPU, at least 1.
        gpus: most GPUs of one host, at least 1.
    """
    late: list[int] = []  # waves after the first, in ten-thousandths
    rest = 0  # their sum
    while len(late) < per_gpu - 1:
        ask = gpus * rest + 1
        early = per_gpu - len(late) - 1
        if (_UNIT - rest - ask) // early <= gpus * (rest + ask + early):
            break
        late.insert(0, ask)
        rest += ask
    early = per_gpu - len(late)
    each = (_UNIT - rest) // early
    if late:
        late[0] += _UNIT - rest - early * each  # or two of them would fit
    return [ask / _UNIT for ask in [each] * early + late]
