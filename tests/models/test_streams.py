"""Fits on Parquet files that are never all in memory: which table they are fits of, to the bit."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest

from pellucid import (
    MLPClassifier,
    MLPRegressor,
    Network,
    ParquetStream,
    TabularClassifier,
    TabularRegressor,
    fit_together,
)
from pellucid.engine.blocks import block_order
from pellucid.models.streams import StreamRows, open_stream
from pellucid.nn import Activation, Dropout, Linear, OneCycle
from pellucid.nn.random import permutation
from pellucid.tables import TableError

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


def network(n_outputs=3, loss="softmax_cross_entropy", **options):
    layers = [Linear(12), Activation("relu"), Dropout(0.2), Linear(n_outputs)]
    options = {
        "max_iter": 3,
        "batch_size": BATCH,
        "learning_rate_init": 1e-2,
        "random_state": 0,
        **options,
    }
    return Network(layers, loss, **options)


def flat(model):
    return model.parameters_.flat


#: One that takes the labels of the stream, of each family.
each_make = pytest.mark.parametrize("make", [classifier, network])


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
        for i, (data, order) in enumerate(rows.blocks(epoch)):
            here = visited[i * size : (i + 1) * size]
            np.testing.assert_array_equal(data.X, X[here])
            np.testing.assert_array_equal(data.targets, TABLE["number"].to_numpy()[here])
            np.testing.assert_array_equal(order, block_order(5, epoch, i, len(here)))
            assert sorted(order) == list(range(len(here)))
        assert (i + 1) * size >= N


SCHEDULES = {"schedule": {"learning_rate": OneCycle(), "dropout": OneCycle()}}
NETWORKS = {
    "labels": ("label", 3, "softmax_cross_entropy", {"class_weight": "balanced"}),
    "two labels": ("two", 1, "logistic_cross_entropy", {"class_weight": {True: 3, False: 1}}),
    "indicators": (["flag", "flag_2"], 2, "logistic_cross_entropy", {}),
    "number": ("number", 1, "half_squared_error", {"alpha": 0.01}),
    "numbers": (["number", "other"], 2, "huber", {}),
}


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_without_shuffling_are_those_fitted_in_memory(name, engine, path):
    target, n_outputs, loss, own = NETWORKS[name]
    options = {**SCHEDULES, **own, "engine": engine, "shuffle": False}
    y, w = TABLE[target].to_numpy(), TABLE["w"].to_numpy()
    on_table = network(n_outputs, loss, **options).fit(X, y, sample_weight=w)
    for buffer_rows in (100, N):
        rows = stream(path, target, buffer_rows, sample_weight="w")
        on_stream = network(n_outputs, loss, **options).fit(rows)
        if "class_weight" in own:  # whose sums are not exact
            np.testing.assert_allclose(flat(on_stream), flat(on_table), rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(flat(on_stream), flat(on_table))
        np.testing.assert_allclose(on_stream.loss_curve_, on_table.loss_curve_, rtol=1e-5)
        assert on_stream.feature_names_in_.tolist() == COLUMNS


@each_make
def test_the_same_seed_gives_the_same_fit_for_any_number_of_threads(make, path):
    def fit(seed, n_threads):
        return make(random_state=seed, n_threads=n_threads).fit(stream(path, "label"))

    first = flat(fit(0, 1))
    np.testing.assert_array_equal(flat(fit(0, 2)), first)
    np.testing.assert_array_equal(flat(fit(0, None)), first)
    assert (flat(fit(1, 1)) != first).any()


@each_make
def test_each_epoch_has_an_order_of_its_own(make, path):
    model = make(max_iter=2, learning_rate_init=1e-9).fit(stream(path, "label"))
    unmoved = make(max_iter=2, learning_rate_init=1e-9, shuffle=False)
    unmoved.fit(stream(path, "label"))
    assert (flat(model) != flat(unmoved)).any()


def test_partial_fit_over_the_blocks_is_an_epoch_without_shuffling(path):
    rows = stream(path, "label", buffer_rows=200)
    whole = classifier(max_iter=1, shuffle=False, batch_size=50).fit(rows)
    parts = classifier(max_iter=1, shuffle=False, batch_size=50)
    for block in rows.blocks(batch_size=50):
        parts.partial_fit(block.X, block.y, classes=np.unique(LABELS))
    np.testing.assert_array_equal(flat(parts), flat(whole))


@each_make
def test_rows_to_validate_on(make, path):
    val = TABLE.iloc[:100]
    model = make(max_iter=5, scoring="accuracy")
    model.fit(stream(path, "label"), X_val=val[COLUMNS], y_val=val["label"])
    assert len(model.validation_scores_) == 5
    assert max(model.validation_scores_) == model.score(val[COLUMNS], val["label"])
    early = classifier(max_iter=5, early_stopping=True)
    early.fit(stream(path, "label"), X_val=val[COLUMNS], y_val=val["label"])
    assert len(early.validation_scores_) == 5


@each_make
def test_warm_start_goes_on(make, path):
    model = make(max_iter=2, warm_start=True).fit(stream(path, "label"))
    first = model.loss_
    model.fit(stream(path, "label"))
    assert model.loss_ < first
    assert len(model.loss_curve_) == 4


@each_make
def test_a_fit_goes_on_from_its_checkpoint(make, path, tmp_path):
    rows = stream(path, "label", sample_weight="w")
    settings = {"tol": 0.0, "checkpoint_path": tmp_path}
    whole = make(max_iter=4, tol=0.0).fit(rows)
    make(max_iter=2, **settings).fit(rows)
    resumed = make(max_iter=2, **settings).resume(rows, max_iter=4)
    np.testing.assert_array_equal(flat(resumed), flat(whole))
    assert resumed.loss_curve_ == whole.loss_curve_


@each_make
def test_a_checkpoint_of_another_stream_is_refused(make, path, tmp_path):
    make(checkpoint_path=tmp_path).fit(stream(path, "label", sample_weight="w"))
    others = [
        stream(path, "label"),
        stream(path, "label", 300, sample_weight="w"),
        stream(path, "label", sample_weight="w", classes=["high", "low", "mid"]),
    ]
    for other in others[:2]:
        with pytest.raises(ValueError, match="X was a stream of 600 rows with checksum"):
            make(checkpoint_path=tmp_path).resume(other)
    with pytest.raises(
        ValueError, match=r"X was a stream of 600 rows .* and is float64 \(600, 3\)"
    ):
        make(checkpoint_path=tmp_path).resume(X, LABELS)


def test_several_models_at_once(path):
    makes = [network, network, classifier]
    alone = [make(random_state=i).fit(stream(path, "label")) for i, make in enumerate(makes)]
    together = [make(random_state=i) for i, make in enumerate(makes)]
    fit_together(together, stream(path, "label"), None)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(flat(one), flat(other))


@each_make
def test_labels_that_are_known_need_no_first_pass(make, path):
    """Those that lack one are only noticed where it comes, in the first row group."""
    four = ["high", "low", "mid", "never"]
    own = {"n_outputs": 4} if make is network else {}
    model = make(**own).fit(stream(path, "label", classes=four))
    assert model.classes_.tolist() == four
    before = flat(model).copy()
    if make is network:
        model = network(2)
    with pytest.raises(TableError, match=r"row group \d: .*has classes not in .*\['mid'\]"):
        model.fit(stream(path, "label", classes=["high", "low"]))
    if make is classifier:
        np.testing.assert_array_equal(flat(model), before)
    weighted = make(class_weight={"high": 2.0}, **own).fit(stream(path, "label", classes=four))
    assert weighted.classes_.tolist() == four


def test_a_network_is_told_the_labels_in_fit(path):
    trained = network(4).fit(stream(path, "label"), classes=["high", "low", "mid", "never"])
    assert trained.classes_.tolist() == ["high", "low", "mid", "never"]
    with pytest.raises(TableError, match=r"\['mid'\]"):
        network(2).fit(stream(path, "label"), classes=["high", "low"])


@pytest.mark.parametrize("buffer_rows", [200, N, 10 * N])
def test_classes_count_whatever_the_buffer_takes(path, buffer_rows):
    def some(classes):
        return stream(path, "label", buffer_rows, classes=classes)

    classes = ["high", "low", "mid", "never"]
    assert classifier().fit(some(classes)).classes_.tolist() == classes
    assert network(4).fit(some(classes)).classes_.tolist() == classes
    with pytest.raises(TableError, match=r"has classes not in .*\['mid'\]"):
        classifier().fit(some(["high", "low"]))
    with pytest.raises((TableError, ValueError), match="'mid'"):
        network(2).fit(some(["high", "low"]))


@each_make
def test_validation_rows_are_no_stream(make, path):
    rows = stream(path, "label")
    with pytest.raises(ValueError, match="X_val must be rows in memory, got a ParquetStream"):
        make().fit(rows, X_val=rows, y_val=LABELS)


@each_make
def test_classes_that_lack_a_label_are_told_in_the_first_pass(make, path):
    own = {"n_outputs": 2} if make is network else {}
    with pytest.raises(ValueError, match=r"classes must have all labels .* without \['mid'\]"):
        make(class_weight="balanced", **own).fit(stream(path, "label", classes=["high", "low"]))


def damage(path):
    """Damage the columns of a row group in the middle, as a disk does: nothing else changes."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        groups = file.metadata
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(groups.row_group(5).column(0).data_page_offset)
        file.write(b"\xff" * 64)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def remove(path):
    path.unlink()


