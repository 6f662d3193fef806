import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile

import pyarrow as pa
import pytest

from pellucid.tables import TableError, files, read_table
from pellucid.tables.files import read_content

TEXT = b"a,b\n1,x\n2,y\n"


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESSED = {
    "gzip": gzip.compress(TEXT),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zstd": zstd(TEXT),
    "zip": zipped({"table": TEXT}),
}


@pytest.mark.parametrize("name", ["t.csv", "t.gz", "t", "t.parquet"])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_content_decides_not_the_name(write, kind, name):
    table = read_table(write(COMPRESSED[kind], name))
    assert table.names == ("a", "b")
    assert table["a"].values.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["PAR1", "ARROW1", "FEA1"])
def test_text_that_begins_like_another_format(write, name):
    assert read_table(write(f"{name},b\n1,x\n")).names == (name, "b")


def test_plain_text_under_the_name_of_a_compressed_file(write):
    assert read_table(write(TEXT, "t.csv.gz")).names == ("a", "b")


def test_gzip_of_several_members_and_files_compressed_twice(write):
    data = gzip.compress(b"a,b\n1,x\n") + gzip.compress(b"2,y\n")
    assert read_content(write(data)).data == TEXT
    assert read_content(write(bz2.compress(COMPRESSED["zip"]))).data == TEXT


@pytest.mark.parametrize("kind", COMPRESSED)
def test_files_that_would_fill_the_memory(write, monkeypatch, kind):
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    path = write(COMPRESSED[kind], "t.csv")
    assert read_content(path).data == TEXT
    monkeypatch.setattr(files, "MOST_TIMES_LARGER", 0)
    with pytest.raises(TableError, match=r"t.csv: its content is more than .* unpack it"):
        read_content(path)


def test_workbooks_that_would_fill_the_memory(write, monkeypatch):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 100_000)
    path = write(file.getvalue(), "t.xlsx")
    assert read_content(path).kind == "excel"
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    with pytest.raises(TableError, match=r"t.xlsx: its content is more than 200 times"):
        read_content(path)


@pytest.mark.parametrize("kind", COMPRESSED)
def test_incomplete_compressed_file(write, kind):
    path = write(COMPRESSED[kind][:-8], "t.csv.gz")
    with pytest.raises(TableError, match=f"not a complete {kind} file.*again") as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_zip_of_one_file_among_folders_and_of_several(write):
    path = write(zipped({"data/": b"", "data/t.csv": TEXT, "__MACOSX/t": b"x"}), "t.zip")
    assert read_content(path).data == TEXT
    assert read_content(path).suffix == ".csv"
    with pytest.raises(TableError, match=r"holds 2 files \(a.csv, b.csv\).*Unpack"):
        read_table(write(zipped({"a.csv": TEXT, "b.csv": TEXT}), "t.zip"))


def test_zip_with_a_password(write):
    data = bytearray(COMPRESSED["zip"])
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        data[data.index(mark) + (6 if mark[2] == 3 else 8)] |= 1
    with pytest.raises(TableError, match=r"cannot be unpacked.*password"):
        read_table(write(bytes(data), "t.zip"))


def test_zstd_without_pyarrow(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match=r"zstd.*pip install 'pellucid\[tables\]'"):
        read_table(write(COMPRESSED["zstd"]))


def test_standard_input(monkeypatch):
    for data in (TEXT, COMPRESSED["gzip"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert read_table("-").names == ("a", "b")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(TableError, match="Standard input is empty"):
        read_table("-")


def test_what_is_no_table(write):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("t.csv"))
    for data, message in [
        (b"", "is empty"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "Excel file in the format of before"),
        (tar.getvalue(), "a tar archive. Unpack"),
        (bytes(range(32)), "not a text file"),
        (zipped({}), "an empty zip file"),
    ]:
        with pytest.raises(TableError, match=message):
            read_table(write(data))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(TableError, match="does not exist either"):
        read_table(tmp_path / "nowhere" / "absent.csv")


def test_a_zip_file_of_a_later_version(write):
    data = zipped({"t.csv": TEXT}).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xc1")
    with pytest.raises(TableError, match=r"t.zip cannot be unpacked: zip file version 19.3"):
        read_content(write(data, "t.zip"))
