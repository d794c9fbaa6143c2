"""The rows of a study that its report reads, by trial."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracking.report.trials import EMBEDDING
from tracking.schema import DYNAMICS, SCORES
from tracking.store import Store

ByTrial = dict[str, pa.Table]

_ORDER = ("trial_id", "epoch")


def rows_by_trial(store: Store, members: Sequence[str]) -> tuple[ByTrial, ByTrial]:
    """Dynamics in the order of epochs, and those scores that are of the embedding or of a trial's
    last epoch: a quarter of the rows, all of which would take gigabytes at thousands of trials.

    Raises:
        StoreError: a file of the store is damaged.
    """
    tables = store.tables(("dynamics", "scores"))
    by_epoch = tables["dynamics"].cast(DYNAMICS).sort_by([(name, "ascending") for name in _ORDER])
    dynamics = _by_trial(by_epoch, members)
    last = dict.fromkeys(members, -1)
    last |= {key: pc.max(rows["epoch"]).as_py() for key, rows in dynamics.items()}
    return dynamics, _by_trial(_needed(tables.pop("scores"), last), members)


def _needed(scores: pa.Table, last: Mapping[str, int]) -> pa.Table:
    """The rows of the embedding and of the last epoch, of the trials that ``last`` knows."""
    parts = [SCORES.empty_table()]
    for batch in scores.to_batches():  # of one trial, or of many
        trials = batch["trial_id"].dictionary_encode()
        epochs = pa.array([last.get(key) for key in trials.dictionary.to_pylist()], pa.int64())
        ends = epochs.take(trials.indices)
        inner = pc.equal(batch["layer"].cast(pa.string()), EMBEDDING)
        kept = pc.and_(pc.is_valid(ends), pc.or_(inner, pc.equal(batch["epoch"], ends)))
        parts.append(pa.Table.from_batches([batch.filter(kept)]).cast(SCORES))
    return pa.concat_tables(parts)


def _by_trial(table: pa.Table, members: Sequence[str]) -> ByTrial:
    """The rows of each member."""
    whole = table.combine_chunks()  # each chunk would look at all members anew
    kept = whole.filter(pc.is_in(whole["trial_id"], pa.array(members, pa.string())))
    names = pc.dictionary_encode(kept["trial_id"].combine_chunks())
    codes = names.indices.to_numpy()
    if (np.diff(codes) < 0).any():  # a trial's rows are apart
        order = np.argsort(codes, kind="stable")
        kept, codes = kept.take(order), codes[order]
    kept = kept.combine_chunks()
    starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    return {
        names.dictionary[int(codes[start])].as_py(): kept.slice(start, end - start)
        for start, end in itertools.pairwise([*starts, len(codes)])
    }
