import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from peak_memory import peak_raised_by

from pellucid.persistence import ModelFileError, read_model_file, write_model_file
from pellucid.persistence.file import MOST_HEADER_MEMORY, _memory_of

HEADER = {"estimator": "Some", "params": {"alpha": 0.1, "sizes": [3, 4]}, "state": {"π": "ü"}}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "0.W": rng.normal(size=(5, 3)),
        "0.b": rng.normal(size=3).astype(np.float32),
        "empty": np.zeros((0, 4)),
        "scalar": np.array(7, dtype=np.int64),
        "flags": np.array([True, False]),
    }


@pytest.fixture
def path(tmp_path, arrays):
    write_model_file(tmp_path / "m.pellucid", HEADER, arrays)
    return tmp_path / "m.pellucid"


def assert_same(arrays, others):
    assert set(arrays) == set(others)
    for name, array in arrays.items():
        assert array.dtype == others[name].dtype
        assert array.shape == others[name].shape
        assert array.tobytes() == others[name].tobytes()


def test_round_trip(path, arrays):
    header, read = read_model_file(path)
    assert header == {**HEADER, "format_version": 1}
    assert_same(arrays, read)
    assert all(array.flags.writeable for array in read.values())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.text(max_size=5),
        hnp.arrays(
            st.sampled_from(["f4", "f8", "i8", "u1", "?"]), hnp.array_shapes(min_dims=0, min_side=0)
        ),
        max_size=4,
    ),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
)
def test_any_content_round_trips(tmp_path_factory, arrays, state):
    arrays.pop("__metadata__", None)
    path = tmp_path_factory.mktemp("any") / "m.pellucid"
    write_model_file(path, {"state": state}, arrays)
    header, read = read_model_file(path)
    assert header["state"] == state
    assert_same(arrays, read)


def test_order_of_bytes_and_of_elements_does_not_matter(tmp_path):
    W = np.arange(6.0).reshape(2, 3)
    write_model_file(tmp_path / "m", {}, {"big": W.astype(">f8"), "fortran": np.asfortranarray(W)})
    _, read = read_model_file(tmp_path / "m")
    np.testing.assert_array_equal(read["big"], W)
    np.testing.assert_array_equal(read["fortran"], W)


def test_arrays_of_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="'x' must hold numbers or booleans"):
        write_model_file(tmp_path / "m", {}, {"x": np.array([object()])})
    assert list(tmp_path.iterdir()) == []


def test_two_thousand_random_mutations(path, arrays):
    original = path.read_bytes()
    rng = np.random.default_rng(1)
    n_refused = 0
    for _ in range(2000):
        path.write_bytes(mutated(original, rng))
        try:
            header, read = read_model_file(path)
        except ModelFileError:
            n_refused += 1
        else:
            assert header == {**HEADER, "format_version": 1}
            assert_same(arrays, read)
    assert n_refused > 1900


def mutated(data, rng):
    data = bytearray(data)
    position = int(rng.integers(len(data)))
    kind = rng.integers(6)
    if kind == 0:
        data[position] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[position] = int(rng.integers(256))
    elif kind == 2:
        del data[position:]
    elif kind == 3:
        del data[position : position + int(rng.integers(1, 9))]
    elif kind == 4:
        data[position:position] = rng.bytes(int(rng.integers(1, 9)))
    else:
        data[int(rng.integers(8))] = int(rng.integers(256))
    return bytes(data)


def forged(metadata, entries=(), data=b""):
    header = json.dumps({"__metadata__": metadata, **dict(entries)}).encode()
    return len(header).to_bytes(8, "little") + header + data


def signed(text):
    return {"pellucid": f"{sha256(text.encode()).hexdigest()} {text}"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "only 0 bytes"),
        (b"1234567", "only 7 bytes"),
        (b"a,b\n1,2\n3,4\n" * 100, "not a Pellucid model"),
        (b"\x80\x04\x95" + b"x" * 100, "not a Pellucid model"),
        ((2**63).to_bytes(8, "little") + b"{}", "not a Pellucid model"),
        ((50_000_000).to_bytes(8, "little") + b"{" + b" " * 100, "truncated"),
        ((10).to_bytes(8, "little") + b"{not json}", "not JSON"),
        ((20_000).to_bytes(8, "little") + b'{"a":' + b"[" * 19_995, "not JSON"),
        (forged({"format": "pt"}), "safetensors file but not a Pellucid model"),
        (forged(signed("[]")), "not a JSON object"),
        (forged(signed("{")), "not JSON"),
        (forged(signed('{"format_version":2}')), "newer Pellucid .*pip install --upgrade"),
        (forged(signed('{"format_version":"1"}')), "not a format version"),
        (forged(signed("{}")), "not a format version"),
        (forged({"pellucid": '0 {"format_version":1}'}), "checksum"),
        (
            forged(
                signed('{"format_version":1}'),
                {"W": {"dtype": "F64", "shape": [10**9, 10**9], "data_offsets": [0, 8]}},
                b"x" * 8,
            ),
            "arrays cannot be read",
        ),
        (
            forged(
                signed('{"format_version":1}'),
                {"W": {"dtype": "F64", "shape": [1], "data_offsets": [0, 2**60]}},
                b"x" * 8,
            ),
            "arrays cannot be read",
        ),
        (
            forged(
                signed('{"format_version":1}'),
                {"W": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 8]}},
                b"x" * 8,
            ),
            "arrays cannot be read",
        ),
    ],
)
def test_hostile_and_foreign_files(tmp_path, content, message):
    path = tmp_path / "m.pellucid"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        read_model_file(path)


