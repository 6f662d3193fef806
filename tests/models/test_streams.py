"""Fits on Parquet files that are never all in memory: which table they are fits of, to the bit."""

import numpy as np
import pandas as pd
import pytest

from pellucid import (
    MLPClassifier,
    MLPRegressor,
    Network,
    ParquetStream,
    TabularClassifier,
    fit_together,
)
from pellucid.engine.blocks import block_order
from pellucid.models.streams import StreamRows, open_stream
from pellucid.nn import Activation, Adam, Dropout, Linear, OneCycle
from pellucid.nn.random import permutation
from pellucid.tables import TableError
from pellucid.tables.stream_reader import StreamReader

N = 600
COLUMNS = ["a", "b", "c"]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 3))
LABELS = np.where(X[:, 0] > 0.4, "high", np.where(X[:, 0] < -0.4, "low", "mid"))
TABLE = pd.DataFrame(X, columns=COLUMNS).assign(
    label=LABELS,
    two=X[:, 1] > 0,
    number=X[:, 0] - X[:, 1] ** 2,
    other=X[:, 2],
    flag=(X[:, 2] > 0.5).astype(int),
    flag_2=(X[:, 0] > X[:, 1]).astype(int),
    # Numbers whose sums are exact in any order, so that their mean does not depend on it.
    w=RNG.integers(0, 8, N) / 4,
)
BATCH = 32

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "table.parquet"
    TABLE.to_parquet(path, row_group_size=70)
    return path


def stream(path, target, buffer_rows=200, **options):
    return ParquetStream(path, target, columns=COLUMNS, buffer_rows=buffer_rows, **options)


def classifier(**options):
    options = {"max_iter": 3, "batch_size": BATCH, "random_state": 0, **options}
    return MLPClassifier((12,), **options)


def regressor(**options):
    options = {"max_iter": 3, "batch_size": BATCH, "random_state": 0, **options}
    return MLPRegressor(hidden_layer_sizes=(12,), **options)


def flat(model):
    return (model.parameters if isinstance(model, Network) else model.parameters_).flat


MODELS = {
    "three classes": (classifier, "label", {}, True),
    "two classes": (classifier, "two", {"dropout": 0.2, "weight_decay": 0.01}, True),
    "balanced": (classifier, "label", {"class_weight": "balanced"}, True),
    "class weights": (classifier, "two", {"class_weight": {True: 2, False: 0.5}}, False),
    "several labels": (classifier, ["flag", "flag_2"], {"label_smoothing": 0.1}, False),
    "a number": (regressor, "number", {"solver": "sgd", "learning_rate": "invscaling"}, True),
    "numbers": (regressor, ["number", "other"], {"schedule": "one_cycle"}, False),
    "float32": (regressor, "number", {"dtype": "float32", "normalization": "batch"}, False),
}


def fits(name, path, buffer_rows, **options):
    """Return a fit on the stream and one on the same table in memory."""
    make, target, own, weighted = MODELS[name]
    weight = "w" if weighted else None
    rows = stream(path, target, buffer_rows, sample_weight=weight)
    y = TABLE[target].to_numpy()
    on_table = make(**own, **options).fit(TABLE[COLUMNS], y, TABLE["w"] if weighted else None)
    return make(**own, **options).fit(rows), on_table


@pytest.mark.parametrize("name", MODELS)
def test_a_buffer_for_all_rows_gives_the_fit_in_memory(name, path):
    on_stream, on_table = fits(name, path, buffer_rows=N)
    np.testing.assert_array_equal(flat(on_stream), flat(on_table))
    assert on_stream.loss_curve_ == on_table.loss_curve_