def write_again(path):
    TABLE[::-1].to_parquet(path, row_group_size=70)


LOSSES_OF_FILES = {
    damage: "row group 5 is damaged|row group 5",
    remove: "does not exist or was deleted",
    write_again: "changed",
}


@pytest.fixture
def copied(path, tmp_path):
    return shutil.copy2(path, tmp_path / "copied.parquet")


@pytest.mark.parametrize("happens", LOSSES_OF_FILES)
@each_make
def test_a_file_that_breaks_leaves_the_last_finished_epoch(make, happens, path, copied):
    expected = make(max_iter=2, shuffle=False).fit(stream(path, "label"))

    def after(report):
        if report.epoch == 2:
            happens(copied)

    model = make(max_iter=5, shuffle=False, callbacks=[after])
    with pytest.raises(TableError, match=LOSSES_OF_FILES[happens]):
        model.fit(stream(copied, "label"))
    np.testing.assert_array_equal(flat(model), flat(expected))
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert model.outcome_ is None


@each_make
def test_a_file_that_is_damaged_in_the_first_epoch_leaves_the_model_as_it_was(make, path, copied):
    fitted = make(shuffle=False).fit(stream(path, "label"))
    before = flat(fitted).copy()
    damage(copied)  # the columns of X, which the first pass does not read
    fresh = make(shuffle=False)
    for model in (fresh, fitted):
        known = {name: id(value) for name, value in vars(model).items()}
        with pytest.raises(TableError, match="row group 5"):
            model.fit(stream(copied, "label"))
        assert {name: id(value) for name, value in vars(model).items()} == known
    np.testing.assert_array_equal(flat(fitted), before)


