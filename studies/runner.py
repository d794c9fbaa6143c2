"""Run trials with Ray Tune; what is durable is in the store, not in Ray."""

import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from nsa_core import TrialConfig
from studies import ray_session
from studies.actor import TrialActor
from studies.disk import check_space
from studies.ledger_queue import Queue
from studies.progress import Progress
from studies.resources import Host, Placement, Resources, place
from studies.shared_storage import check_every_host
from studies.slots import Slots
from studies.study import Data, Grid
from studies.watcher import Watcher, check_ray
from tracking import ENDED, Store
from tracking.storage import ObjectPath, StorePath, remove_folder


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what.

    Attributes:
        resources: of each trial.
        address: of a running Ray cluster; None starts one on this machine.
        concurrency: trials at once at most; None for as many as fit.
        retries: how often a trial whose worker died is tried again.
        data_root: folder of the data sets, the same on every host.
        device: "auto" (a GPU if the trial has one), "cpu" or "cuda".
    """

    resources: Resources
    address: str | None = None
    concurrency: int | None = None
    retries: int = 2
    data_root: str | None = None
    device: str = "auto"


def trial_id(config: TrialConfig, data_fingerprint: str) -> str:
    """16 hexadecimal digits that name the whole configuration and the data."""
    return hashlib.sha256(f"{config.canonical()}\n{data_fingerprint}".encode()).hexdigest()[:16]


def register(store: Store, grid: Grid) -> dict[str, TrialConfig]:
    """Write what every trial is to the store, before any runs; returns them by id."""
    trials = {create(store, config, grid.data): config for config in grid.configs}
    store.plan(grid.study.name, trials, {"title": grid.study.title, **grid.study.report.about()})
    return trials


def create(store: Store, config: TrialConfig, data: Data) -> str:
    """Write what a trial is to the store; returns its id."""
    key = trial_id(config, data.fingerprint)
    record = store.trial(key)
    name = data.class_names[config.normal_class]
    record.create(config.to_dict(), {"class_name": name, "data_fingerprint": data.fingerprint})
    return key


def to_run(store: Store, trials: Mapping[str, TrialConfig], retry_failed: bool) -> list[str]:
    """Ids of the trials that have not ended; failed ones too if asked for."""
    again = {"failed"} if retry_failed else set()
    return [
        key
        for key in trials
        if (status := store.trial(key).state()["status"]) not in ENDED or status in again
    ]


def placement(options: RunOptions, trials: int) -> Placement:
    """What will run where, before anything is written. Joins the cluster if there is one.

    Raises:
        InputError: the resources do not fit, or there is no cluster at the address.
    """
    if options.address:
        if not ray.is_initialized():
            ray_session.join(options.address)
        hosts = [_host(node) for node in ray.nodes() if node["Alive"]]
    else:
        name, cores = socket.gethostname(), len(os.sched_getaffinity(0))
        hosts = [Host(name, cores, torch.cuda.device_count())]
    return place(options.resources, hosts, trials=trials, concurrency=options.concurrency)


def run(
    store: Store,
    queue: Searcher,
    options: RunOptions,
    placement: Placement,
    progress: Progress,
    scheduler: TrialScheduler | None = None,
) -> None:
    """Run what the queue hands out to its end. Ray is started, unless joined before, and left.

    Raises:
        StoreError: a host does not see the store, or the store's disk is full.
        RayLostError: Ray's process beside this one has died.
        KeyboardInterrupt: at Ctrl-C or SIGTERM, once the workers are gone.
    """
    remove_folder(store.root / "ray")  # of a driver that was killed
    notes = store.root / "ray" / f"tune-{secrets.token_hex(4)}"  # of Ray, while it runs
    watcher = Watcher(store, progress)
    private = tempfile.mkdtemp(prefix="nsa-ray-", dir=os.environ.get("RAY_TMPDIR"))
    try:
        if not ray.is_initialized():
            ray_session.start(f"{private}/ray")
        if options.address:
            check_every_host(store)
        search: Searcher = Slots(queue, placement.asks)
        _tuner(search, options, _storage(notes), watcher, scheduler).fit()
        for _ in range(options.retries):
            if not (again := watcher.take_given_up()):
                break
            ids = [config["trial_id"] for config in again]
            search = Slots(Queue(ids, again[0]), placement.asks)
            _tuner(search, options, _storage(notes), watcher).fit()
        watcher.end_given_up()
    except Exception as error:
        check_space(error, store.root)  # Ray's notes need some too
        check_ray()  # Tune wraps what callbacks raise
        raise
    finally:
        ray_session.leave()
        watcher.settle(wait_s=10.0)
        remove_folder(store.root / "ray")
        shutil.rmtree(private, ignore_errors=True)
    watcher.check()


def _tuner(
    search: Searcher,
    options: RunOptions,
    storage: Mapping[str, Any],
    watcher: Watcher,
    scheduler: TrialScheduler | None = None,
) -> tune.Tuner:
    return tune.Tuner(
        TrialActor,
        tune_config=tune.TuneConfig(
            search_alg=search,
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


def worker_config(store: Store, options: RunOptions, placement: Placement) -> dict[str, Any]:
    """What all workers of a run are told, see ``TrialActor``."""
    return {
        "store": str(store.root),
        "data_root": str(Path(options.data_root).absolute()) if options.data_root else None,
        "device": options.device,
        "gpus": placement.resources.gpus,
        "cpus": placement.resources.cpus,
        "stop_by": None,
    }


def work(config: TrialConfig) -> float:
    """Images to train on, up to a factor that trials of equal classes share."""
    images = config.batch_size if config.budget_unit == "steps" else 1
    return float(config.budget * images)


def _host(node: Mapping[str, Any]) -> Host:
    has = node["Resources"]
    return Host(node["NodeManagerHostname"], int(has.get("CPU", 0)), int(has.get("GPU", 0)))


def _storage(notes: StorePath) -> dict[str, Any]:
    """Where Ray keeps its notes; every host must see it."""
    if isinstance(notes, ObjectPath):
        return {"storage_path": notes.key, "storage_filesystem": notes.filesystem}
    return {"storage_path": str(notes)}
