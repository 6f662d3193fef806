"""`pellucid predict`."""

import pandas as pd


def test_truncated_model(run, people):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    path = people.with_name("m.pellucid")
    path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged" in run("predict", path, people, code=1).output


def test_prediction_needs_the_columns_but_not_the_target(run, people, tmp_path):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    table = pd.read_csv(people)
    table[["job", "age", "pay", "id"]].to_csv(tmp_path / "new.csv", index=False)
    run("predict", "m.pellucid", "new.csv")
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert "no column 'rich'" in done.output
    table[["job", "age", "pay"]].to_csv(tmp_path / "used.csv", index=False)
    assert (
        run("predict", "m.pellucid", "used.csv").stdout
        == run("predict", "m.pellucid", "new.csv").stdout
    )
    table.rename(columns={"age": "Age"}).to_csv(tmp_path / "new.csv", index=False)
    done = run("predict", "m.pellucid", "new.csv", code=1)
    assert "no column 'age'. Did you mean 'Age'?" in done.output