@pytest.mark.parametrize("buffer_rows", [200, N])
def test_what_a_stream_cannot_do_is_told(buffer_rows, path):
    rows = stream(path, "label", buffer_rows)
    numbers = stream(path, "number", buffer_rows)

    def refused(text, model, *arguments, **options):
        with pytest.raises(ValueError, match=text):
            model.fit(*arguments, **options)

    refused("early_stopping=True .* pass X_val and y_val", classifier(early_stopping=True), rows)
    refused("solver='lbfgs' .* set solver='adam'", classifier(solver="lbfgs"), rows)
    refused("target column 'label' holds text", regressor(), rows)
    refused("continuous", classifier(), numbers)
    refused("loss='poisson' needs (y|the target) >= 0", regressor(loss="poisson"), numbers)
    refused("rows_val needs all rows .* pass X_val", network(), rows, rows_val=[1])
    refused("rows needs all rows", network(), rows, rows=[1])
    refused("record needs all rows", network(record=1), rows)
    refused("class_weight.* needs", network(1, "huber", class_weight="balanced"), numbers)
    refused("y has 3 labels and the network 2", network(2), rows)
    for make in (classifier, network):
        refused("y comes from the stream", make(), rows, LABELS)
        refused("sample_weight comes from the stream", make(), rows, None, np.ones(N))
        refused("scoring.* needs rows to score", make(scoring="accuracy"), rows)
        refused("has no column 'zero'", make(), stream(path, "label", sample_weight="zero"))
    refused("sample_weight comes from the stream", regressor(), numbers, None, np.ones(N))
    fitted = regressor().fit(numbers)
    trained = network().fit(rows)
    for call in (fitted.predict, trained.predict, trained.forward):
        with pytest.raises(ValueError, match=r"for block in stream\.blocks"):
            call(rows)
    for model in (classifier(), regressor()):
        with pytest.raises(ValueError, match=r"for block in stream\.blocks"):
            model.partial_fit(rows, None)


