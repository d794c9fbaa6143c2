"""Graphs of ONNX, run by ONNX Runtime, against the scorers and methods that they are made of."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nsa_core import InputError, TrialConfig, load_images, scorers
from nsa_core.detector.onnx_file import onnx_model
from nsa_core.detector.onnx_graph import row_scores
from nsa_core.detector.shrink import Shrink
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
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for rows in (test[:1], test):
        (found,) = session.run(None, {"rows": rows.double().numpy()})
        for got, scorer in zip(found, fitted, strict=True):
            wanted = scorer.score(rows)
            np.testing.assert_allclose(got, wanted, rtol=1e-5, err_msg=repr(scorer))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_images_of_either_kind_score_as_in_python(kind):
    images = torch.from_numpy(load_images("digits", "test").images[:40].copy())
    larger = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    larger = larger // 2 + torch.randint(90, larger.shape, generator=torch.Generator())
    larger = larger.byte().numpy()
    method, shrink = build_method(TrialConfig(width=8, depth=10)), Shrink((32, 32), (16, 16))
    features = embed(method, shrink.of_uint8(larger), CPU)["embedding"]
    scorer = KCos().fit(features[:20])
    model = onnx_model(method, "embedding", scorer, (1, 32, 32), shrink, 0.1, kind)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = larger if kind == "uint8" else larger.astype(np.float32) / 255
    scores, _ = session.run(None, {"images": given})
    np.testing.assert_allclose(scores[20:], scorer.score(features[20:]), rtol=1e-4)


def test_a_scorer_of_another_kind_is_refused():
    class Mine(KCos):
        pass

    with pytest.raises(InputError, match="scorer Mine cannot be written as ONNX; those are: CCos"):
        row_scores(Mine().fit(np.eye(3)))
