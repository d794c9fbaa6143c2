"""The study that the cluster's is compared with."""

from tests.studies.conftest import undisturbed  # noqa: F401  # a fixture
