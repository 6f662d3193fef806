"""Options that several commands share."""

from dataclasses import replace

import pandas as pd
import pytest

from pellucid import load
from pellucid.cli import data
from pellucid.cli.options import ReadingOptions, with_options


@pytest.fixture
def german(tmp_path):
    path = tmp_path / "german.csv"
    rows = "".join(f"{i}|{i % 7 + 1},{i % 10}|{'äö'[i % 2]}\n" for i in range(60))
    path.write_bytes(f"% no table yet\nnummer|preis|art\n{rows}".encode("latin-1"))
    return path


def test_values_are_grouped_and_those_that_were_given_known():
    seen = []

    @with_options
    def command(table: str, *, reading: ReadingOptions) -> None:
        seen.append((table, reading.given()))

    command(
        table="t", header=False, delimiter=";", encoding=None, comment=None, decimal=None,
        thousands=None,
    )  # fmt: skip
    assert seen == [("t", {"header": False, "delimiter": ";"})]


def test_train_evaluate_and_predict_read_as_told(run, german):
    reading = ["--delimiter", "|", "--encoding", "latin-1", "--comment", "%", "--decimal", ","]
    run("train", german, "--target", "art", "--out", "m.pellucid", "--epochs", 2, *reading)
    assert load("m.pellucid").encoder_.recognized_[1].kind == "numeric"
    run("evaluate", "m.pellucid", german, *reading)
    done = run("predict", "m.pellucid", german, *reading)
    assert set(done.stdout.split()) <= {"predicted_art", "ä", "ö"}
    assert (
        "Invalid value for '--decimal'"
        in run("predict", "m.pellucid", german, "--decimal", "x", code=2).output
    )


def test_a_tab_can_be_written_with_a_backslash(run, people):
    table = pd.read_csv(people)
    table.assign(job="a,b;c,d").to_csv("tabs.csv", index=False, sep="\t")
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", 1)
    run("predict", "m.pellucid", "tabs.csv", "--delimiter", "\\t")


def test_remarks_on_how_a_table_was_read_are_shown(run, people, monkeypatch):
    read = data.read_table

    def with_remark(path, **options):
        return replace(read(path, **options), remarks=("3 comment lines skipped",))

    monkeypatch.setattr(data, "read_table", with_remark)
    done = run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", 1)
    assert "people.csv: 3 comment lines skipped\n" in done.stderr
