"""Cluster files that Ray's own schema accepts, alike where they should be, and without secrets."""

import re
import shlex

import pytest
import yaml
from ray import __version__ as ray_version
from ray.autoscaler._private.util import prepare_config, validate_config

from studies.batchsize_ablation import STUDY
from studies.plan.options import parser
from tests.cluster.lab import HOSTS, ROOT

OWN_HOSTS = ROOT / "ray_cluster.yaml"
RENTED = [ROOT / "docs" / "cluster" / name for name in ("aws.yaml", "gcp.yaml")]
KUBERAY = ROOT / "docs" / "cluster" / "kuberay.yaml"
RAY_JOB = {  # fields of KubeRay's API v1: rayjob_types.go, raycluster_types.go
    "entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec",
}  # fmt: skip
RAY_CLUSTER = {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
HEAD_GROUP = {"rayStartParams", "template"}
WORKER_GROUP = HEAD_GROUP | {"groupName", "replicas", "minReplicas", "maxReplicas"}


def load(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", [OWN_HOSTS, *RENTED], ids=lambda path: path.name)
def test_rays_schema_accepts_the_file(path):
    config = prepare_config(load(path))
    validate_config(config)
    with pytest.raises(Exception, match="no_such_field"):
        validate_config(config | {"no_such_field": 1})


@pytest.mark.parametrize("path", RENTED, ids=lambda path: path.name)
def test_rented_hosts_get_the_same_project_in_the_same_way(path):
    ours, theirs = load(OWN_HOSTS), load(path)
    assert theirs["file_mounts"] == ours["file_mounts"]
    assert set(ours["setup_commands"]) < set(theirs["setup_commands"])
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        options = [set(re.findall(r"--\S+", each[commands][-1])) for each in (ours, theirs)]
        assert options[0] == options[1]


def test_all_that_is_shipped_is_there():
    shipped = [name for name in load(OWN_HOSTS)["file_mounts"].values() if name[0] != "~"]
    assert {"nsa_core", "tracking", "studies", "Makefile", "requirements.lock"} < set(shipped)
    assert all((ROOT / name).exists() for name in shipped)


def test_addresses_are_the_documentations_and_marked():
    provider = load(OWN_HOSTS)["provider"]
    assert [provider["head_ip"], *provider["worker_ips"]] == list(HOSTS.values())
    lines = [line for line in OWN_HOSTS.read_text().splitlines() if "192.0.2." in line]
    assert all("# EDIT" in line for line in lines)


@pytest.mark.parametrize("path", [OWN_HOSTS, *RENTED, KUBERAY], ids=lambda path: path.name)
def test_it_wants_a_token_and_holds_none(path):
    text = path.read_text()
    if path == KUBERAY:
        assert "mode: token" in text
    else:
        config = load(path)
        for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
            assert re.match(r"RAY_AUTH_MODE=token .*ray start ", commands[-1])
    assert not re.search(r"[0-9a-f]{32}|BEGIN|AKIA", text)
    assert "dashboard-host" not in text


@pytest.mark.parametrize("path", [OWN_HOSTS, *RENTED, KUBERAY], ids=lambda path: path.name)
def test_its_command_is_one_that_the_study_takes(path):
    text = re.sub(r"\\\n#", " ", path.read_text())
    command = re.search(r"batchsize_ablation\.py(.+?)('|\n\s+shutdown)", text, re.DOTALL)[1]
    options = parser(STUDY).parse_args(shlex.split(command))
    assert options.preset in STUDY.presets
    assert options.address == "auto"
    assert options.gpus_per_trial == 0.25
    assert options.store.startswith("/mnt/nsa/")


def test_kuberay_gets_fields_that_it_knows_and_pods_that_fit_together():
    documents = {each["kind"]: each for each in yaml.safe_load_all(KUBERAY.read_text())}
    claim = documents["PersistentVolumeClaim"]["metadata"]["name"]
    job = documents["RayJob"]["spec"]
    cluster = job["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert documents["RayJob"]["apiVersion"] == "ray.io/v1"
    assert set(job) <= RAY_JOB
    assert set(cluster) <= RAY_CLUSTER
    assert set(head) <= HEAD_GROUP
    assert set(workers) <= WORKER_GROUP
    assert cluster["rayVersion"] == ray_version
    images = set()
    for group in (head, workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        images.add(container["image"])
        (volume,) = pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim
        assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/mnt/nsa"}]
        labels = documents["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
        assert group["template"]["metadata"]["labels"] == labels
    assert len(images) == 1
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert "nvidia.com/gpu" in workers["template"]["spec"]["containers"][0]["resources"]["limits"]