@pytest.mark.parametrize("buffer_rows", [1, 64, 250])
@pytest.mark.parametrize("name", MODELS)
def test_without_shuffling_every_buffer_gives_the_fit_in_memory(name, buffer_rows, path):
    on_stream, on_table = fits(name, path, buffer_rows, shuffle=False)
    np.testing.assert_array_equal(flat(on_stream), flat(on_table))
    np.testing.assert_allclose(on_stream.loss_curve_, on_table.loss_curve_, rtol=1e-12)
    assert on_stream.t_ == on_table.t_ == 3 * N
    assert on_stream.feature_names_in_.tolist() == COLUMNS
    np.testing.assert_array_equal(
        on_stream.predict(TABLE[COLUMNS]), on_table.predict(TABLE[COLUMNS])
    )
    if isinstance(on_stream, MLPClassifier):
        assert on_stream.classes_.tolist() == on_table.classes_.tolist()
        assert on_stream.classes_.dtype == on_table.classes_.dtype


@pytest.mark.parametrize("buffer_rows", [100, 250])
def test_an_epoch_is_the_row_groups_in_random_order_shuffled_in_the_buffer(buffer_rows, path):
    opened = open_stream(stream(path, "number", buffer_rows), None, None, labels=False)
    rows = StreamRows(opened, np.asarray, batch_size=BATCH, seed=5)
    for epoch in (0, 1):
        groups = permutation(5, epoch, 9)
        visited = np.concatenate([np.arange(N)[70 * g : 70 * g + 70] for g in groups])
        size = buffer_rows // BATCH * BATCH
        for i, (data, order) in enumerate(rows.epoch(epoch)):
            here = visited[i * size : (i + 1) * size]
            np.testing.assert_array_equal(data.X, X[here])
            np.testing.assert_array_equal(data.targets, TABLE["number"].to_numpy()[here])
            np.testing.assert_array_equal(order, block_order(5, epoch, i, len(here)))
            assert sorted(order) == list(range(len(here)))
        assert (i + 1) * size >= N


def network(n_outputs=3, loss="softmax_cross_entropy", **options):
    layers = [Linear(12), Activation("relu"), Dropout(0.2), Linear(n_outputs)]
    return Network(layers, loss, **options)