@pytest.mark.parametrize("make", [TabularClassifier, TabularRegressor])
def test_tabular_estimators_say_that_they_take_no_stream(make, path, tmp_path):
    rows = stream(path, "label" if make is TabularClassifier else "number")
    message = f"{make.__name__} learns the columns from a table in memory, got a ParquetStream; "
    message += "pass a DataFrame, or train MLPClassifier, MLPRegressor or Network on the stream"
    for model in (make(), make(checkpoint_path=tmp_path)):
        for given in ((rows,), (rows, TABLE["label"])):
            with pytest.raises(ValueError, match=message):
                model.fit(*given)
    y = TABLE["label"] if make is TabularClassifier else TABLE["number"]
    model = make(max_iter=1).fit(TABLE[COLUMNS], y)
    with pytest.raises(ValueError, match="ParquetStream"):
        model.predict(rows)
    with pytest.raises(ValueError, match="X_val must be rows in memory, got a ParquetStream"):
        make(max_iter=1).fit(TABLE[COLUMNS], y, X_val=rows, y_val=y)


def test_weights_that_are_all_zero(tmp_path):
    TABLE.assign(w=0.0).to_parquet(tmp_path / "t.parquet", row_group_size=100)
    for model, target in ((classifier(), "label"), (regressor(), "number"), (network(), "label")):
        rows = stream(tmp_path / "t.parquet", target, sample_weight="w")
        with pytest.raises(ValueError, match="'w' must contain at least one number above zero"):
            model.fit(rows)


@pytest.mark.parametrize("other", [0.5, 2, -1])
def test_a_column_of_several_labels_holds_zeros_and_ones(tmp_path, other):
    table = TABLE.assign(flag_2=other * TABLE["flag_2"])
    table.to_parquet(tmp_path / "t.parquet", row_group_size=99)
    rows = stream(tmp_path / "t.parquet", ["flag", "flag_2"])
    with pytest.raises(TableError, match=rf"row group \d: .* zeros and ones, got \[{other}"):
        classifier().fit(rows)


@pytest.mark.parametrize("make", [classifier, regressor, network])
def test_a_table_without_y_is_told(make):
    with pytest.raises(ValueError, match=r"requires y|Only a ParquetStream"):
        make().fit(TABLE[COLUMNS])
