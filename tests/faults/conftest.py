"""One undisturbed study for all faults."""

import pytest

from tests.faults import lab


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    return lab.undisturbed(tmp_path_factory.mktemp("reference"))
