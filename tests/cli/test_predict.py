"""`pellucid predict`."""

import gzip
import io
import json
import sys

import numpy as np
import pandas as pd
import pytest

from pellucid import MLPClassifier, MLPRegressor, TabularRegressor, load
from pellucid.cli.options import ReadingOptions
from pellucid.cli.predict import predict_file
from pellucid.cli.predictions import uniquely_named
from pellucid.cli.screen import Output

X = np.random.default_rng(0).normal(size=(60, 3))

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def model(run, people):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    return load("m.pellucid")


def test_truncated_model(run, model, people):
    path = people.with_name("m.pellucid")
    path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged" in run("predict", path, people, code=1).output


def test_prediction_needs_the_columns_but_not_the_target(run, model, people, tmp_path):
    table = pd.read_csv(people)
    table[["job", "age", "pay", "id"]].to_csv(tmp_path / "new.csv", index=False)
    run("predict", "m.pellucid", "new.csv")
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert "no column 'rich'" in done.output
    table.rename(columns={"age": "Age"}).to_csv(tmp_path / "new.csv", index=False)
    done = run("predict", "m.pellucid", "new.csv", code=1)
    assert "no column 'age'. Did you mean 'Age'?" in done.output


def test_names_may_be_repeated_among_columns_that_are_not_needed(run, model, people, tmp_path):
    header, rows = people.read_text().split("\n", 1)
    wide = "".join(f"{row},1,2\n" for row in rows.splitlines())
    (tmp_path / "new.csv").write_text(f"{header},note,note\n{wide}")
    done = run("predict", "m.pellucid", "new.csv")
    assert done.stdout == run("predict", "m.pellucid", people).stdout
    assert "columns left out, as several have the same name: 'note'" in done.stderr
    done = run("predict", "m.pellucid", "new.csv", "--keep", "note", code=1)
    assert "line 1: more than one column is named 'note'" in done.output
    (tmp_path / "new.csv").write_text(f"{header},age,x\n{wide}")
    done = run("predict", "m.pellucid", "new.csv", code=1)
    assert "line 1: more than one column is named 'age'" in done.output


def test_columns_are_named_after_target_and_labels(run, model, people):
    table = pd.read_csv(people)
    done = run("predict", "m.pellucid", people, "--probabilities")
    predicted = pd.read_csv(io.StringIO(done.stdout))
    assert list(predicted) == ["predicted_rich", "probability_no", "probability_yes"]
    assert predicted["predicted_rich"].tolist() == model.predict(table).tolist()
    np.testing.assert_allclose(
        predicted[["probability_no", "probability_yes"]], model.predict_proba(table), atol=1e-6
    )


def test_probabilities_are_short(run, model, people):
    lines = run("predict", "m.pellucid", people, "--probabilities").stdout.splitlines()[1:]
    assert max(len(line) for line in lines) <= len("yes,0.0123456789,0.0123456789")


def predicted_by(run, model, *options):
    model.save("m.pellucid")
    pd.DataFrame(X, columns=list("abc")).to_csv("new.csv", index=False)
    return pd.read_csv(io.StringIO(run("predict", "m.pellucid", "new.csv", *options).stdout))


def test_several_numbers_a_row_have_a_column_each(run):
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2).fit(X, X[:, :2])
    predicted = predicted_by(run, model)
    assert list(predicted) == ["prediction_1", "prediction_2"]
    np.testing.assert_allclose(predicted, model.predict(X), rtol=1e-6)


def test_several_labels_a_row_have_a_column_each(run):
    model = MLPClassifier((4,), max_iter=2).fit(X, (X > 0).astype(int))
    predicted = predicted_by(run, model, "--probabilities")
    numbers = range(1, 4)
    assert list(predicted) == [
        *[f"prediction_{i}" for i in numbers],
        *[f"probability_{i}" for i in numbers],
    ]
    np.testing.assert_array_equal(predicted.iloc[:, :3], model.predict(X))
    np.testing.assert_allclose(predicted.iloc[:, 3:], model.predict_proba(X), rtol=1e-6)


