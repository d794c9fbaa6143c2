"""The cluster file is one that Ray's own schema accepts."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

FILE = Path(__file__).parents[2] / "ray_cluster.yaml"


def test_rays_schema_accepts_the_file():
    config = yaml.safe_load(FILE.read_text())
    validate_config(prepare_config(config))


def test_every_address_is_a_documentation_one_marked_for_editing():
    lines = [line for line in FILE.read_text().splitlines() if "192.0.2." in line]
    assert len(lines) == 2
    assert all("# EDIT" in line for line in lines)
