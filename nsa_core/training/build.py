"""The network that a configuration names."""

import torch

from nsa_core import methods
from nsa_core.config import TrialConfig
from nsa_core.methods import Method
from nsa_core.models import Encoder, ResNet, blank_backbone, load_backbone
from nsa_core.seeds import Seeded, derive_seed


def build_method(config: TrialConfig, *, blank: bool = False) -> Method:
    """The configured method with the initial weights of its seed; leaves global state alone. A
    ``blank`` one needs no file for its backbone, whose weights a state is to bring.

    Raises:
        InputError: the weights of a backbone are missing, damaged, or not those configured.
    """
    with Seeded(derive_seed(config.seed, "weights")):
        encoder = _encoder(config, blank)
        method = methods.build(config.method, encoder, config.norm, config.method_options)
    return method.to(memory_format=torch.channels_last) if config.channels_last else method


def _encoder(config: TrialConfig, blank: bool) -> Encoder:
    if not config.backbone:
        return ResNet(config.depth, config.width, config.stem)
    if blank:
        return blank_backbone(config.backbone, config.image_size)
    return load_backbone(config.backbone, config.weights, config.weights_sha256, config.image_size)