def test_names_of_the_columns_of_y_name_the_predictions(run):
    table, labels = pd.DataFrame(X, columns=list("abc")), pd.DataFrame(X > 0).astype(int)
    model = MLPClassifier((4,), max_iter=2).fit(table, labels.set_axis(["p", "q", "r"], axis=1))
    names = [f"{what}_{label}" for what in ("predicted", "probability") for label in "pqr"]
    assert list(predicted_by(run, model, "--probabilities")) == names
    table.assign(p=1, q=0, r=labels[2]).to_csv("true.csv", index=False)
    output = run("evaluate", "m.pellucid", "true.csv").output
    assert all(f"true.csv: 60 rows: {label}" in output or label in output for label in "pqr")
    numbers = pd.DataFrame(X[:, :2], columns=["height", "width"])
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2).fit(table, numbers)
    assert list(predicted_by(run, model)) == ["predicted_height", "predicted_width"]


def test_a_quantile_is_named_by_its_level(run):
    y = pd.Series(X[:, 0], name="price")
    table = pd.DataFrame(X, columns=list("abc"))
    model = TabularRegressor((4,), loss="quantile", quantile=0.9, max_iter=2).fit(table, y)
    assert list(predicted_by(run, model)) == ["predicted_price_quantile_0.9"]


def test_no_two_columns_have_one_name():
    columns = uniquely_named([("a", np.zeros(1)), ("a", np.ones(1)), ("b", np.ones(1))])
    assert columns == {"a": [0], "a_2": [1], "b": [1]}


def test_columns_are_carried_through_as_they_are(run, model, people):
    table = pd.read_csv(people)
    table["code"] = [f"{i:05}" for i in range(600)]
    table["count"] = pd.array([None, *range(1, 600)], "Int64")
    table["day"] = pd.Timestamp("2020-02-28") + pd.to_timedelta(table["id"], "D")
    table.to_csv("more.csv", index=False)
    keep = [part for name in ("code", "job", "count", "id", "day") for part in ("--keep", name)]
    run("predict", "m.pellucid", "more.csv", *keep, "--out", "p.csv")
    written = pd.read_csv("p.csv", dtype=str, keep_default_na=False)
    assert list(written) == ["code", "job", "count", "id", "day", "predicted_rich"]
    expected = pd.read_csv("more.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(
        written[["code", "job", "count", "id", "day"]],
        expected[["code", "job", "count", "id", "day"]],
    )
    assert (
        "no column 'Code'. Did you mean 'code'?"
        in run("predict", "m.pellucid", "more.csv", "--keep", "Code", code=1).output
    )
    together = run("predict", "m.pellucid", "more.csv", "--keep", "code,job", code=1).output
    assert "Repeat --keep: --keep 'code' --keep 'job'." in together


def test_a_kept_column_may_not_have_the_name_of_a_prediction(run, model, people):
    pd.read_csv(people).assign(predicted_rich=1).to_csv("more.csv", index=False)
    done = run("predict", "m.pellucid", "more.csv", "--keep", "predicted_rich", code=1)
    assert "'predicted_rich' of --keep has the name of a prediction" in done.output


def test_a_model_without_names_predicts_from_what_is_not_kept(run):
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2).fit(X, X[:, 0])
    model.save("m.pellucid")
    table = pd.DataFrame(X, columns=list("abc")).assign(id=range(60))
    table.to_csv("new.csv", index=False)
    predicted = run("predict", "m.pellucid", "new.csv", "--keep", "id").stdout
    assert predicted.startswith("id,prediction\n0,")
    table.drop(columns="id").to_csv("exact.csv", index=False)
    predicted = run("predict", "m.pellucid", "exact.csv", "--keep", "a").stdout
    assert predicted.startswith("a,prediction\n")
    alone = run("predict", "m.pellucid", "exact.csv").stdout
    assert [line.split(",")[1] for line in predicted.split()] == alone.split()
    done = run("predict", "m.pellucid", "new.csv", code=1)
    assert "has 4 columns to predict from, but the model was trained on 3" in done.output


