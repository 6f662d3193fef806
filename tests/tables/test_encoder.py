import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from pellucid.tables import DataDriftWarning, TableEncoder, TableError, read_table, recognition
from pellucid.tables.conventions import NumberFormat


@pytest.fixture
def people():
    return pd.DataFrame(
        {
            "age": [20.0, None, 40.0, 30.0],
            "city": ["Rome", "Oslo", None, "Rome"],
            "member": [True, False, True, True],
        }
    )


def test_numbers_are_standardized_and_missing_ones_marked(people):
    encoder = TableEncoder(n_pieces=0)
    out = encoder.fit_transform(people)
    names = encoder.get_feature_names_out().tolist()
    assert names == ["age", "age_missing", "city_Oslo", "city_Rome", "city_(missing)", "member"]
    present = out[[0, 2, 3], 0].astype(float)
    assert present.mean() == pytest.approx(0, abs=1e-7)
    assert present.std() == pytest.approx(1, abs=1e-6)
    assert out[1, :2].tolist() == [0.0, 1.0]
    assert out[2, 2:5].tolist() == [0.0, 0.0, 1.0]


def test_output_is_float32_in_c_order(people):
    out = TableEncoder().fit(people).transform(people)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous


def test_rare_and_unseen_categories_share_a_slot():
    train = pd.DataFrame({"kind": ["a"] * 100 + ["b"] * 96 + ["c"] * 4})
    encoder = TableEncoder(min_count=5).fit(train)
    assert encoder.get_feature_names_out().tolist() == ["kind_a", "kind_b", "kind_(rare)"]
    out = encoder.transform(pd.DataFrame({"kind": ["a", "c", "never seen", None]}))
    assert out.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_unseen_category_without_rare_ones_is_all_zeros():
    encoder = TableEncoder().fit(pd.DataFrame({"kind": ["a", "b"] * 100}))
    assert encoder.transform(pd.DataFrame({"kind": ["z"]})).tolist() == [[0, 0]]


def test_at_most_max_categories():
    train = pd.DataFrame({"kind": [f"k{i % 30}" for i in range(3000)]})
    encoder = TableEncoder(max_categories=10).fit(train)
    assert len(encoder.get_feature_names_out()) == 11


@pytest.mark.filterwarnings("ignore::pellucid.DataDriftWarning")
@pytest.mark.parametrize(
    "column",
    [
        [1e30, -1e30, 0.0, 1.0],
        [np.inf, -np.inf, 0.0, 1.0],
        [1.7e308, -1.7e308, 0.0, 1.0],
        [5e-324, 0.0, 0.0, 1e-320],
        [np.nan, np.inf, np.nan, 1.0],
        [np.nan, np.inf, np.nan, np.inf],
        [1e16, 1e16 + 2, 1e16, 1e16 + 2],
    ],
)
def test_wide_numbers_give_finite_inputs(column):
    table = pd.DataFrame({"x": column, "y": [1.0, 2.0, 3.0, 4.0]})
    encoder = TableEncoder(n_pieces=4).fit(table)
    assert np.isfinite(encoder.transform(table)).all()
    extreme = pd.DataFrame({"x": [np.inf, -1e300, np.nan], "y": [1e300, np.nan, -np.inf]})
    assert np.isfinite(encoder.transform(extreme)).all()


def test_one_accident_does_not_flatten_the_others():
    x = np.random.default_rng(0).normal(size=1000)
    x[7] = 1e30
    out = TableEncoder().fit_transform(x.reshape(-1, 1))
    assert out[:7].std() > 0.01
    assert np.isfinite(out).all()


def test_pieces_divide_the_range():
    x = np.arange(1000.0) ** 2
    encoder = TableEncoder(n_pieces=4)
    out = encoder.fit_transform(x.reshape(-1, 1))
    pieces = out[:, 1:]
    edges = np.array(encoder.encodings_["x0"].edges)
    np.testing.assert_allclose(edges[0] + pieces @ np.diff(edges), x, atol=1, rtol=1e-5)
    assert ((pieces[:, :-1] == 1) | (pieces[:, 1:] == 0)).all(), "a piece fills before the next"


