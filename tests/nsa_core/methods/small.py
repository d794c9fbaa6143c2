"""Options of every method that trains its own encoder, at a size for tests."""

from nsa_core import methods

SMALL = {
    "simsiam": {"projector_dim": 32, "predictor_dim": 16},
    "byol": {"projector_dim": 16, "hidden_dim": 32},
    "simclr": {"projector_dim": 16, "hidden_dim": 32},
    "simclr-shifted": {"projector_dim": 16, "hidden_dim": 32},
    "rotnet": {},
    "droc": {"projector_dim": 16, "hidden_dim": 32, "hidden_layers": 2},
    "csi": {"projector_dim": 16, "samples": 2},
    "goad": {},
    "firm": {"projector_dim": 16, "hidden_dim": 32, "head_layers": 3},
    "unicon-ha": {"projector_dim": 16, "hidden_dim": 32},
    "stoc": {"projector_dim": 16, "hidden_dim": 32, "hidden_layers": 2, "refine_every": 1},
}

FROM_SCRATCH = [name for name in methods.available() if not methods.has_backbone(name)]
