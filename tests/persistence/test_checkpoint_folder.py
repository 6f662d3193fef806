import os

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
    others = [
        "epoch-1.pellucid",
        "epoch-0000001.pellucid",
        "epoch-٠٠٠٠٠١.pellucid",
        "epoch-000001.pellucid.txt",
        "model.pellucid",
        ".a.part",
        ".epoch-notes.pellucid.mine.part",
        ".epoch-000001.pellucid.mine.part",
    ]
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


@pytest.mark.parametrize("epoch", [0, 10**11])
def test_the_names_of_half_written_files_are_known(tmp_path, monkeypatch, epoch):
    seen, original = [], os.fsync

    def look(descriptor):
        seen.extend(names(tmp_path))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    folder = written(tmp_path, epoch)
    half = [name for name in seen if name.endswith(".part")]
    assert len(half) > 0
    (tmp_path / half[0]).write_bytes(b"half")
    folder.prepare()
    assert names(tmp_path) == [f"epoch-{epoch:06d}.pellucid"]


def test_one_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    folder = written(tmp_path, 1, 2, 3)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        folder.write(4, {}, ARRAYS)
    assert names(tmp_path) == [f"epoch-00000{epoch}.pellucid" for epoch in (1, 2, 3)]


def test_a_link_in_the_place_of_a_checkpoint_is_replaced_itself(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "run"
    mine.write_text("mine")
    folder.mkdir()
    for epoch, target in enumerate((mine, tmp_path / "absent", tmp_path)):
        (folder / f"epoch-00000{epoch}.pellucid").symlink_to(target)
    written(folder, 0, 1, 2)
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert CheckpointFolder(folder).newest().header["epoch"] == 2
    assert mine.read_text() == "mine"
    assert names(tmp_path) == ["mine", "run"]


def test_old_checkpoints_and_half_written_ones_are_removed_without_following_links(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    (mine / "file").write_text("mine")
    folder.mkdir()
    for name in ("epoch-000001", "epoch-000009"):
        (folder / f"{name}.pellucid").symlink_to(mine / "file")
    (folder / "epoch-000008.pellucid").symlink_to(mine)
    (folder / ".epoch-000002.pellucid.0123456789abcdef.part").symlink_to(mine / "file")
    CheckpointFolder(folder).prepare()
    written(folder, 2, 3, 4)
    assert names(folder) == [f"epoch-00000{epoch}.pellucid" for epoch in (2, 3, 4)]
    assert (mine / "file").read_text() == "mine"


def test_a_link_is_no_checkpoint(tmp_path):
    """Nothing here writes one; what it leads to may be of anyone."""
    for name in ("run", "theirs"):
        (tmp_path / name).mkdir()
    folder = written(tmp_path / "run", 1)
    link = folder.path / "epoch-000002.pellucid"
    link.symlink_to(tmp_path / "theirs" / link.name)
    written(tmp_path / "theirs", 2)
    with pytest.warns(UserWarning, match=r"000002.pellucid is a symbolic link, .*000001"):
        assert folder.newest().header["epoch"] == 1
    (folder.path / "epoch-000001.pellucid").unlink()
    with pytest.raises(ModelFileError, match=r"no checkpoint that is whole: .*a symbolic link"):
        folder.newest()


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    CheckpointFolder(tmp_path / "run").prepare()
    assert written(tmp_path / "run", 1).newest().header["epoch"] == 1
    assert names(tmp_path / "disk") == ["epoch-000001.pellucid"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_left_out_without_waiting(tmp_path):
    folder = written(tmp_path, 1)
    os.mkfifo(tmp_path / "epoch-000002.pellucid")
    (tmp_path / "epoch-000003.pellucid").mkdir()
    with pytest.warns(UserWarning, match="is left out") as caught:
        assert folder.newest().header["epoch"] == 1
    assert [warning.filename for warning in caught] == [__file__, __file__]
    messages = [str(warning.message) for warning in caught]
    assert "000003.pellucid is a directory" in messages[0]
    assert "000002.pellucid is a named pipe, not a regular file" in messages[1]
    with pytest.raises(ModelFileError, match="is a named pipe"):
        folder.write(2, {}, ARRAYS)


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    """It says so; but what can be written is written."""
    folder = CheckpointFolder(tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        folder.write(1, {"epoch": 1}, ARRAYS)
        for call in (folder.newest, folder.prepare):
            with pytest.raises(ModelFileError, match="Permission denied"):
                call()
    assert folder.newest().header["epoch"] == 1


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "\ud800"])
def test_names_that_no_folder_can_have(tmp_path, name):
    folder = CheckpointFolder(tmp_path / name)
    with pytest.raises(ModelFileError, match="must name a folder that can be written to"):
        folder.prepare()
    with pytest.raises(ModelFileError, match="cannot be read"):
        folder.newest()
    with pytest.raises(ModelFileError, match="could not be written"):
        folder.write(1, {}, ARRAYS)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    folder = CheckpointFolder(tmp_path / "file")
    with pytest.raises(ModelFileError, match="must name a folder that can be written to"):
        folder.prepare()
    with pytest.raises(ModelFileError, match="holds no checkpoint"):
        folder.newest()
    with pytest.raises(ModelFileError, match="does not exist"):
        folder.write(1, {}, ARRAYS)