@pytest.mark.parametrize(("n_columns", "most"), [(2, 2 * 33), (100, 512 + 100), (600, 600)])
def test_wide_tables_get_fewer_pieces(n_columns, most):
    X = np.random.default_rng(0).normal(size=(300, n_columns))
    width = TableEncoder(n_pieces=16).fit_transform(X).shape[1]
    assert n_columns <= width <= most


def test_long_columns_are_divided_by_a_sample():
    x = np.random.default_rng(0).normal(size=(250_000, 1))
    edges = TableEncoder(n_pieces=2).fit(x).encodings_["x0"].edges
    assert min(edges) < -3.5
    assert any(abs(edge) < 0.02 for edge in edges), "the median is among the edges"


def test_dates_become_time_and_cycles():
    days = [dt.datetime(2020, 1, 1) + dt.timedelta(hours=7 * i) for i in range(2000)]
    encoder = TableEncoder().fit(pd.DataFrame({"at": days}))
    names = encoder.get_feature_names_out().tolist()
    assert names[0] == "at"
    assert {"at_day_of_year_sin", "at_day_of_week_cos", "at_time_of_day_sin"} <= set(names)
    with pytest.warns(DataDriftWarning, match="'at': 50 % of the cells are missing"):
        out = encoder.transform(pd.DataFrame({"at": [days[3], None]}))
    assert (np.abs(out[0, 1:]) <= 1).all()
    assert out[1].tolist() == [0.0] * len(names)


def test_text_and_real_dates_agree():
    texts = [f"2020-{m:02}-{d:02}" for m in range(1, 13) for d in range(1, 29)]
    one = TableEncoder().fit_transform(pd.DataFrame({"d": texts}))
    two = TableEncoder().fit_transform(pd.DataFrame({"d": pd.to_datetime(texts)}))
    three = TableEncoder().fit_transform(pl.DataFrame({"d": map(dt.date.fromisoformat, texts)}))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


def test_types_may_differ_between_fit_and_transform():
    train = pd.DataFrame({"n": ["1", "2.5", ""] * 9, "c": ["1", "2", "x"] * 9})
    encoder = TableEncoder().fit(train)
    text = encoder.transform(pd.DataFrame({"n": ["1", "?"], "c": ["1", "2"]}))
    numbers = encoder.transform(pd.DataFrame({"n": [1.0, np.nan], "c": [1, 2]}))
    np.testing.assert_array_equal(text, numbers)


def test_a_prediction_is_read_as_the_training_table_was():
    train = pd.DataFrame(
        {
            "price": ["1.200", "12,5", "7 €", "-"] * 25,
            "cost": ["0,5", "1", "2,25", "1.000"] * 25,
            "rate": ["1.25", "0.5", "3.125", "2"] * 25,
            "on": ["28/12/2020", "3/1/2020", "5/5/2019", None] * 25,
            "at": ["13:05", "1:05 AM", "23:59:30", "?"] * 25,
        }
    )
    encoder = TableEncoder().fit(train)
    assert encoder.conventions_.numbers == NumberFormat(",", ".")
    assert encoder.conventions_.day_first is True
    cells = {"price": "1.200", "cost": "1.000", "rate": "3.125", "on": "3/1/2020", "at": "1:05"}
    one = pd.DataFrame({name: [cell] for name, cell in cells.items()})
    same = pd.DataFrame(
        {
            "price": [1200.0],
            "cost": [1000.0],
            "rate": [3.125],
            "on": pd.to_datetime(["2020-01-03"]),
            "at": pd.to_datetime(["1970-01-01 01:05"]),
        }
    )
    restored = TableEncoder()._restore(encoder._to_state())
    assert restored.conventions_ == encoder.conventions_
    for known in (encoder, restored):
        np.testing.assert_array_equal(known.transform(one), known.transform(same))
    assert {"at_time_of_day_sin", "on_day_of_year_cos"} <= set(encoder.get_feature_names_out())