READERS = {
    "csv": pd.read_csv,
    "tsv": lambda path: pd.read_csv(path, sep="\t"),
    "jsonl": lambda path: pd.read_json(path, lines=True),
    "parquet": pd.read_parquet,
}


@pytest.mark.parametrize("suffix", READERS)
def test_the_suffix_chooses_the_format(run, model, people, suffix):
    keep = ["--keep", "id", "--keep", "job"]
    run("predict", "m.pellucid", people, "--probabilities", *keep, "--out", f"p.{suffix}")
    written = READERS[suffix](f"p.{suffix}")
    table = pd.read_csv(people)
    assert written["id"].tolist() == table["id"].tolist()
    assert written["job"].isna().sum() == 1
    assert written["predicted_rich"].tolist() == model.predict(table).tolist()
    np.testing.assert_allclose(
        written["probability_yes"], model.predict_proba(table)[:, 1], atol=1e-6
    )


def test_dates_of_parquet_files_stay_dates(run, model, people):
    days = pd.Series(pd.Timestamp("2020-02-28") + pd.to_timedelta(range(600), "D"))
    table = pd.read_csv(people).assign(day=days.mask(days.index == 5))
    table.to_parquet("more.parquet")
    run("predict", "m.pellucid", "more.parquet", "--keep", "day", "--out", "p.parquet")
    kept = pd.read_parquet("p.parquet")["day"]
    assert kept.astype("datetime64[us]").equals(table["day"].astype("datetime64[us]"))
    told = run("predict", "m.pellucid", "more.parquet", "--keep", "day").stdout.splitlines()
    assert told[1].startswith("2020-02-28,")
    assert told[6].startswith(",")


def test_an_unknown_format_is_refused_before_any_work(run, people):
    done = run("predict", people, people, "--out", "p.xlsx", code=1)  # No model, either.
    assert "cannot be written as .xlsx files" in done.output


def test_parquet_without_its_packages(run, model, people, monkeypatch):
    monkeypatch.setattr("pellucid.cli.formats.find_spec", lambda name: None)
    done = run("predict", "m.pellucid", people, "--out", "p.parquet", code=1)
    assert "pip install 'pellucid[tables]'" in done.output


def test_standard_input_and_output(run, model, people):
    expected = run("predict", "m.pellucid", people).stdout
    pd.read_csv(people).to_parquet("people.parquet")
    for name in ("people.csv", "people.parquet"):
        data = people.with_name(name).read_bytes()
        assert run("predict", "m.pellucid", "-", "--out", "-", input=data).stdout == expected
    gzipped = gzip.compress(people.read_bytes())
    run("evaluate", "m.pellucid", "-", input=gzipped)


@pytest.fixture
def german(run, tmp_path):
    """A model of a table with decimal commas, and the same rows written in other ways."""
    price = np.round(np.random.default_rng(0).uniform(500, 9000, 200), 1)
    table = pd.DataFrame({"preis": price, "teuer": np.where(price > 4000, "ja", "nein")})
    euros = [f"{p:,.1f}".translate(str.maketrans(",.", ".,")) for p in price]
    table.assign(preis=euros).to_csv("german.csv", sep=";", index=False)
    run("train", "german.csv", "--target", "teuer", "--out", "m.pellucid", "--seed", 1)
    return table


def predicted(run, file, **options):
    text = run("predict", "m.pellucid", file, "--keep", "preis", **options).stdout
    return pd.read_csv(io.StringIO(text)).to_numpy().tolist()


def test_numbers_that_can_be_read_in_two_ways_are_read_as_in_training(run, german):
    rows = "preis\n1.234\n8.765\n"
    assert predicted(run, "-", input=rows) == [[1234, "nein"], [8765, "ja"]]
    with open("two.csv", "w") as file:
        file.write(rows)
    assert predicted(run, "two.csv") == [[1234, "nein"], [8765, "ja"]]


def test_a_table_that_tells_how_it_writes_numbers_is_read_so(run, german):
    german.to_csv("english.csv", index=False)
    assert predicted(run, "english.csv") == predicted(run, "german.csv")


