"""What MLflow is told of a trial whose test images are all normal."""

import pyarrow as pa

from tests.tracking.report.conftest import CONFIG, keep
from tracking import create_store
from tracking.mlflow.run import metrics, tags, write_artifacts
from tracking.trial import trial_id

ABSENT = "no test outliers (all 9 test images are of one class): AUROC, AUPRC and FPR95 are absent"


def test_it_has_signals_and_says_why_no_score_and_keeps_no_curve_of_them(tmp_path):
    record = create_store(tmp_path / "store").trial(trial_id(CONFIG, "f00d"))
    record.folder.mkdir(parents=True)
    record.create(CONFIG, {"class_name": "good", "data_fingerprint": "f00d"})
    with record.claim():
        record.begin({})
        record.add({"epoch": 1, "step": 3, "kappa_train": 5.0}, [])
        table = pa.table({"row": range(9), "is_outlier": [False] * 9, "c-cos": [0.5] * 9})
        record.write_artifact("test_scores", table)
        keep(record, ["extremes"], "good")
        record.end("finished", absent=ABSENT)
    state = record.state()
    assert tags(record.definition(), state)["nsa.absent"] == ABSENT
    found = metrics(record, record.dynamics().to_pylist(), state)
    assert {each.key: each.value for each in found} == {"signal/step": 3, "signal/kappa_train": 5}
    folder = tmp_path / "artifacts"
    folder.mkdir()
    write_artifacts(record, folder)
    assert {path.name for path in folder.iterdir()} == {"config.json", "extremes.png"}