def test_numbers_of_a_column_that_also_holds_text_are_not_parsed():
    encoder = TableEncoder().fit(pd.DataFrame({"x": ["1,5", "2,25", "1.000"] * 9}))
    mixed = pd.DataFrame({"x": [1.125, "1.250", "1,125"]}, dtype=object)
    same = pd.DataFrame({"x": [1.125, 1250, 1.125]})
    np.testing.assert_array_equal(encoder.transform(mixed), encoder.transform(same))
    train = pd.DataFrame({"x": [1.125, 2.5] + ["12,5", "13,75"] * 20}, dtype=object)
    encoder = TableEncoder().fit(train)
    assert encoder.encodings_["x"].upper < 100


def test_a_row_is_read_alike_whatever_the_other_rows_are(write):
    versions = ["1.10", "1.1", "1.2.3", "2.0.1", "4.x"]
    rows = "".join(
        f"{v},{c},{i % 7}\n" for i in range(40) for v, c in zip(versions, "12312", strict=True)
    )
    encoder = TableEncoder({"code": "categorical"}).fit(read_table(write(f"v,code,x\n{rows}")))
    state = json.loads(json.dumps(encoder._to_state()))
    encoder = TableEncoder()._restore(state)

    def encoded(*rows):
        text = "\n".join(["v,code,x", *rows])
        return encoder.transform(read_table(write(text), conventions=encoder.conventions_))

    expected = encoded("1.10,2,3", "1.2.3,one,4")[0]
    np.testing.assert_array_equal(encoded("1.10,2,3")[0], expected)
    np.testing.assert_array_equal(encoded("1.10,2.0,3", "4.x,one,4")[0], expected)
    names = encoder.get_feature_names_out([*encoder.feature_names_in_])
    assert {"v_1.10", "code_2"} <= set(names[expected == 1.0])


def test_truth_values_of_text_and_of_a_type_are_alike(write):
    rows = "".join(f"{'TRUE' if i % 3 else 'FALSE'},{i % 7}\n" for i in range(60))
    text = read_table(write(f"old,x\n{rows}"))
    typed = pd.DataFrame({"old": [i % 3 > 0 for i in range(60)], "x": [i % 7 for i in range(60)]})
    for fitted, other in ((text, typed), (typed, text)):
        encoder = TableEncoder().fit(fitted)
        np.testing.assert_array_equal(encoder.transform(other), encoder.transform(fitted))
    missing = typed.assign(old=[None, *typed["old"][1:]])
    encoder = TableEncoder().fit(text)
    np.testing.assert_array_equal(encoder.transform(missing)[1:], encoder.transform(text)[1:])


def test_states_of_before_know_plain_numbers():
    encoder = TableEncoder().fit(pd.DataFrame({"x": ["1.5", "2", "7"]}))
    state = encoder._to_state()
    del state["conventions"]
    restored = TableEncoder()._restore(state)
    table = pd.DataFrame({"x": ["1.234"]})
    np.testing.assert_array_equal(restored.transform(table), encoder.transform(table))


def test_a_trend_is_kept_if_the_target_follows_it():
    trend, noise = np.arange(200), np.random.default_rng(0).normal(size=200)
    table = pd.DataFrame({"day": trend, "x": noise})
    assert "day" in TableEncoder(n_pieces=0).fit(table, trend + noise).get_feature_names_out()
    assert "day" not in TableEncoder(n_pieces=0).fit(table, noise).get_feature_names_out()
    some = np.where(trend < 150, 1.0, 0.0)
    weighted = TableEncoder(n_pieces=0).fit(table, trend + noise, some)
    assert "day" in weighted.get_feature_names_out()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TableEncoder().fit(table, trend[1:])


