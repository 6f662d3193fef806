"""The file of finished trials."""

import math

import pytest

from pellucid.cli.trials import Trial, TrialsFile
from pellucid.tables import TableError

SEARCH = {"seed": 0, "rows": 10, "settings": {"hidden_layer_sizes": (4, 2), "columns": None}}
FIRST = Trial(1, {"hidden_layer_sizes": (4, 2)}, 0.5, 1.25)
SECOND = Trial(2, {"dropout": 0.1}, math.inf, 0.5)


def test_trials_are_found_again(tmp_path):
    path = tmp_path / "trials.jsonl"
    file = TrialsFile(path, SEARCH)
    assert file.find(1, FIRST.parameters) is None
    file.add(FIRST)
    file.add(SECOND)
    again = TrialsFile(path, SEARCH)
    assert again.find(1, FIRST.parameters) == FIRST
    assert again.find(2, SECOND.parameters) == SECOND
    assert again.find(2, {"dropout": 0.2}) is None
    assert again.find(3, {}) is None
    assert len(path.read_text().splitlines()) == 3


def test_a_line_that_was_not_finished_is_repeated(tmp_path):
    path = tmp_path / "trials.jsonl"
    TrialsFile(path, SEARCH).add(FIRST)
    with path.open("a") as file:
        file.write('{"trial": 2, "err')
    file = TrialsFile(path, SEARCH)
    assert file.find(1, FIRST.parameters) == FIRST
    assert file.find(2, SECOND.parameters) is None
    file.add(SECOND)
    assert TrialsFile(path, SEARCH).find(2, SECOND.parameters) == SECOND


def test_another_search_and_other_files_are_refused(tmp_path):
    path = tmp_path / "trials.jsonl"
    TrialsFile(path, SEARCH)
    with pytest.raises(TableError, match="another search: seed was 0, and is 1 now"):
        TrialsFile(path, {**SEARCH, "seed": 1})
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="not a file of trials"):
        TrialsFile(path, SEARCH)
    assert path.read_text() == "a,b\n1,2\n"
    with pytest.raises(TableError, match="not a regular file"):
        TrialsFile(tmp_path, SEARCH)
