"""A table as an office in Lyon might send it is read as the same table in plain CSV."""

import numpy as np
import pandas as pd
import pytest

from pellucid import load

N = 300


@pytest.fixture
def plain():
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 700, N), "D")
    size = rng.uniform(20, 200, N).round(1)
    table = pd.DataFrame(
        {
            "surface": size,
            "loyer": (25 * size + rng.normal(0, 100, N)).round(2),
            "remise": rng.integers(0, 30, N) / 2,
            "solde": rng.integers(-2000, 2000, N) / 4,
            "début": days,
            "visite": days + pd.to_timedelta(rng.integers(1, 12, N), "D"),
            "signé": days + pd.to_timedelta(40, "D"),
            "quartier": rng.choice(["Presqu'île", "Croix-Rousse", "Gerland"], N),
        }
    )
    table.loc[rng.random(N) < 0.1, "remise"] = None
    table["heure"] = rng.integers(8 * 60, 20 * 60, N) * 60.0
    table["prix"] = (3000 * size - 400 * table["remise"].fillna(5)).round(2)
    return table


def french(number):
    return f"{number:,.2f}".replace(",", "\u00a0").replace(".", ",")


@pytest.fixture
def messy(plain, tmp_path):
    table = pd.DataFrame(
        {
            "surface": plain["surface"].map(lambda x: f"{x:.1f}".replace(".", ",")),
            "loyer": plain["loyer"].map(lambda x: f"{french(x)} CHF"),
            "remise": plain["remise"].map(lambda x: "-" if np.isnan(x) else f"{french(x)} %"),
            "solde": plain["solde"].map(lambda x: f"({french(-x)})" if x < 0 else french(x)),
            "début": plain["début"].dt.strftime("%d/%m/%Y"),
            "visite": plain["visite"].dt.strftime("%Y-%m-%d"),
            "signé": plain["signé"].dt.strftime("%d %b %y"),
            "quartier": plain["quartier"],
            "heure": plain["heure"].map(lambda s: f"{int(s) // 3600}:{int(s) // 60 % 60:02}"),
            "prix": plain["prix"].map(french),
        }
    )
    path = tmp_path / "messy.csv"
    text = "# exporté le 3/1/2021\n" + table.to_csv(index=False, sep=";")
    path.write_bytes(text.encode("latin-1"))
    return path


def test_a_messy_table_is_read_right(run, plain, messy):
    done = run("train", messy, "--target", "prix", "--out", "m.pellucid", "--epochs", 2)
    output = " ".join(done.output.split())
    for told in (
        "messy.csv: read as Latin-1, as it is not UTF-8",
        "messy.csv: 1 comment line skipped",
        "messy.csv: numbers have a decimal comma, thousands are separated by blanks",
        "Target 'prix': regression",
        "'CHF' taken off",
        "('-' treated as missing), with decimal commas, '%' taken off",
        "parentheses read as minus",
        "read as day/month because of '",
        "times of day stored as text",
    ):
        assert told in output
    model = load("m.pellucid")
    plain["heure"] = pd.to_datetime(plain["heure"], unit="s")
    clean = plain.drop(columns="prix")
    clean.to_parquet("clean.parquet")
    run("predict", "m.pellucid", messy, "--out", "messy_predictions.csv")
    run("predict", "m.pellucid", "clean.parquet", "--out", "clean_predictions.csv")
    predicted = pd.read_csv("messy_predictions.csv").to_numpy()
    np.testing.assert_array_equal(predicted, pd.read_csv("clean_predictions.csv").to_numpy())
    np.testing.assert_allclose(predicted[:, 0], model.predict(clean), rtol=1e-12)
    scale = np.std(plain["prix"])
    assert abs(model.target_mean_ - plain["prix"].mean()) < scale, "the target is read right"