def test_columns_that_a_person_knows_better():
    table = pd.DataFrame({"season": [1, 2, 3, 4] * 50, "x": np.linspace(0, 1, 200)})
    encoder = TableEncoder(columns={"season": "categorical", "x": "left out"}).fit(table)
    assert len(encoder.get_feature_names_out()) == 4
    with pytest.raises(TableError, match="Did you mean 'season'"):
        TableEncoder(columns={"saeson": "categorical"}).fit(table)
    with pytest.raises(TypeError, match=r"columns must be a dict .* got \['season'\]"):
        TableEncoder(columns=["season"]).fit(table)
    with pytest.raises(ValueError, match="must be one of"):
        TableEncoder(columns={"season": "ordinal"}).fit(table)


def test_nothing_left_to_learn_from():
    with pytest.raises(TableError, match=r"No column is left .* constant"):
        TableEncoder().fit(pd.DataFrame({"a": [1, 1, 1], "b": ["x", "x", "x"]}))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 0)), "0 feature"),
        (pd.DataFrame({"a": []}), "0 sample"),
        ([1.0, 2.0], "Expected 2D array"),
        (np.ones((2, 2), dtype=complex), "Complex data not supported"),
    ],
)
def test_bad_tables(X, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder().fit(X)


def test_lists_in_cells_duplicate_names_and_lazy_tables():
    with pytest.raises(TypeError, match="string or a number"):
        TableEncoder().fit(pl.DataFrame({"a": [[1, 2], [3]]}))
    with pytest.raises(TypeError, match="string or a number"):
        TableEncoder().fit(pd.DataFrame({"a": [[1, 2], [3]]}))
    with pytest.raises(ValueError, match="a unique name"):
        TableEncoder().fit(pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]))
    with pytest.raises(TypeError, match="collect"):
        TableEncoder().fit(pl.LazyFrame({"a": [1, 2]}))


CELLS = {
    "number": st.none() | st.floats(allow_nan=False, width=64),
    "whole": st.none() | st.integers(-(2**53), 2**53),
    "text": st.none() | st.text(max_size=6) | st.sampled_from(["a", "b", "1", "2.5", "?", "01"]),
    "flag": st.none() | st.booleans(),
    "moment": st.none()
    | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
}


@st.composite
def columns(draw):
    n_rows = draw(st.integers(1, 30))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    return {
        f"{kind}{j}": draw(st.lists(CELLS[kind], min_size=n_rows, max_size=n_rows))
        for j, kind in enumerate(kinds)
    }


ARROW = {
    "number": pa.float64(),
    "whole": pa.int64(),
    "text": pa.string(),
    "flag": pa.bool_(),
    "moment": pa.timestamp("us"),
}


def test_a_recognized_table_is_not_recognized_again(monkeypatch):
    cells = {"load": ["1.50", "2", " "] * 20, "day": ["2020-01-31", None, "2021-02-28"] * 20}
    frame = pd.DataFrame({**cells, "code": ["01", "2", "3"] * 20})
    encoder, wanted = TableEncoder(), {"code": "categorical"}
    known = encoder.recognize_table(frame)
    assert list(known.recognized) == encoder.recognize(frame)
    expected = clone(encoder).fit(frame)
    other = clone(encoder).set_params(columns=wanted)
    np.testing.assert_array_equal(other.fit_transform(known), clone(other).fit_transform(frame))
    weights = np.linspace(0.0, 3.0, 60)
    weighted = clone(encoder).fit(known, sample_weight=weights)
    assert weighted.recognized_ == clone(encoder).fit(frame, sample_weight=weights).recognized_
    monkeypatch.setattr(recognition, "_recognize", None)
    np.testing.assert_array_equal(encoder.fit_transform(known), expected.transform(frame))
    np.testing.assert_array_equal(encoder.transform(known), expected.transform(frame))
    assert encoder.recognized_ == expected.recognized_