OPTIONS = {
    "epochs": 3,
    "batch_size": BATCH,
    "optimizer": Adam(1e-2),
    "schedule": OneCycle(),
    "dropout_schedule": OneCycle(),
}
NETWORKS = {
    "labels": ("label", 3, "softmax_cross_entropy", {"class_weight": "balanced"}),
    "two labels": ("two", 1, "logistic_cross_entropy", {"class_weight": {True: 3, False: 1}}),
    "indicators": (["flag", "flag_2"], 2, "logistic_cross_entropy", {}),
    "number": ("number", 1, "half_squared_error", {"l2_penalty": 0.01}),
    "numbers": (["number", "other"], 2, "huber", {}),
}


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_without_shuffling_are_those_fitted_in_memory(name, engine, path):
    target, n_outputs, loss, own = NETWORKS[name]
    options = {**OPTIONS, **own, "shuffle": False}
    y, w = TABLE[target].to_numpy(), TABLE["w"].to_numpy()
    on_table = network(n_outputs, loss, engine=engine).fit(X, y, sample_weight=w, **options)
    for buffer_rows in (100, N):
        rows = stream(path, target, buffer_rows, sample_weight="w")
        on_stream = network(n_outputs, loss, engine=engine).fit(rows, **options)
        if "class_weight" in own:  # whose sums are not exact
            np.testing.assert_allclose(flat(on_stream), flat(on_table), rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(flat(on_stream), flat(on_table))
        losses = on_stream.history["loss"], on_table.history["loss"]
        np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("make", [network, classifier])
def test_the_same_seed_gives_the_same_fit_for_any_number_of_threads(make, path):
    def fit(seed, n_threads):
        if make is classifier:
            return make(random_state=seed, n_threads=n_threads).fit(stream(path, "label"))
        return make().fit(stream(path, "label"), seed=seed, n_threads=n_threads, **OPTIONS)

    first = flat(fit(0, 1))
    np.testing.assert_array_equal(flat(fit(0, 2)), first)
    np.testing.assert_array_equal(flat(fit(0, None)), first)
    assert (flat(fit(1, 1)) != first).any()


def test_each_epoch_has_an_order_of_its_own(path):
    model = classifier(max_iter=2, learning_rate_init=1e-12).fit(stream(path, "label"))
    unmoved = classifier(max_iter=2, learning_rate_init=1e-12, shuffle=False)
    unmoved.fit(stream(path, "label"))
    assert model.loss_curve_[0] == pytest.approx(unmoved.loss_curve_[0], rel=1e-9)
    assert (flat(model) != flat(unmoved)).any()


def test_partial_fit_over_the_blocks_is_an_epoch_without_shuffling(path):
    rows = stream(path, "label", buffer_rows=200)
    whole = classifier(max_iter=1, shuffle=False, batch_size=50).fit(rows)
    parts = classifier(max_iter=1, shuffle=False, batch_size=50)
    for block in rows.blocks(batch_size=50):
        parts.partial_fit(block.X, block.y, classes=np.unique(LABELS))
    np.testing.assert_array_equal(flat(parts), flat(whole))


def test_rows_to_validate_on(path):
    val = TABLE.iloc[:100]
    model = classifier(max_iter=5, early_stopping=True)
    model.fit(stream(path, "label"), X_val=val[COLUMNS], y_val=val["label"])
    assert len(model.validation_scores_) == 5
    assert max(model.validation_scores_) == model.score(val[COLUMNS], val["label"])
    trained = network().fit(
        stream(path, "label"), X_val=X[:100], y_val=LABELS[:100], patience=2, **OPTIONS
    )
    lowest = min(trained.history["validation_loss"])
    assert trained.evaluate(X[:100], LABELS[:100])["loss"] == pytest.approx(lowest, rel=1e-6)


def test_warm_start_goes_on(path):
    model = classifier(max_iter=2, warm_start=True).fit(stream(path, "label"))
    first = model.loss_
    model.fit(stream(path, "label"))
    assert model.loss_ < first
    assert len(model.loss_curve_) == 4
    trained = network().fit(stream(path, "label"), **OPTIONS)
    first = trained.history["loss"][-1]
    trained.fit(stream(path, "label"), warm_start=True, epochs=3, optimizer=Adam(1e-2))
    assert trained.history["loss"][-1] < first
    assert len(trained.history["loss"]) == 6


def test_a_fit_goes_on_from_its_checkpoint(path, tmp_path):
    rows = stream(path, "label", sample_weight="w")
    options = {"batch_size": BATCH, "seed": 3}
    whole = network().fit(rows, epochs=4, **options)
    network().fit(rows, epochs=2, checkpoint_path=tmp_path, **options)
    resumed = network().resume(rows, epochs=2, checkpoint_path=tmp_path, **options)
    np.testing.assert_array_equal(flat(resumed), flat(whole))
    options = {"tol": 0.0, "checkpoint_path": tmp_path / "perceptron"}
    whole = classifier(max_iter=4).fit(rows)
    classifier(max_iter=2, **options).fit(rows)
    resumed = classifier(max_iter=2, **options).resume(rows, max_iter=2)
    np.testing.assert_array_equal(flat(resumed), flat(whole))
    with pytest.raises(ValueError, match="X was a stream of 600 rows with checksum"):
        classifier(max_iter=2, **options).resume(stream(path, "label"), max_iter=2)


def test_a_checkpoint_of_another_stream_is_refused(path, tmp_path):
    options = {"batch_size": BATCH, "seed": 3}
    rows = stream(path, "label", sample_weight="w")
    network().fit(rows, epochs=1, checkpoint_path=tmp_path, **options)
    others = [stream(path, "label"), stream(path, "label", 300, sample_weight="w")]
    for other in others:
        with pytest.raises(ValueError, match="X was a stream of 600 rows with checksum"):
            network().resume(other, checkpoint_path=tmp_path, **options)


def test_several_networks_at_once(path):
    alone = [network().fit(stream(path, "label"), seed=seed, **OPTIONS) for seed in (0, 1)]
    together = [network(), network()]
    fit_together(together, stream(path, "label"), None, [{"seed": 0}, {"seed": 1}], **OPTIONS)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(flat(one), flat(other))


def test_labels_that_are_known_need_no_first_pass(path, monkeypatch):
    def forbidden(self):
        raise AssertionError("the labels were known")

    classes = sorted({*LABELS, "never"})
    with_rare = classifier(class_weight={"high": 2.0})
    with_rare.fit(stream(path, "label", classes=classes))
    assert with_rare.classes_.tolist() == classes
    monkeypatch.setattr(StreamReader, "summarize", forbidden)
    model = classifier().fit(stream(path, "label", classes=classes))
    assert model.classes_.tolist() == classes
    trained = network(4).fit(stream(path, "label"), classes=classes, **OPTIONS)
    assert trained.classes_.tolist() == classes
    before = flat(model).copy()
    with pytest.raises(TableError, match=r"row group 0: the target has labels .* \['mid'\]"):
        model.fit(stream(path, "label", classes=["high", "low"]))
    np.testing.assert_array_equal(flat(model), before)
    with pytest.raises(TableError, match=r"labels that the network does not know: \['mid'\]"):
        network(2).fit(stream(path, "label"), classes=["high", "low"], **OPTIONS)


@pytest.mark.parametrize("buffer_rows", [200, N, 10 * N])
def test_classes_count_whatever_the_buffer_takes(path, buffer_rows):
    def some(classes):
        return stream(path, "label", buffer_rows, classes=classes)

    classes = ["high", "low", "mid", "never"]
    assert classifier().fit(some(classes)).classes_.tolist() == classes
    assert network(4).fit(some(classes), **OPTIONS).classes_.tolist() == classes
    with pytest.raises(TableError, match=r"labels that are not among the classes: \['mid'\]"):
        classifier().fit(some(["high", "low"]))
    with pytest.raises((TableError, ValueError), match="'mid'"):
        network(2).fit(some(["high", "low"]), **OPTIONS)


def test_validation_rows_are_no_stream(path):
    rows = stream(path, "label")
    with pytest.raises(ValueError, match="X_val must be rows in memory, got a ParquetStream"):
        classifier().fit(rows, X_val=rows, y_val=LABELS)


def test_classes_that_lack_a_label_are_told_in_the_first_pass(path):
    with pytest.raises(ValueError, match=r"classes must have all labels .* without \['mid'\]"):
        classifier(class_weight="balanced").fit(stream(path, "label", classes=["high", "low"]))


def ends_early(monkeypatch, after):
    """Let the file end early in the second block of the epoch of that number."""
    whole, epochs = StreamReader.blocks, []

    def blocks(self, *arguments):
        epochs.append(None)
        for i, block in enumerate(whole(self, *arguments)):
            if len(epochs) > after and i == 1:
                raise TableError("table.parquet, row group 3 is damaged or ends early")
            yield block

    monkeypatch.setattr(StreamReader, "blocks", blocks)


def test_a_file_that_ends_early_leaves_the_last_finished_epoch(path, monkeypatch):
    expected = classifier(max_iter=2).fit(stream(path, "label"))
    expected_network = network().fit(stream(path, "label"), epochs=2, batch_size=BATCH)
    ends_early(monkeypatch, after=2)
    model = classifier(max_iter=5)
    with pytest.raises(TableError, match="row group 3 is damaged"):
        model.fit(stream(path, "label"))
    np.testing.assert_array_equal(flat(model), flat(expected))
    assert model.n_iter_ == 2
    monkeypatch.undo()
    ends_early(monkeypatch, after=2)
    trained = network()
    with pytest.raises(TableError, match="row group 3 is damaged"):
        trained.fit(stream(path, "label"), epochs=5, batch_size=BATCH)
    np.testing.assert_array_equal(flat(trained), flat(expected_network))
    assert len(trained.history["loss"]) == 2


def test_a_file_that_ends_in_the_first_epoch_leaves_the_model_as_it_was(path, monkeypatch):
    fitted = classifier().fit(stream(path, "label"))
    before = flat(fitted).copy()
    trained = network().fit(stream(path, "label"), **OPTIONS)
    before_network = flat(trained).copy()
    ends_early(monkeypatch, after=0)
    fresh = classifier()
    for model in (fresh, fitted):
        with pytest.raises(TableError, match="ends early"):
            model.fit(stream(path, "label"))
    assert not hasattr(fresh, "coefs_")
    np.testing.assert_array_equal(flat(fitted), before)
    with pytest.raises(TableError, match="ends early"):
        trained.fit(stream(path, "label"), **OPTIONS)
    np.testing.assert_array_equal(flat(trained), before_network)


@pytest.mark.parametrize("buffer_rows", [200, N])
def test_what_a_stream_cannot_do_is_told(buffer_rows, path):
    rows = stream(path, "label", buffer_rows)
    numbers = stream(path, "number", buffer_rows)

    def refused(text, model, *arguments, **options):
        with pytest.raises(ValueError, match=text):
            model.fit(*arguments, **options)

    refused("early_stopping=True .* pass X_val and y_val", classifier(early_stopping=True), rows)
    refused("solver='lbfgs' .* set solver='adam'", classifier(solver="lbfgs"), rows)
    refused("y comes from the stream", classifier(), rows, LABELS)
    refused("sample_weight comes from the stream", regressor(), numbers, None, np.ones(N))
    refused("target column 'label' holds text", regressor(), rows)
    refused("continuous", classifier(), numbers)
    refused("loss='poisson' needs y >= 0", regressor(loss="poisson"), numbers)
    weightless = stream(path, "label", buffer_rows, sample_weight="zero")
    refused("has no column 'zero'", classifier(), weightless)
    refused("rows_val needs all rows .* pass X_val", network(), rows, rows_val=[1])
    refused("rows needs all rows", network(), rows, rows=[1])
    refused("record needs all rows", network(), rows, record=1)
    refused("y comes from the stream", network(), rows, LABELS)
    refused("sample_weight comes", network(), rows, sample_weight=np.ones(N))
    refused("class_weight needs", network(1, "huber"), numbers, class_weight="balanced")
    refused("y has 3 labels and the network 2", network(2), rows)
    refused("patience .* pass X_val", network(), rows, patience=3)
    fitted = regressor().fit(numbers)
    trained = network().fit(rows, epochs=1)
    for call in (fitted.predict, trained.predict, trained.forward):
        with pytest.raises(ValueError, match=r"for block in stream\.blocks"):
            call(rows)
    with pytest.raises(ValueError, match=r"for block in stream\.blocks"):
        TabularClassifier().fit(rows, None)
    for model in (classifier(), regressor()):
        with pytest.raises(ValueError, match=r"for block in stream\.blocks"):
            model.partial_fit(rows, None)


def test_weights_that_are_all_zero(tmp_path):
    TABLE.assign(w=0.0).to_parquet(tmp_path / "t.parquet", row_group_size=100)
    for model, target in ((classifier(), "label"), (regressor(), "number"), (network(), "label")):
        rows = stream(tmp_path / "t.parquet", target, sample_weight="w")
        with pytest.raises(ValueError, match="'w' must contain at least one number above zero"):
            model.fit(rows)


def test_a_column_of_several_labels_holds_zeros_and_ones(tmp_path):
    TABLE.assign(flag_2=2 * TABLE["flag_2"]).to_parquet(tmp_path / "t.parquet", row_group_size=99)
    with pytest.raises(TableError, match=r"row group \d: the columns .* zeros and ones, got \[2\]"):
        classifier().fit(stream(tmp_path / "t.parquet", ["flag", "flag_2"]))


def test_a_table_without_y_is_told():
    with pytest.raises(ValueError, match="requires y to be passed"):
        classifier().fit(TABLE[COLUMNS])
    with pytest.raises(ValueError, match="Only a ParquetStream needs none"):
        network().fit(X)
