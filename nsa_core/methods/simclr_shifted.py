"""SimCLR with shifted negatives: SC(-) of NSA, and SC(n-) with its f-norm."""

from torch import Tensor

from nsa_core.methods.rotations import QUARTERS, rotations
from nsa_core.methods.simclr import SimCLR


class ShiftedSimCLR(SimCLR):
    """SimCLR that takes an image turned by 90, 180 or 270 degrees for another image.

    The training set is four times as large, as DROC makes it, and batches are drawn from all of
    it: an image's turns are its negatives where they meet in a batch. (CSI has all four in every
    batch, and needs its rotation classifier with that: METHODS, section 2.2.) Scores are of images
    as they are.
    """

    instances = QUARTERS

    def prepare(self, images: Tensor) -> Tensor:
        return rotations(images)
