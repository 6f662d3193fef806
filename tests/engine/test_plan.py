import numpy as np
import pytest
import scipy.sparse

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import SGD

X, LABELS = np.ones((3, 2)), np.zeros(3, dtype=np.int64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer, got 0"),
        ({"batch_size": 2.5}, r"batch_size must be a positive integer, got 2\.5"),
        ({"batch_size": 5, "l2_penalty": -1.0}, r"l2_penalty must be at least 0, got -1\.0"),
        ({"batch_size": 5, "l2_penalty": np.nan}, "l2_penalty must be at least 0, got nan"),
        ({"batch_size": 5, "seed": -1}, r"seed must be at least 0 and below 2\*\*64, got -1"),
        ({"batch_size": 5, "dtype": "float16"}, "float64, bfloat16, or None; got 'float16'"),
    ],
)
def test_a_plan_says_what_is_wrong_with_it(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingPlan(SGD(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, r"optimizer must be .* nn\.Adam\(1e-3\), got 'adam'"),
        ({"optimizer": SGD}, "optimizer must be .* got <class"),
        ({"clipping": 1.0}, r"clipping must be .* nn\.ClipByGlobalNorm\(1\.0\), got 1\.0"),
        ({"schedule": 3}, r"schedule must be .* nn\.OneCycle\(\), got 3"),
        ({"dropout_schedule": 3}, "dropout_schedule must be"),
        ({"l2_penalty": "a"}, "l2_penalty must be a number of at least 0, got 'a'"),
        ({"statistics_every": 2.5}, r"statistics_every must be an integer or None, got 2\.5"),
        ({"learning_rate_factors": 3}, "learning_rate_factors must be a mapping .* got 3"),
    ],
)
def test_a_plan_names_what_is_of_another_kind(options, message):
    with pytest.raises(TypeError, match=message):
        TrainingPlan(**{"optimizer": SGD(), "batch_size": 5, "n_epochs": 2, **options})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[0], LABELS), r"X must have shape \(n, fan_in\), got \(2,\)"),
        ((X, LABELS[:2]), r"targets must have 3 rows like X, got shape \(2,\)"),
        ((X, LABELS, np.ones(4)), r"sample_weight must have shape \(3,\), got \(4,\)"),
        ((X, LABELS, None, 0.0), r"weight_scale must be above 0, got 0\.0"),
    ],
)
def test_data_says_what_is_wrong_with_it(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingData(*arguments)


def test_sparse_data_must_be_csr():
    assert TrainingData(scipy.sparse.csr_array(X), LABELS).n_examples == 3
    with pytest.raises(TypeError, match=r"of format 'csc'; call X\.tocsr\(\) first"):
        TrainingData(scipy.sparse.csc_array(X), LABELS)


def test_data_is_not_copied():
    assert TrainingData(X, LABELS).X is X


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.array([0, 3]), "rows must name rows 0 to 2 of X, got 0 to 3"),
        (np.array([-1]), "got -1 to -1"),
        (np.array([], dtype=np.int64), "at least one"),
        (np.array([0.0]), "int64"),
        (np.array([[0]]), "vector"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        TrainingData(X, LABELS, rows=rows)


def test_examples_are_the_rows_chosen():
    data = TrainingData(X, LABELS, np.array([0.5, 1.0, 1.5]), rows=np.array([2, 0]))
    assert data.n_examples == 2
    assert data.in_order(np.array([1, 0, 0])).tolist() == [0, 2, 2]
    gathered = data.gathered()
    np.testing.assert_array_equal(gathered.X, X[[2, 0]])
    assert gathered.targets.tolist() == LABELS[[2, 0]].tolist()
    assert gathered.sample_weight.tolist() == [1.5, 0.5]
    assert gathered.rows is None
    assert TrainingData(X, LABELS).gathered().X is X