def test_problems_of_standard_input_are_told(run, model):
    done = run("predict", "m.pellucid", "-", input="age,job\n1\n", code=1)
    assert "Error: Standard input, line 2: 1 cell" in done.output
    assert "Standard input is empty" in run("predict", "m.pellucid", "-", input="", code=1).output


def test_output_is_utf_8_whatever_the_locale_is(run, people, monkeypatch):
    table = pd.read_csv(people)
    table["rich"] = table["rich"].map({"yes": "ça va", "no": "né"})
    table.to_csv("french.csv", index=False)
    run("train", "french.csv", "--target", "rich", "--out", "m.pellucid", "--epochs", 1)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    predict_file("m.pellucid", people.with_name("french.csv"), None, ReadingOptions(), Output())
    assert set(stream.buffer.getvalue().decode("utf-8").split("\n")[1:-1]) <= {"ça va", "né"}


def test_json_has_the_same_rows(run, model, people):
    told = json.loads(run("predict", "m.pellucid", people, "--keep", "id", "--json").stdout)
    assert told["predictions"][599]["id"] == 600
    assert {row["predicted_rich"] for row in told["predictions"]} <= {"no", "yes"}


@pytest.fixture
def drifted(run, people, tmp_path):
    """A model, and rows with other jobs and ages than it was trained on."""
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    table = pd.read_csv(people)[:100].astype({"age": object})
    table.loc[:49, "age"] = "young"
    table.assign(job="robot").to_csv(tmp_path / "new.csv", index=False)
    table.assign(age="young").to_csv(tmp_path / "unreadable.csv", index=False)
    return people


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_rows_that_differ_from_those_of_training_are_told_of(run, drifted, command):
    done = run(command, "m.pellucid", "new.csv")
    assert done.stderr.count("The table differs from that of training") == 1
    assert "'age': 50 % of the cells are not numbers, such as 'young' (0 % in tr" in done.stderr
    assert "'job': 100 % of the cells are unseen categories, such as 'robot' (0 %" in done.stderr
    assert "differs" not in run(command, "m.pellucid", drifted).stderr
    facts = json.loads(run(command, "m.pellucid", "new.csv", "--json").stdout)
    columns = {column["name"]: column for column in facts["drift"]["columns"]}
    assert columns["job"]["shares"]["unseen"] == 1.0
    assert columns["age"]["alarms"] == ["unparseable"]
    facts = json.loads(run(command, "m.pellucid", drifted, "--json").stdout)
    assert all(column["alarms"] == [] for column in facts["drift"]["columns"])
    done = run(command, "m.pellucid", "unreadable.csv", code=1)
    assert "Column 'age': none of its cells are numbers, as they were in tr" in done.stderr


def test_test_rows_that_differ_are_told_of(run, drifted):
    done = run(
        "train",
        drifted,
        "--target",
        "rich",
        "--out",
        "n.pellucid",
        "--epochs",
        "2",
        "--test-table",
        "new.csv",
    )
    assert done.stderr.count("The table differs from that of training") == 1


def test_text_stays_text_in_a_file_that_has_only_numbers(run, tmp_path):
    rows = [("1.10", "2.0"), ("1.1", "2.00"), ("1.2.3", "2.x")]
    text = "".join(f"{v},{i % 9},{y}\n" for i in range(90) for v, y in rows)
    (tmp_path / "t.csv").write_text(f"v,x,y\n{text}")
    (tmp_path / "some.csv").write_text("v,x,y\n" + "1.10,1,2.0\n1.1,2,2.00\n" * 30)
    call = ("train", "t.csv", "--target", "y", "--out", "m.pellucid", "--seed", 1)
    facts = json.loads(run(*call, "--test-table", "some.csv", "--json").stdout)
    assert facts["metrics"]["accuracy"] == 1.0
    facts = json.loads(run("evaluate", "m.pellucid", "some.csv", "--json").stdout)
    assert facts["metrics"]["accuracy"] == 1.0
    assert run("predict", "m.pellucid", "some.csv").stdout.splitlines()[1].startswith("2.0")
