"""Graphs of ONNX, run by ONNX Runtime, against the scorers and methods that they are made of."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nsa_core import InputError, TrialConfig, load_images, scorers
from nsa_core.detector.onnx_file import onnx_model
from nsa_core.detector.onnx_graph import row_scores
from nsa_core.scorers import KCos
from nsa_core.training import build_method, embed

CPU = torch.device("cpu")


class EveryScorer(nn.Module):
    """Rows to the scores of all scorers, [S, N]: exporting takes seconds, so it is done once."""

    def __init__(self, fitted):
        super().__init__()
        self.fitted = [(row_scores(each), getattr(each, "normalize", True)) for each in fitted]

    def forward(self, rows):
        unit = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return torch.stack([f(unit if scaled else rows).double() for f, scaled in self.fitted])


def run(model, **inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, inputs)


def test_every_scorer_scores_in_onnx_as_in_python():
    stream = torch.Generator().manual_seed(0)
    train, test = (
        2 + torch.randn(count, 8, generator=stream) * torch.linspace(0.1, 1, 8)
        for count in (60, 40)
    )
    fitted = [scorers.build(name).fit(train) for name in scorers.available()]
    fitted += [scorers.CosineKNN(k=3).fit(train), scorers.CCos(center=True).fit(train)]
    program = torch.onnx.export(
        EveryScorer(fitted).eval(),
        (test[:2].double(),),
        dynamo=True,
        input_names=["rows"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        verbose=False,
    )
    for rows in (test[:1], test):
        (found,) = run(program.model_proto, rows=rows.double().numpy())
        for got, scorer in zip(found, fitted, strict=True):
            wanted = scorer.score(rows)
            np.testing.assert_allclose(got, wanted, rtol=1e-5, err_msg=repr(scorer))


def test_images_that_a_backbone_resizes_score_as_in_python():
    train, test = load_images("digits", "train"), load_images("digits", "test").images[:50]
    method = build_method(
        TrialConfig(method="frozen", norm="none", backbone="efficientnet_lite0", image_size=32)
    )
    features = embed(method, train.images[train.labels == 3], CPU)["stage2"]
    scorer = KCos().fit(features)
    wanted = scorer.score(embed(method, test, CPU)["stage2"])
    threshold = float(np.median(wanted))
    model = onnx_model(
        method, "stage2", scorer, test.shape[1:], nn.Identity(), threshold, about={"a": [1]}
    )
    for images in (test[:1], test):
        scores, flagged = run(model, images=images)
        np.testing.assert_allclose(scores, wanted[: len(images)], rtol=1e-4)
        assert (flagged == (wanted[: len(images)] > threshold)).all()
    assert np.ptp(wanted) > 0.1  # so that the comparison says something
    known = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert known["a"] == [1]
    assert known["threshold"] == threshold


def test_a_scorer_of_another_kind_is_refused():
    class Mine(KCos):
        pass

    with pytest.raises(InputError, match="scorer Mine cannot be written as ONNX; those are: CCos"):
        row_scores(Mine().fit(np.eye(3)))
