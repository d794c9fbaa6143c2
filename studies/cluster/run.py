"""Run trials with Ray Tune to their end."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from nsa_core.limits import usable_cores
from studies.cluster import session
from studies.cluster.actor import TrialActor
from studies.cluster.alive import check_ray
from studies.cluster.folder import private_folder
from studies.cluster.hosts import check_every_host
from studies.cluster.notes import notes_storage, remove_notes
from studies.cluster.pack import packs_for
from studies.cluster.placement import Host, Placement, Resources, place
from studies.cluster.progress import Progress
from studies.cluster.queue import Listed, Queue, Source
from studies.cluster.signals import signals_wait
from studies.cluster.watcher import Watcher
from studies.trial.failures import check_there, check_usable
from tracking import Store


@dataclass(frozen=True)
class RunOptions:
    """How to run trials, as opposed to which.

    Attributes:
        resources: of each trial.
        address: of a running Ray cluster; None starts one on this machine.
        concurrency: trials at once at most; None for as many as fit.
        retries: how often a trial whose worker died is tried again.
        stall_s: after how long without progress a worker is ended, as if it had died.
        data_root: folder of the data sets, the same on every host.
        device: "auto" (a GPU if the trial has one), "cpu" or "cuda".
    """

    resources: Resources
    address: str | None = None
    concurrency: int | None = None
    retries: int = 2
    stall_s: float = 600.0
    data_root: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class EarlyStop:
    """Stop trials early that are behind others by a signal, as ASHA does.

    Attributes:
        signal: of ``tracking.selection.SIGNALS``.
        epochs: of a whole training.
    """

    signal: str
    epochs: int


def placement(options: RunOptions, trials: int) -> Placement:
    """What will run where, before anything is written. Joins the cluster if there is one.

    Raises:
        InputError: the resources do not fit, or there is no cluster at the address.
    """
    if options.address:
        if not ray.is_initialized():
            session.join(options.address)
        hosts = [_host(node) for node in ray.nodes() if node["Alive"]]
    else:
        hosts = [Host(socket.gethostname(), usable_cores(), torch.cuda.device_count())]
    return place(options.resources, hosts, trials=trials, concurrency=options.concurrency)


def run(
    store: Store,
    source: Source,
    options: RunOptions,
    placement: Placement,
    progress: Progress,
    early_stop: EarlyStop | None = None,
) -> None:
    """Run a source's trials to their end. Ray is started, unless joined before, and left.

    Raises:
        StoreError: a host does not see the store, or the store's disk is full.
        RayLostError: Ray's process beside this one has died.
        KeyboardInterrupt: at Ctrl-C or SIGTERM, once the workers are gone.
    """
    remove_notes(store)  # of a driver that was killed
    storage = notes_storage(store)
    watcher = Watcher(store, progress, options.stall_s)
    with private_folder() as private:
        try:
            if not ray.is_initialized():
                session.start(f"{private}/ray")
            if options.address:
                check_every_host(store)
            worker = _worker_config(store, options, placement, early_stop)
            with packs_for(placement.resources.gpus):
                queue = Queue(source, worker, placement.asks)
                _tuner(queue, options, storage, watcher, _scheduler(early_stop)).fit()
                for _ in range(options.retries):
                    if not (again := watcher.take_given_up()):
                        break
                    queue = Queue(Listed(again), worker, placement.asks)
                    _tuner(queue, options, storage, watcher).fit()
            watcher.end_given_up()
        except Exception as error:
            check_usable(error, store.root)  # Ray's notes need it too
            check_there(store.root)
            if ray.is_initialized():
                check_ray()  # Tune wraps what callbacks raise
            raise
        finally:
            with signals_wait():
                session.leave()
                watcher.settle(wait_s=10.0)
                remove_notes(store)
    watcher.check()


def _tuner(
    queue: Queue,
    options: RunOptions,
    storage: Mapping[str, Any],
    watcher: Watcher,
    scheduler: TrialScheduler | None = None,
) -> tune.Tuner:
    return tune.Tuner(
        TrialActor,
        tune_config=tune.TuneConfig(
            search_alg=queue,
            scheduler=scheduler,
            num_samples=-1,  # until the search has no more
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.config["trial_id"],
        ),
        run_config=tune.RunConfig(
            name="run",
            **storage,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=options.retries),
            callbacks=[watcher],
            stop=watcher.stopper(),
            verbose=0,
        ),
    )


def _worker_config(
    store: Store, options: RunOptions, placement: Placement, early_stop: EarlyStop | None
) -> dict[str, Any]:
    """What all workers of a run are told, see ``TrialActor``."""
    return {
        "store": str(store.root),
        "data_root": str(Path(options.data_root).absolute()) if options.data_root else None,
        "device": options.device,
        "gpus": placement.resources.gpus,
        "cpus": placement.resources.cpus,
        "stop_by": early_stop.signal if early_stop else None,
        "beat_s": max(2.0, 0.05 * placement.at_once),  # 20 reports a second are enough for a driver
    }


def _scheduler(early_stop: EarlyStop | None) -> TrialScheduler | None:
    if early_stop is None:
        return None
    return ASHAScheduler(
        time_attr="epoch",
        metric="signal",
        mode="max",
        max_t=early_stop.epochs + 1,  # who gets there is finished, not stopped
        grace_period=max(1, early_stop.epochs // 9),
        reduction_factor=3,
    )


def _host(node: Mapping[str, Any]) -> Host:
    has = node["Resources"]
    return Host(node["NodeManagerHostname"], int(has.get("CPU", 0)), int(has.get("GPU", 0)))
