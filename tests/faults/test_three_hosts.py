"""`ray up ray_cluster.yaml` and a study on three hosts reached over ssh, one of which dies.

Run with -s to see when what happened.
"""

import re
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cluster.lab import HOSTS, ROOT, Lab, missing, wait_for
from tests.studies.conftest import TOY, rows
from tracking import open_store

if absent := missing():
    pytest.skip(f"a cluster on one machine {absent}", allow_module_level=True)
pytestmark = pytest.mark.root

OPTIONS = ["--address", "auto", "--gpus-per-trial", "0.5", "--device", "cpu"]
SILENT = "--silent --include --max-time 100 --request POST"
GRPC = f"{SILENT} --http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers'"
CALLS = {  # one that is served on each of Ray's ports; workers have ports from 10002
    6379: f"{GRPC} http://192.0.2.10:6379/ray.rpc.InternalKVGcsService/InternalKVPut",
    6380: f"{GRPC} http://192.0.2.10:6380/ray.rpc.NodeManagerService/RequestWorkerLease",
    6381: f"{GRPC} http://192.0.2.10:6381/ray.rpc.ObjectManagerService/Push",
    6382: f"{SILENT} http://192.0.2.10:6382/get_or_create_runtime_env",
}
TOKENS = {"none": "RAY_AUTH_MODE=disabled", "another": f"RAY_AUTH_TOKEN={'0' * 64}",
          "its own": "RAY_AUTH_TOKEN_PATH=~/.nsa-studies/auth_token"}  # fmt: skip
WORKER_CALL = GRPC + " http://192.0.2.10:{}/ray.rpc.CoreWorkerService/PushTask"


@dataclass
class Story:
    """What was seen, in the order in which it happened."""

    store: Path
    sockets: dict[str, set[tuple[str, int, str]]] = field(default_factory=dict)
    answers: dict[int, str] = field(default_factory=dict)  # of the head's ports, without a token
    seen_with: dict[str, str] = field(default_factory=dict)  # the head's, by what is shown
    hosts_at_death: dict[str, str] = field(default_factory=dict)  # by trial
    cut_off: list[str] = field(default_factory=list)  # trials in the middle of training
    refused: str = ""  # of a store in the head's own folder
    output: str = ""
    returncode: int = -1
    fetched: Path = Path()
    stopped: str = ""


@pytest.fixture(scope="module")
def story():
    before = surroundings()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        with Lab(Path(folder)) as lab:
            own = lab.namespaces()
            story = tell(lab)
        wait_for(lambda: not inside(own), "the last process in the lab's namespaces to end", 120)
        assert surroundings() == before
        yield story
    assert not Path(folder).exists()


def test_all_hosts_join_and_share_the_trials(story):
    assert set(story.hosts_at_death.values()) >= set(HOSTS)


def test_a_store_that_only_the_head_sees_is_refused_before_any_trial(story):
    assert "error: store /tmp/store is not shared by all hosts" in story.refused
    for host in set(HOSTS) - {"head"}:
        assert re.search(rf"{host} \(192\.0\.2\.\d+\): it has no such folder", story.refused)
    assert not re.search(r"\bhead \(192", story.refused)
    assert " of 8 trials, " not in story.refused  # no progress: none began


def test_a_host_that_dies_costs_the_study_nothing_but_time(story):
    assert story.returncode == 0, story.output
    found = {row["trial_id"]: row for row in trials(story.store)}
    assert len(found) == 8
    assert {row["status"] for row in found.values()} == {"finished"}
    assert story.cut_off
    for trial in story.cut_off:
        assert found[trial]["host"] in {"head", "left"}
        assert found[trial]["attempts"] >= 2


def test_the_numbers_are_those_of_one_machine(story, undisturbed):
    """The same study there, without a cluster: the one that many tests look at."""
    store, alone = open_store(story.store), open_store(undisturbed[0])
    assert store.scores().num_rows > 0
    assert rows(store.scores()) == rows(alone.scores())
    assert rows(store.dynamics()) == rows(alone.dynamics())


