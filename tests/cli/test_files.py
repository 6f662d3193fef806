"""What commands never write over, and what only with `--force`."""

import io
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pellucid import TabularClassifier, load
from pellucid.cli.files import check_can_write
from pellucid.tables import TableError

QUICK = ("--target", "rich", "--epochs", 1, "--hidden", "4")


@pytest.fixture
def model(run, people):
    run("train", people, *QUICK, "--out", "m.pellucid")


def folder_of(path):
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}


def link(kind, people):
    other = people.with_name("other.csv")
    if kind == "symbolic":
        other.symlink_to(people)
    elif kind == "hard":
        os.link(people, other)
    else:
        return people.parent / "." / people.name
    return other


@pytest.mark.parametrize("kind", ["the same", "symbolic", "hard"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_table_that_is_read_is_never_written_over(run, model, people, kind, force):
    out = link(kind, people)
    before = folder_of(people)
    for command in (
        ["train", people, *QUICK],
        ["tune", people, *QUICK, "--trials", 1],
        ["predict", "m.pellucid", people],
    ):
        done = run(*command, "--out", out, *force, code=1)
        assert "would be written over" in done.output
        assert "epoch" not in done.output
    assert folder_of(people) == before


@pytest.mark.parametrize("option", ["--test-table", "--validation"])
def test_nor_is_another_table_of_a_training(run, people, tmp_path, option):
    other = tmp_path / "other.csv"
    other.write_bytes(people.read_bytes())
    done = run("train", people, *QUICK, option, other, "--out", other, "--force", code=1)
    assert "other.csv is an input" in done.output
    assert other.read_bytes() == people.read_bytes()


def test_nor_is_a_model_that_is_read(run, model, people):
    before = folder_of(people)
    for command in (
        ["predict", "m.pellucid", people, "--out", "m.pellucid", "--force"],
        ["export", "m.pellucid", "--onnx", "m.pellucid", "--force"],
    ):
        assert "m.pellucid is an input" in run(*command, code=1).output
    assert folder_of(people) == before


def test_nor_is_a_database(run, people, tmp_path):
    file = tmp_path / "t.db"
    with closing(sqlite3.connect(file)) as database:
        pd.read_csv(people).to_sql("people", database, index=False)
    before = file.read_bytes()
    for address in ("sqlite:///t.db#people", f"sqlite:///{file}#people", "t.db"):
        done = run("train", address, *QUICK, "--out", file, "--force", code=1)
        assert "t.db is an input" in done.output
    assert file.read_bytes() == before
    with pytest.raises(TableError, match=r"people.csv is an input"):
        check_can_write(people, [Path(f"{people}#first sheet")], force=True)


def test_nor_is_a_file_that_matches_a_pattern(run, people, tmp_path):
    before = people.read_bytes()
    done = run("train", "peop*.csv", *QUICK, "--out", people, "--force", code=1)
    assert "people.csv is an input" in done.output
    assert people.read_bytes() == before


@pytest.mark.parametrize("how", ["symbolic", "hard"])
def test_nor_is_a_file_that_is_linked_from_a_folder(run, people, tmp_path, how):
    before = people.read_bytes()
    linked = tmp_path / "folder" / "linked.csv"
    linked.parent.mkdir()
    linked.symlink_to(people) if how == "symbolic" else os.link(people, linked)
    done = run("train", "folder", *QUICK, "--out", people, "--force", code=1)
    assert "people.csv is an input" in done.output
    assert people.read_bytes() == before


def test_nor_are_checkpoints(run, people, tmp_path):
    train = ["train", people, *QUICK, "--checkpoints", "folder"]
    run(*train, "--out", "m.pellucid")
    checkpoint = tmp_path / "folder" / "epoch-000001.pellucid"
    before = checkpoint.read_bytes()
    done = run(*train, "--out", checkpoint, "--force", "--resume", code=1)
    assert "would be written over" in done.output
    assert checkpoint.read_bytes() == before


def test_checkpoints_of_another_training_are_kept(run, people, tmp_path):
    train = ["train", people, *QUICK, "--out", "m.pellucid", "--checkpoints", "folder"]
    run(*train)
    before = folder_of(tmp_path / "folder" / "any")
    for table in (people, "absent.csv"):  # Told before it is read.
        done = run("train", table, *train[2:], "--seed", 1, code=1)
        assert "folder has checkpoints of another training" in done.output
        assert "--resume" in done.output
        assert "--force" in done.output
    assert folder_of(tmp_path / "folder" / "any") == before
    run(*train, "--resume")
    run(*train, "--seed", 1, "--force")
    assert folder_of(tmp_path / "folder" / "any") != before


def test_what_a_command_writes_is_checked_before_it_reads(run, people, tmp_path):
    tune = ["tune", "absent.csv", *QUICK, "--out", "t"]
    done = run(*tune, "--save-trials", tmp_path / "t", code=1)
    assert "--save-trials and --out are both" in done.output
    assert "no/where: the folder" in run(*tune, "--save-trials", "no/where", code=1).output
    assert "not a file of trials" in run(*tune, "--save-trials", people, code=1).output
    done = run("tune", people, *QUICK, "--out", "t", "--save-trials", people, code=1)
    assert "people.csv is an input" in done.output
    train = ["train", "absent.csv", *QUICK, "--out", "t", "--checkpoints"]
    assert "--checkpoints and --out are both t" in run(*train, "t", code=1).output
    assert "must name a folder, but is a file" in run(*train, people, code=1).output


def test_nor_is_what_standard_input_reads(people, monkeypatch):
    with people.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(TableError, match=r"people.csv is an input"):
            check_can_write(people, [Path("-")], force=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("a,b\n"))
    with pytest.raises(TableError, match="--force"):
        check_can_write(people, [Path("-")])


def test_another_file_is_replaced_with_force_only(run, model, people, tmp_path):
    other = tmp_path / "thesis.txt"
    commands = [
        ["train", people, *QUICK, "--out", other],
        ["tune", people, *QUICK, "--trials", 1, "--out", other],
    ]
    for command in commands:
        other.write_text("years of work")
        done = run(*command, code=1)
        assert "thesis.txt exists and is not a model of Pellucid" in done.output
        assert "--force" in done.output
        assert "Target" not in done.output, "told before any work"
        assert other.read_text() == "years of work"
        run(*command, "--force")
        assert isinstance(load(other), TabularClassifier)


def test_a_model_replaces_a_model(run, model, people):
    run("train", people, *QUICK, "--out", "m.pellucid", "--seed", 1)
    assert load("m.pellucid").random_state == 1


def test_predictions_replace_a_file_with_force_only(run, model, people, tmp_path):
    predict = ["predict", "m.pellucid", people, "--out"]
    run(*predict, "p.csv")
    assert "p.csv exists" in run(*predict, "p.csv", code=1).output
    run(*predict, "p.csv", "--force")
    other = tmp_path / "other.csv"
    other.write_bytes((tmp_path / "m.pellucid").read_bytes())
    assert "other.csv exists" in run(*predict, other, code=1).output


def test_an_export_replaces_a_file_with_force_only(run, model, tmp_path):
    pytest.importorskip("onnx", reason="needs onnx")
    (tmp_path / "m.onnx").write_text("mine")
    export = ["export", "m.pellucid", "--onnx", "m.onnx"]
    assert "m.onnx exists" in run(*export, code=1).output
    assert (tmp_path / "m.onnx").read_text() == "mine"
    run(*export, "--force")


def test_a_model_is_not_written_to_standard_output(run, model, people, tmp_path):
    for command in (
        ["train", people, *QUICK, "--out", "-"],
        ["export", "m.pellucid", "--onnx", "-"],
    ):
        assert "cannot be written to standard output" in run(*command, code=1).output
    assert not (tmp_path / "-").exists()


def test_places_that_no_file_can_be_written_to(tmp_path):
    with pytest.raises(TableError, match="is a directory"):
        check_can_write(tmp_path, [])
    with pytest.raises(TableError, match=r"the folder .*absent does not exist"):
        check_can_write(tmp_path / "absent" / "m.pellucid", [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TableError, match="not a regular file"):
        check_can_write(tmp_path / "pipe", [], force=True)


def test_an_export_is_not_written_by_train(run, people):
    for command in ("train", "tune"):
        done = run(command, people, *QUICK, "--out", "m.onnx", code=1)
        assert "pellucid export MODEL --onnx m.onnx" in done.output


def test_a_model_among_tables_is_no_table(run, people, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    people.rename(folder / people.name)
    for _ in range(2):
        done = run("train", "tables", *QUICK, "--out", "tables/m.pellucid")
        assert "480 rows for training" in done.output
    (folder / "m.pellucid").rename("m.model")
    for table in ("m.model", "m.mod*"):
        done = run("evaluate", "m.model", table, code=1)
        assert "m.model is a model of Pellucid. Pass a table." in done.output
