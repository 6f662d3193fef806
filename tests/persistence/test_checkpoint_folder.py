import numpy as np
import pytest

from pellucid.persistence import CheckpointFolder, ModelFileError

ARRAYS = {"a": np.arange(3.0)}


def names(path):
    return sorted(file.name for file in path.iterdir())


def written(path, *epochs):
    folder = CheckpointFolder(path)
    for epoch in epochs:
        folder.write(epoch, {"epoch": epoch}, ARRAYS)
    return folder


def test_the_newest_is_read_and_the_three_newest_are_kept(tmp_path):
    folder = written(tmp_path, 8, 9, 10, 999_999, 1_000_000)
    assert names(tmp_path) == [f"epoch-{epoch}.pellucid" for epoch in ("000010", 1000000, 999999)]
    stored = folder.newest()
    assert stored.header["epoch"] == 1_000_000
    assert stored.path == tmp_path / "epoch-1000000.pellucid"
    np.testing.assert_array_equal(stored.arrays["a"], ARRAYS["a"])


def test_checkpoints_of_later_epochs_are_those_of_another_training(tmp_path):
    written(tmp_path, 5, 6, 7, 0, 1)
    assert names(tmp_path) == ["epoch-000000.pellucid", "epoch-000001.pellucid"]


def test_other_files_are_left_alone(tmp_path):
    others = ["epoch-1.pellucid", "epoch-000001.pellucid.txt", "model.pellucid", ".a.part"]
    for name in others:
        (tmp_path / name).write_text("mine")
    folder = CheckpointFolder(tmp_path)
    folder.prepare()
    assert folder.files() == []
    written(tmp_path, 5, 0)
    assert names(tmp_path) == sorted([*others, "epoch-000000.pellucid"])


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data * 2]
)
def test_a_damaged_one_is_warned_of_and_the_one_before_is_read(tmp_path, damage):
    folder = written(tmp_path, 1, 2)
    newest = tmp_path / "epoch-000002.pellucid"
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match="000002.*Going on from epoch-000001.pellucid instead"):
        assert folder.newest().header["epoch"] == 1
    (tmp_path / "epoch-000001.pellucid").unlink()
    with pytest.raises(ModelFileError, match=r"no checkpoint that is whole: .*000002"):
        folder.newest()


def test_a_folder_without_any_says_what_to_do(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelFileError, match=r"holds no checkpoint to go on from.*fit"):
            CheckpointFolder(path).newest()


def test_the_folder_is_made_and_what_was_half_written_removed(tmp_path):
    folder = CheckpointFolder(tmp_path / "a" / "b")
    folder.prepare()
    (folder.path / ".epoch-000002.pellucid.0123456789abcdef.part").write_bytes(b"half")
    folder.prepare()
    assert names(folder.path) == []


def test_one_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    folder = written(tmp_path, 1, 2, 3)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        folder.write(4, {}, ARRAYS)
    assert names(tmp_path) == [f"epoch-00000{epoch}.pellucid" for epoch in (1, 2, 3)]