@settings(max_examples=150, deadline=None, derandomize=True)
@given(columns(), st.integers(0, 3))
def test_every_container_gives_the_same_inputs(cells, n_pieces):
    arrow = pa.table({name: pa.array(v, ARROW[name[:-1]]) for name, v in cells.items()})
    frames = [arrow, pl.from_arrow(arrow), arrow.to_pandas(), pd.DataFrame(cells, dtype=object)]
    outcomes = []
    for frame in frames:
        encoder = TableEncoder(n_pieces=n_pieces)
        try:
            outcomes.append((encoder.fit_transform(frame), encoder.recognized_))
        except TableError as error:
            outcomes.append((np.zeros(0), str(error)))
    for out, recognized in outcomes[1:]:
        assert recognized == outcomes[0][1]
        np.testing.assert_array_equal(out, outcomes[0][0])
    assert np.isfinite(outcomes[0][0]).all()


@pytest.mark.filterwarnings("ignore::pellucid.DataDriftWarning")
@settings(max_examples=100, deadline=None, derandomize=True)
@given(columns(), columns())
def test_any_table_with_the_same_columns_can_be_transformed(cells, others):
    names = [f"c{j}" for j in range(min(len(cells), len(others)))]
    train = pd.DataFrame(dict(zip(names, cells.values(), strict=False)), dtype=object)
    other = pd.DataFrame(dict(zip(names, others.values(), strict=False)), dtype=object)
    try:
        encoder = TableEncoder(n_pieces=2).fit(train)
    except TableError:
        return
    try:
        out = encoder.transform(other)
    except TableError:  # Nothing can be read in a column of numbers or dates.
        shares = [column.shares.unparseable for column in encoder.drift(other).columns]
        assert max(shares) == 1.0
        return
    assert out.shape == (len(other), len(encoder.get_feature_names_out()))
    assert np.isfinite(out).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(columns(), st.integers(0, 3))
def test_state_restores_the_encoder_to_the_bit(cells, n_pieces):
    frame = pd.DataFrame(cells, dtype=object)
    encoder = TableEncoder(n_pieces=n_pieces)
    try:
        out = encoder.fit_transform(frame)
    except TableError:
        return
    restored = TableEncoder()._restore(encoder._to_state())
    np.testing.assert_array_equal(restored.transform(frame), out)
    assert restored.recognized_ == encoder.recognized_


def test_two_valued_numbers_are_one_input():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"flag": rng.integers(0, 2, 500), "x": rng.normal(size=500)})
    encoder = TableEncoder(n_pieces=16).fit(table)
    assert encoder.encodings_["flag"].edges == ()
    assert [name for name in encoder.get_feature_names_out() if "flag" in name] == ["flag"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 200), min_size=2, max_size=200), st.integers(1, 16))
def test_no_two_pieces_are_the_same_input(values, n_pieces):
    x = np.array(values, dtype=np.float64).reshape(-1, 1)
    encoder = TableEncoder({"x0": "numeric"}, n_pieces=n_pieces, dtype="float64").fit(x)
    pieces = encoder.transform(x)[:, 1:].T
    assert len(np.unique(pieces, axis=0)) == len(pieces)
    n_different = len(set(values))
    assert len(pieces) <= max(0, n_different - 1 if n_different > 2 else 0)


def test_columns_with_few_values_leave_their_pieces_to_the_others():
    rng = np.random.default_rng(0)
    flags = rng.integers(0, 2, (300, 60))
    real = rng.normal(size=(300, 10))
    alone = TableEncoder(n_pieces=16).fit_transform(real).shape[1]
    together = TableEncoder(n_pieces=16).fit_transform(np.hstack([real, flags])).shape[1]
    assert together == alone + 60
