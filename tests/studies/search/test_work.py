"""A search on normals alone: by a signal that needs no other class, or refused in one line."""

import pytest

from nsa_core import InputError
from studies.hyperparameter_search import STUDY
from studies.plan.options import parser
from studies.search.work import SearchWork
from tests.studies.normals import write_normals


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Of the options, on normals alone."""
    path = write_normals(tmp_path_factory.mktemp("normals"))

    def made(*more: str) -> SearchWork:
        return SearchWork(STUDY, parser(STUDY).parse_args(["--dataset", str(path), *more]))

    return made


CLEAN = ("--set", "pollution=0", "--set", "held_out=0")


def test_it_may_choose_by_a_signal_without_labels(work):
    found = work(*CLEAN, "--objectives", "kappa,alignment", "--asha", "loss")
    assert found.configs[0].normal_class == 0
    assert "no test split" in found.absent


def test_pollution_and_withheld_images_are_refused(work):
    with pytest.raises(InputError, match=r"pollution 0\.1 and held_out 0\.2: need training images"):
        work("--objectives", "kappa")


@pytest.mark.parametrize("by", [(), ("--objectives", "kappa", "--asha", "held-out")])
def test_the_signal_of_withheld_images_is_refused_with_another_in_its_place(work, by):
    with pytest.raises(InputError, match="of one class; --objectives kappa, for instance"):
        work(*CLEAN, *by)