def test_every_truncation(path):
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            read_model_file(path)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        read_model_file(tmp_path / "absent")
    with pytest.raises(ModelFileError, match="is a directory"):
        read_model_file(tmp_path)
    with pytest.raises(ModelFileError, match="is a directory"):
        write_model_file(tmp_path, {}, {})
    with pytest.raises(ModelFileError, match="does not exist"):
        write_model_file(tmp_path / "nowhere" / "m", {}, {})
    with pytest.raises(ModelFileError, match="not a regular file"):
        write_model_file(os.devnull, {}, {})


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file(path, arrays, monkeypatch, step):
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ModelFileError, match="No space left on device"):
        write_model_file(path, {"new": 1}, arrays)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name], "nothing half written"


def test_a_disk_that_fills_up_while_writing(path):
    """A limit on the size of files stops the write in the middle, as a full disk does."""
    before = path.read_bytes()
    script = f"""
        import resource, numpy as np
        from pellucid.persistence import ModelFileError, write_model_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        try:
            write_model_file({str(path)!r}, {{}}, {{"W": np.zeros(100_000)}})
        except ModelFileError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert "could not be written" in done.stdout
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_permissions_follow_the_umask_and_links_are_followed(tmp_path):
    old = os.umask(0o027)
    try:
        write_model_file(tmp_path / "m", {}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to(tmp_path / "m")
    write_model_file(tmp_path / "link", {"new": 1}, {})
    assert (tmp_path / "link").is_symlink()
    assert read_model_file(tmp_path / "m")[0]["new"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o664, 0o777])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_that_is_replaced_keeps_its_mode(path, mode, umask):
    path.chmod(mode)
    old = os.umask(umask)
    try:
        write_model_file(path, {"new": 1}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert read_model_file(path)[0]["new"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
def test_a_private_file_is_private_while_it_is_written(path, monkeypatch):
    path.chmod(0o600)
    modes = []
    original = os.fsync

    def fail(*_):
        raise PermissionError(1, "this file system has no modes")

    def look(descriptor):
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    monkeypatch.setattr(os, "fchmod", fail)
    write_model_file(path, {}, {})
    assert modes[0] == 0o600


def test_a_link_is_replaced_where_it_must_not_be_followed(path, tmp_path):
    before, link = path.read_bytes(), tmp_path / "link"
    path.chmod(0o640)
    for target in (path, tmp_path / "absent", tmp_path, link):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(ModelFileError, match=r"is a symbolic link, not a regular file"):
            read_model_file(link, follow_links=False)
        write_model_file(link, {"new": 1}, {}, follow_links=False)
        assert not link.is_symlink()
        assert read_model_file(link, follow_links=False)[0]["new"] == 1
        assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link", path.name]


def test_a_link_that_leads_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ModelFileError, match="cannot be read: Too many levels"):
        read_model_file(tmp_path / "loop")
    with pytest.raises(ModelFileError, match="not a regular file"):
        write_model_file(tmp_path / "loop", {}, {})
    assert [file.name for file in tmp_path.iterdir()] == ["loop"]


@contextmanager
def made(kind, folder):
    """Make a file that is not regular, and return its path."""
    path = folder / "m"
    if kind == "pipe":
        os.mkfifo(path)
        yield path
    elif kind == "link to a pipe":
        os.mkfifo(folder / "pipe")
        path.symlink_to(folder / "pipe")
        yield path
    elif kind == "device":
        yield os.devnull
    else:
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(folder)  # the name of a socket must be short
            server.bind(path.name)
            yield path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "socket"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    with made(kind, tmp_path) as path:
        message = f"is a (named )?{kind.split()[-1]}, not a regular file"
        with pytest.raises(ModelFileError, match=message):
            read_model_file(path)
        with pytest.raises(ModelFileError, match=message):
            write_model_file(path, {}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_that_takes_the_place_of_a_file_meanwhile(path, monkeypatch):
    """It comes after the first look at the file."""
    regular, look = os.stat(path), os.stat
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda p, **k: regular if p == path else look(p, **k))
    with pytest.raises(ModelFileError, match="is a named pipe, not a regular file"):
        read_model_file(path)


def test_a_file_that_becomes_shorter_while_it_is_read(path, monkeypatch):
    """Its size is that of the first look."""
    data, whole = path.read_bytes(), path.stat()
    monkeypatch.setattr(os, "fstat", lambda _: whole)
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            read_model_file(path)


@contextmanager
def without_privileges():
    """Let permissions count, for root too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared_folder():
    """Return a folder that anyone may use."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no users")
def test_files_and_folders_without_permission(shared_folder):
    path, inner = shared_folder / "m", shared_folder / "inner"
    write_model_file(path, {}, {})
    inner.mkdir()
    path.chmod(0o000)
    inner.chmod(0o000)
    shared_folder.chmod(0o555)
    with without_privileges():
        for unreadable in (path, inner / "m"):
            with pytest.raises(ModelFileError, match="cannot be read: Permission denied"):
                read_model_file(unreadable)
        for unwritable in (path, shared_folder / "new", inner / "m"):
            with pytest.raises(ModelFileError, match="could not be written: Permission denied"):
                write_model_file(unwritable, {}, {})
    shared_folder.chmod(0o700)
    assert sorted(os.listdir(shared_folder)) == ["inner", "m"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no users")
def test_a_folder_that_can_be_written_to_but_not_listed(shared_folder):
    """Flushing such a folder fails, after the file is there."""
    shared_folder.chmod(0o333)
    with without_privileges():
        write_model_file(shared_folder / "m", {"new": 1}, {})
    assert read_model_file(shared_folder / "m")[0]["new"] == 1


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "\ud800", "a" * 5000])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_model_file(tmp_path / name)
    with pytest.raises(ModelFileError, match="could not be written"):
        write_model_file(tmp_path / name, {}, {})


@pytest.mark.parametrize("name", ["模" * 80, "é" * 120, "a" * 255, "\udcff", "模 型.pellucid"])
def test_long_names_and_names_in_any_script(tmp_path, name):
    write_model_file(tmp_path / name, {"new": 1}, {})
    assert read_model_file(tmp_path / name)[0]["new"] == 1
    assert os.listdir(tmp_path) == [name]


def test_a_folder_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ModelFileError, match="could not be written"):
        write_model_file("m", {}, {})
    with pytest.raises(ModelFileError, match="no such file"):
        read_model_file("m")


def test_a_path_below_a_file(path):
    with pytest.raises(ModelFileError, match="cannot be read: Not a directory"):
        read_model_file(path / "m")
    with pytest.raises(ModelFileError, match=r"the folder .* does not exist"):
        write_model_file(path / "m", {}, {})


def test_a_shape_of_very_many_numbers_is_refused_at_once(tmp_path):
    """Their product alone would take minutes."""
    path = tmp_path / "m"
    entry = {"dtype": "F64", "shape": [10**18] * 250_000, "data_offsets": [0, 8]}
    path.write_bytes(forged(signed('{"format_version":1}'), {"W": entry}, b"x" * 8))
    with pytest.raises(ModelFileError, match="at most 64 dimensions"):
        read_model_file(path)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited in Linux's way")
def test_a_file_larger_than_memory_is_refused(tmp_path):
    """It takes no room on the disk: all of its data are one hole."""
    size = 2**30
    entry = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    path = tmp_path / "m.pellucid"
    path.write_bytes(forged(signed('{"format_version":1}'), {"W": entry}))
    os.truncate(path, path.stat().st_size + size)
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from fuzzing.watch import memory_limit
        from pellucid.persistence import ModelFileError, read_model_file
        with memory_limit(2**28):
            try:
                read_model_file({str(path)!r})
            except ModelFileError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert "cannot be read: Unable to allocate 1.00 GiB" in done.stdout


def test_a_header_of_thousands_of_columns_is_read_again(tmp_path):
    """A character beyond ASCII must not count as if it made all others wide."""
    header = {"columns": [[1.234] * 40] * 6_500, "R²": "größe \\\\u"}
    write_model_file(tmp_path / "m", header, {})
    assert read_model_file(tmp_path / "m")[0] == header | {"format_version": 1}


def test_characters_beyond_ascii_count_where_they_are():
    plain, wide = json.dumps(["a" * 1_000, "é"]), json.dumps(["a" * 1_000 + "é"])
    assert _memory_of(wide) > _memory_of(plain) + 10_000
    assert _memory_of(json.dumps(["a" * 1_000 + "\\u"])) < _memory_of(plain) + 1_000
    assert _memory_of(wide.removesuffix('"]')) > _memory_of(plain) + 10_000  # not closed


@pytest.mark.parametrize("length", [MOST_HEADER_MEMORY, 99_999_999])
def test_nothing_larger_than_the_file_is_allocated(tmp_path, length):
    """A small file that claims to be huge must be refused in little memory."""
    path = tmp_path / "m.pellucid"
    path.write_bytes(length.to_bytes(8, "little") + b"{" + b" " * 1000)
    setup = f"""
        import safetensors.numpy
        from pellucid.persistence import ModelFileError, read_model_file
        path = {str(path)!r}
    """
    code = """
        try:
            read_model_file(path)
        except ModelFileError:
            pass
        else:
            raise AssertionError("the file was read")
    """
    assert peak_raised_by(code, setup) < 4 * 2**20