def test_the_results_come_back(story):
    scores = pq.read_table(story.fetched / "scores.parquet").replace_schema_metadata(None)
    assert scores == open_store(story.store).scores()


def test_the_cluster_answers_those_alone_who_show_its_token(story):
    assert "AuthenticationError" in story.seen_with["none"]
    assert "AuthenticationError" in story.seen_with["another"]
    assert "GPU" in story.seen_with["its own"]
    assert "GPU" not in story.seen_with["none"] + story.seen_with["another"]


def test_every_port_of_ray_refuses_who_shows_none(story):
    assert set(CALLS) < set(story.answers)  # and some of workers
    for port, answer in story.answers.items():
        refusal = "401 Unauthorized" if port == 6382 else "grpc-status: 16"  # unauthenticated
        assert refusal in answer, (port, answer)


def test_nothing_listens_but_sshd_and_ray_on_the_ports_that_docs_name(story):
    for host, found in story.sockets.items():
        ports = {port for _, port, _ in found}
        named = {22, *CALLS} if host == "head" else {22, *CALLS} - {6379}
        assert {port for port in ports if not 10002 <= port <= 10999} == named


def test_ray_down_says_that_nothing_remains(story):
    assert "No nodes remaining" in story.stopped


def tell(lab: Lab) -> Story:
    """From bare hosts to results and back to bare hosts."""
    story = Story(lab.shared / "store")
    started = time.monotonic()

    def note(what: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {what}")

    prepare(lab)
    lab.run("ray up --yes ~/ray_cluster.yaml", timeout=600)
    note("ray up is back, the head runs")
    wait_for(lambda: all(map(lab.ray_processes, HOSTS)), "Ray on three hosts", 600)
    wait_for(lambda: all_joined(lab), "three hosts to join", 600)
    note("all hosts have joined")

    story.refused = lab.run(on_head(study_command("/tmp/store") + " 2>&1; true"), timeout=600)
    note("a store that only the head sees is refused")

    log = lab.folder / "study.log"
    study = lab.start(on_head(study_command("/mnt/nsa/store")), log)

    def wait_in_study(condition, what: str) -> None:
        try:
            wait_for(lambda: study.poll() is not None or condition(), what, 300)
            assert study.poll() is None, f"the study ended before {what}"
        except AssertionError as error:
            raise AssertionError(f"{error}; the study wrote:\n{log.read_text()}") from None

    held: set[str] = set()
    wait_in_study(lambda: hold_trials(lab, story.store, held), "trials on every host")
    note("every host has trials")
    story.sockets = {host: sockets(lab, host) for host in HOSTS}
    lab.unplug("right")
    story.cut_off = on_host(story.store, "right", 1)
    lab.let_go("head")
    lab.let_go("left")
    story.hosts_at_death = {row["trial_id"]: row["host"] for row in trials(story.store)}
    note("the third host is cut off")
    story.answers = answers(lab)
    story.seen_with = {token: status_with(lab, token) for token in TOKENS}
    note("strangers have knocked at every port")
    story.returncode = study.wait(timeout=900)
    story.output = log.read_text()
    note("the study is back")

    lab.run("ray rsync-down ~/ray_cluster.yaml /mnt/nsa/store/parquet/ ~/results/")
    story.fetched = lab.launcher / "results"
    story.stopped = lab.run("ray down --yes ~/ray_cluster.yaml 2>&1", timeout=600)
    note("ray down is back")
    alive = ("head", "left")
    wait_for(lambda: not any(map(lab.ray_processes, alive)), "Ray to end on all hosts", 600)
    note("no process of Ray is left")
    return story


def prepare(lab: Lab) -> None:
    """What docs/cluster.md has a person do once, by its own words where it gives commands."""
    steps = re.search(r"```\n(ssh-keygen.+?)```", (ROOT / "docs" / "cluster.md").read_text(), re.S)
    lab.run(steps[1])
    lab.let_in(lab.launcher / ".ssh" / "nsa-studies.pub")
    (lab.launcher / "ray_cluster.yaml").write_text(filled_in())


def filled_in() -> str:
    """The shipped file, and two cores and a GPU a host, which are not there."""
    text = (ROOT / "ray_cluster.yaml").read_text()
    assert text.count("    ray start ") == 2
    return text.replace("    ray start ", "    ray start --num-cpus=2 --num-gpus=1 ")


def on_head(command: str) -> str:
    return f"ray exec ~/ray_cluster.yaml {shlex.quote(command)}"


def study_command(store: str) -> str:
    script = ["cd nsa-studies && .venv/bin/python studies/batchsize_ablation.py"]
    return " ".join([*script, shlex.join([*TOY, *OPTIONS, "--store", store])])


def all_joined(lab: Lab) -> bool:
    shown = status_with(lab, "its own")
    return "/6.0 CPU" in shown and "/3.0 GPU" in shown


def trials(store: Path) -> list[dict]:
    return open_store(store).trials().to_pylist() if (store / "store.json").exists() else []


def hold_trials(lab: Lab, store: Path, held: set[str]) -> bool:
    """Stop each host at a trial, the third in the middle of its training; say when all are held.

    A host that starts sooner would otherwise end its trials and take those of a slower one.
    """
    for host in set(HOSTS) - held:
        least = 1 if host == "right" else 0
        if on_host(store, host, least):
            lab.hold(host)
            if on_host(store, host, least):
                held.add(host)
            else:  # it went on meanwhile
                lab.let_go(host)
    return held == set(HOSTS)


def on_host(store: Path, host: str, least: int) -> list[str]:
    """Trials that run on a host and have recorded at least so many epochs, but not their last."""
    return [
        row["trial_id"]
        for row in trials(store)
        if (row["host"], row["status"]) == (host, "running")
        and least <= open_store(store).trial(row["trial_id"]).dynamics().num_rows < 3
    ]


def sockets(lab: Lab, host: str) -> set[tuple[str, int, str]]:
    """Address, port and program of all that listens on TCP."""
    found = set()
    shown = lab.run("ss --listening --tcp --numeric --processes --no-header", host)
    for line in shown.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        found |= {(address, int(port), name) for name in re.findall(r'\("([^"]+)"', line)}
    return found


def answers(lab: Lab) -> dict[int, str]:
    """What each of Ray's ports on the head says to a call that shows no token."""
    found = {}
    empty = r"printf '\0\0\0\0\0'"  # a message of no fields, in gRPC's frame
    for port in ports_of(lab, "head"):
        call = CALLS.get(port, WORKER_CALL.format(port))
        try:
            found[port] = lab.run(f"{empty} | curl --data-binary @- {call}")
        except AssertionError:
            if port in ports_of(lab, "head"):  # else its worker has ended meanwhile
                raise
    return found


def ports_of(lab: Lab, host: str) -> set[int]:
    return {port for _, port, _ in sockets(lab, host)} - {22}


def status_with(lab: Lab, token: str) -> str:
    command = "ray status --address 192.0.2.10:6379 2>&1 || true"
    return lab.run(f"export RAY_AUTH_MODE=token {TOKENS[token]}; {command}")


def inside(namespaces: set[str]) -> list[str]:
    """Processes in any of these namespaces."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if {str(link.readlink()) for link in (process / "ns").iterdir()} & namespaces:
                found.append((process / "cmdline").read_text())
        except OSError:  # it has ended
            continue
    return found


def surroundings() -> tuple[set[str], set[str], set[str]]:
    """Network devices, named networks and mounts of this machine."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mounts").read_text()
    networks = {path.name for path in Path("/run/netns").glob("*")}
    # other tests, which may run meanwhile, mount disks of their own
    ours = {line for line in mounts.splitlines() if "/pytest-of-" not in line}
    return set(re.findall(r"^\d+: ([^:@]+)", links, re.M)), networks, ours
