"""What differs from training is told: by column, beside the shares of training."""

import datetime as dt
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest

from pellucid.tables import DataDriftWarning, TableEncoder, TableError, as_table
from pellucid.tables.drift import CHANCE, THRESHOLD, Cells, CellShares, drift_of
from pellucid.tables.numeric import NumericEncoding

RNG = np.random.default_rng(0)
N = 1000
DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(N)]
TRAINING = pd.DataFrame(
    {
        "price": RNG.normal(100.0, 10.0, N),
        "load": np.where(RNG.random(N) < 0.2, None, RNG.integers(0, 9, N).astype(str)),
        "city": RNG.choice(["Rome", "Oslo", "Lima"], N),
        "street": np.where(RNG.random(N) < 0.1, [f"lane {i}" for i in range(N)], "main road"),
        "day": [str(day) for day in DAYS],
        "member": RNG.random(N) < 0.5,
    }
)


@pytest.fixture(scope="module")
def encoder():
    return TableEncoder().fit(TRAINING)


def column(report, name):
    return next(each for each in report.columns if each.name == name)


def quiet(encoder, table):
    """Return the encoded table, which nothing is told of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return encoder.transform(table)


def test_rows_of_training_do_not_differ(encoder):
    quiet(encoder, TRAINING)
    report = encoder.drift(TRAINING)
    assert report.n_rows == N
    assert report.alarms == ()
    assert [each.name for each in report.columns] == list(TRAINING.columns)
    for each in report.columns:
        assert each.shares == each.training
    assert column(report, "load").shares.missing == TRAINING["load"].isna().mean()
    street = column(report, "street")
    assert street.shares.unseen == (TRAINING["street"] != "main road").mean()
    assert street.shares == CellShares(unseen=street.shares.unseen)


DIFFERENT = {
    "unparseable numbers": (
        "price",
        ["12 apples"] * 20,
        "unparseable",
        "not numbers, such as '12 ap",
    ),
    "unparseable dates": ("day", ["soon"] * 20, "unparseable", "not dates, such as 'soo"),
    "unparseable truth": ("member", ["yep"] * 20, "unparseable", "not true or false, such as"),
    "infinite": ("price", [np.inf, -np.inf] * 10, "infinite", "are infinite"),
    "unseen": ("city", ["Paris"] * 20, "unseen", "are unseen categories, such as 'Paris'"),
    "rare": ("street", ["lane 3", "alley"] * 10, "unseen", "rare or unseen categories, such as"),
    "missing number": ("price", [None] * 20, "missing", "cells are missing"),
    "missing date": ("day", ["-"] * 20, "missing", "cells are missing"),
    "missing category": ("city", ["?"] * 20, "missing", "cells are missing"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_cells_that_training_did_not_have_are_told_of(encoder, case):
    name, cells, kind, said = DIFFERENT[case]
    table = TRAINING[:100].astype({name: object})
    table.loc[:19, name] = cells
    report = encoder.drift(table)
    n_filled = 100 if kind == "missing" else table[name].notna().sum()
    alarming = getattr(column(report, name).shares, kind)
    assert alarming >= 20 / n_filled
    assert column(report, name).alarms == (kind,)
    assert all(each.alarms == () for each in report.columns if each.name != name)
    with pytest.warns(
        DataDriftWarning, match=f"differs from that of training.*{name}.*{said}"
    ) as caught:
        encoder.transform(table)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert caught[0].message.report.alarms == report.alarms
    few = TRAINING[:500].astype({name: object})
    few.loc[:4, name] = cells[:5]
    quiet(encoder, few)
    assert getattr(column(encoder.drift(few), name).shares, kind) > 0


def test_what_cells_were_is_in_the_file(encoder):
    restored = TableEncoder()._restore(json.loads(json.dumps(encoder._to_state())))
    table = TRAINING[:50].assign(city="Paris")
    assert restored.drift(table) == encoder.drift(table)


def test_files_of_before_tell_nothing_of_training(encoder):
    state = encoder._to_state()
    for entry in state["columns"]:
        del entry["cells"]
    restored = TableEncoder()._restore(state)
    table = TRAINING[:50].assign(city="Paris", load=None)
    report = restored.drift(table)
    assert all(each.training is None for each in report.columns)
    assert column(report, "city").shares.unseen == column(report, "load").shares.missing == 1.0
    np.testing.assert_array_equal(quiet(restored, table), encoder_output(encoder, table))
    assert "100 % (unknown)" in str(report)
    with pytest.warns(DataDriftWarning, match="infinite"):
        restored.transform(table.assign(price=np.inf))
    with pytest.raises(TableError, match="none of its cells are numbers"):
        restored.transform(table.assign(price="much"))


def encoder_output(encoder, table):
    with pytest.warns(DataDriftWarning):
        return encoder.transform(table)


BAD_CELLS = [
    {"rows": 0},
    {"rows": float("nan")},
    {"storage": "gone"},
    {"missing": 1.5},
    {"unseen": float("nan")},
    {"infinite": "many"},
]


@pytest.mark.parametrize("bad", BAD_CELLS, ids=str)
def test_damaged_cells_are_refused(encoder, bad):
    state = encoder._to_state()
    state["columns"][0]["cells"] |= bad
    with pytest.raises(ValueError):
        TableEncoder()._restore(state)


NOT_READABLE = {
    "numbers": (
        {"price": ["12 apples", None] * 4},
        r"Column 'price': none of its cells are numbers, as they were in training: '12 apples'\. "
        "Convert them, or leave them empty",
    ),
    "dates": ({"day": ["soon", "later"] * 4}, "none of its cells are dates, as.*'soon', 'lat"),
    "truth": ({"member": ["yep", "nope"] * 4}, "none of its cells are true or false"),
    "dates for numbers": (
        {"price": DAYS[:8]},
        "'price' holds dates, but training had numbers there",
    ),
    "numbers for dates": (
        {"day": list(range(8))},
        "'day' holds numbers, but training had text of dates there",
    ),
}


@pytest.mark.parametrize("case", NOT_READABLE)
def test_a_column_where_nothing_parses_is_an_error(encoder, case):
    cells, message = NOT_READABLE[case]
    table = TRAINING[:8].assign(**cells)
    name = next(iter(cells))
    with pytest.raises(TableError, match=message):
        encoder.transform(table)
    with pytest.raises(TableError, match=f"Column '{name}'"):
        encoder.transform(table[:1])
    assert column(encoder.drift(table), name).shares.unparseable == 1.0


def test_text_that_training_took_as_missing_is_no_error():
    cells = ["1.5", "2", "3"] * 33 + ["see below"]
    encoder = TableEncoder().fit(pd.DataFrame({"x": cells, "y": np.arange(100.0) ** 2}))
    row = pd.DataFrame({"x": ["see below"], "y": [1.0]})
    quiet(encoder, row)
    report = encoder.drift(row)
    assert column(report, "x").shares.unparseable == 1.0
    assert column(report, "x").training.unparseable == 0.01
    many = pd.concat([row] * 9)
    with pytest.raises(TableError, match=r"none of its cells are numbers.*'see below'"):
        encoder.transform(many)


def test_numbers_outside_of_those_of_training_are_counted(encoder):
    low, high = TRAINING["price"].min(), TRAINING["price"].max()
    cells = [low, high, low - 0.1, high + 0.1, 1e9, np.inf, None, 100.0]
    report = encoder.drift(TRAINING[:8].assign(price=cells))
    assert column(report, "price").shares.out_of_range == 3 / 7
    days = pd.to_datetime(["2019-12-31", "2020-01-01", str(DAYS[-1]), "2055-01-01"] * 2)
    assert column(encoder.drift(TRAINING[:8].assign(day=days)), "day").shares.out_of_range == 0.5


FAR_OUT = {
    "metres for kilometres": (RNG.exponential(20.0, N) + 1, lambda x: 1000 * x),
    "euros for cents": (RNG.integers(5_000, 9_000, N), lambda x: x / 100),
    "percent for shares": (RNG.uniform(0.1, 1.0, N), lambda x: x / 100),
    "negative and too small": (-RNG.uniform(0.1, 1.0, N), lambda x: x / 100),
    "Fahrenheit for Celsius": (RNG.uniform(10, 20, N), lambda x: 32 + 1.8 * x),
    "negative": (-RNG.uniform(10, 20, N), lambda x: 100 * x),
    "most of them": (RNG.uniform(1, 9, N), lambda x: np.where(np.arange(N) % 10 < 7, 100 * x, x)),
    "text": (RNG.integers(1, 9, N).astype(str), lambda x: [f"{cell}000" for cell in x]),
}


@pytest.mark.parametrize("case", FAR_OUT)
def test_numbers_in_other_units_are_told_of(case):
    cells, convert = FAR_OUT[case]
    table = pd.DataFrame({"x": cells, "y": RNG.random(N)})
    encoder = TableEncoder().fit(table)
    others = table.assign(x=convert(table["x"]))
    with pytest.warns(DataDriftWarning, match=r"'x': .* far out of the range of training, -?\d"):
        encoder.transform(others)
    assert column(encoder.drift(others), "x").alarms == ("far_out",)
    with pytest.warns(DataDriftWarning, match="'x': .* filled cells are far out"):
        encoder.transform(others.assign(x=others["x"].where(others.index % 5 > 0)))


YEAR = np.arange(N) // (N // 2) + 2018
NOT_FAR_OUT = {
    "later dates": (pd.to_datetime(DAYS), pd.to_datetime(DAYS) + pd.Timedelta(9_000, "D")),
    "later dates in text": (list(map(str, DAYS)), ["2055-01-01"] * N),
    "later years": (YEAR, YEAR + 20),
    "later months": (100 * YEAR + 1, 100 * YEAR + 301),
    "later moments": (1.6e9 + np.arange(N), 1.7e9 + np.arange(N)),
    "slightly less": (RNG.uniform(1, 9, N), [0.6]),
    "zeros and other signs": (RNG.integers(1, 9, N), [0.0, -1.0] * 50),
    "slightly more": (RNG.random(N), [1.5]),
    "half of them": (RNG.random(N), [0.5, 900.0] * 50),
    "few of a small table": (RNG.random(200), [900.0]),
    "heavy tails": (RNG.standard_cauchy(N), RNG.standard_cauchy(N)),
    "codes of categories": (RNG.integers(1, 4, N).astype(str), ["1", "3", "2"]),
}


@pytest.mark.parametrize("case", NOT_FAR_OUT)
def test_numbers_that_go_on_or_are_rare_are_not_told_of(case):
    cells, later = NOT_FAR_OUT[case]
    columns = {"x": "categorical"} if case.startswith("codes") else None
    encoder = TableEncoder(columns).fit(pd.DataFrame({"x": cells, "y": RNG.random(len(cells))}))
    quiet(encoder, pd.DataFrame({"x": later, "y": 0.5}))


def test_files_of_before_do_not_know_of_cells_far_out(encoder):
    state = encoder._to_state()
    for entry in state["columns"]:
        del entry["cells"]["far_out"]
    restored = TableEncoder()._restore(state)
    table = TRAINING[:50].assign(price=1e6)
    assert restored.drift(table) == encoder.drift(table)
    assert restored.drift(table).alarms


@pytest.mark.parametrize("clocks_first", [True, False])
def test_times_of_day_and_dates_do_not_parse_as_the_other(clocks_first):
    clocks = [f"{i % 24}:{i % 60:02}" for i in range(N)]
    cells = [clocks, TRAINING["day"].tolist()]
    known, other = cells if clocks_first else cells[::-1]
    encoder = TableEncoder().fit(pd.DataFrame({"x": known}))
    what, example = ("times of day", "2020-01-01") if clocks_first else ("dates", "0:00")
    table = pd.DataFrame({"x": [*known[:10], *other[:10]]})
    with pytest.warns(DataDriftWarning, match=f"50 % of the cells are not {what}, .*'{example}'"):
        encoder.transform(table)
    for cells in (other, pd.to_datetime(other) if clocks_first else other):
        with pytest.raises(TableError, match=f"(are|had text of) {what}"):
            encoder.transform(pd.DataFrame({"x": cells}))


def test_weights_count_rows_in_training():
    cells = ["a"] * 60 + ["b"] * 39 + [None]
    table = pd.DataFrame({"x": cells, "y": np.append(np.arange(98.0), [np.nan, np.inf])})
    weights = np.ones(100)
    weights[[98, 99]] = 0.0, 11.0
    report = TableEncoder().fit(table, sample_weight=weights).drift(table)
    assert column(report, "x").training.missing == 11 / 109
    assert column(report, "y").training == CellShares(infinite=11 / 109)


# The rule, for shares of one column.

N_TRAINING = 10_000


def is_alarm(kind, count, n, before, n_before=N_TRAINING):
    cells = Cells(n, "number", CellShares(**{kind: count / n}))
    training = Cells(n_before, "number", CellShares(**{kind: before / n_before}))
    encoding = NumericEncoding.fit(np.arange(9.0))
    return drift_of("x", "numeric", encoding, cells, (), training).alarms == (kind,)


@pytest.mark.parametrize("kind", ["missing", "unseen", "unparseable", "infinite"])
def test_shares_must_exceed_those_of_training(kind):
    n = 10_000
    for before in (0, 0.1, 0.5):
        limit = before + THRESHOLD
        assert not is_alarm(kind, round((limit - 0.001) * n), n, before * N_TRAINING)
        assert is_alarm(kind, round((limit + 0.001) * n), n, before * N_TRAINING)
    assert not is_alarm(kind, 0, n, N_TRAINING)


@pytest.mark.parametrize("kind", ["missing", "unseen", "unparseable", "infinite"])
def test_a_single_cell_is_no_alarm_where_training_had_such(kind):
    for n in (1, 5, 19):
        assert not is_alarm(kind, 1, n, before=1, n_before=10**9)
    assert is_alarm(kind, 2, 2, before=1, n_before=10**9)
    assert is_alarm(kind, 1, 1, before=0)


def test_small_tables_may_differ_by_chance():
    """The rows of a table as in training alarm with the stated probability at most."""
    draws = np.random.default_rng(0).binomial(30, 0.3, 20_000)
    limit = next(k for k in range(31) if is_alarm("missing", k, 30, 0.3 * N_TRAINING))
    assert 0.5 < limit / 30 < 0.7
    # Three standard deviations of the frequency of an event of this probability.
    assert (draws >= limit).mean() < CHANCE + 3 * np.sqrt(CHANCE / len(draws))
    assert not is_alarm("missing", 1, 1, before=0, n_before=100)
    assert is_alarm("missing", 2, 2, before=0, n_before=100)
    assert is_alarm("unparseable", 1, 1, before=0, n_before=100)


# The report.


def test_a_report_is_a_table_to_read(encoder):
    report = encoder.drift(TRAINING[:200].assign(city="Pa<ris>", price=["a"] * 20 + [1.0] * 180))
    lines = str(report).splitlines()
    assert lines[0] == "200 rows: shares of cells (and in training)"
    head = [
        "column",
        "kind",
        "missing",
        "unparseable",
        "unseen",
        "infinite",
        "out of range",
        "far out",
    ]
    assert re.split("  +", lines[1]) == head
    assert lines[4].split() == ["city", "categorical", "0", "%", "(0", "%)", "100", "%", "(0", "%)"]
    assert lines[2].startswith("price   numeric")
    assert "10 % (0 %)" in lines[2]
    assert lines[-1].startswith(
        "'city': 100 % of the cells are unseen categories, such as 'Pa<ris>"
    )
    assert "<td>100 % (0 %)</td>" in report._repr_html_()
    assert "<ris>" not in report._repr_html_()
    read = json.loads(json.dumps(report.to_dict()))
    assert read["rows"] == 200
    assert read["columns"][2]["shares"]["unseen"] == 1.0
    assert read["columns"][2]["alarms"] == ["unseen"]
    assert read["columns"][2]["training"]["unseen"] == 0.0


def test_only_the_first_columns_are_told_in_a_warning():
    table = pd.DataFrame({f"x{j}": RNG.normal(size=100) for j in range(8)})
    with pytest.warns(DataDriftWarning, match=r"'x4': .*training\); and 3 more\.$") as caught:
        TableEncoder().fit(table).transform(table * np.nan)
    assert "x5" not in str(caught[0].message)


@pytest.mark.parametrize("of", [as_table, lambda table: table.to_numpy()], ids=["Table", "array"])
def test_every_kind_of_table_is_compared(of):
    encoder = TableEncoder().fit(of(TRAINING))
    report = encoder.drift(of(TRAINING.assign(city="Paris")))
    assert [each.alarms for each in report.columns] == [(), (), ("unseen",), (), (), ()]
