"""`pellucid export`."""

import numpy as np
import pytest

from pellucid import load

TRAIN = ("train", "train.csv", "--target", "kind", "--test-table", "test.csv", "--out")


def test_export_writes_what_onnx_runtime_reads(run, parts):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnx and onnxruntime")
    run(*TRAIN, "m.pellucid", "--epochs", 2)
    assert "Wrote m.onnx" in run("export", "m.pellucid", "--onnx", "m.onnx").output
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    X = parts[320:].drop(columns="kind")
    feed = {
        one.name: X[[one.name]].to_numpy(np.float64 if "double" in one.type else object)
        for one in session.get_inputs()
    }
    labels, probabilities = session.run(["label", "probabilities"], feed)
    model = load("m.pellucid")
    np.testing.assert_array_equal(labels.ravel(), model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
