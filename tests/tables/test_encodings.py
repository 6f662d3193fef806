import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.tables import TableError, read_table
from pellucid.tables.encodings import as_utf8

TEXT = "Ort,Höhe\nKöln,53\nParis,35\n"


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (TEXT.encode(), ()),
        (TEXT.encode("utf-8-sig"), ()),
        (TEXT.encode("utf-16"), ()),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), ()),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), ()),
        (TEXT.encode("latin-1"), ("read as Latin-1, as it is not UTF-8",)),
        (b"plain,text\n1,2\n", ()),
    ],
)
def test_recognized(data, remark):
    text, remarks = as_utf8(data, "t.csv")
    assert text.decode() == (TEXT if b"plain" not in data else "plain,text\n1,2\n")
    assert remarks == remark


def test_windows_1252_and_latin_1():
    assert as_utf8("Preis €,ß".encode("cp1252"), "t.csv") == (
        "Preis €,ß".encode(),
        ("read as Windows-1252, as it is not UTF-8",),
    )
    text, remarks = as_utf8(b"\x81\xe9", "t.csv")  # 0x81 is no character of Windows-1252.
    assert text.decode() == "\x81é"
    assert "Latin-1" in remarks[0]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-16", "utf-16-le", "cp437"])
@given(text=st.text(st.sampled_from("aé,\n1"), min_size=1))
def test_told_encoding(encoding, text):
    assert as_utf8(text.encode(encoding), "t.csv", encoding) == (text.encode(), ())


def test_damaged_utf8_names_the_line(write):
    path = write("Ort,Höhe\nKöln,53\n".encode() + b"Z\xfcrich,408\n")
    with pytest.raises(TableError, match=r"line 3: not UTF-8 text \(byte 0xfc\).*--encoding"):
        read_table(path)
    assert read_table(path, encoding="latin-1")["Ort"].values[1] == "Zürich"


def test_wrong_or_unknown_encoding(write):
    path = write(TEXT.encode("latin-1"))
    with pytest.raises(TableError, match="line 1: not UTF-8 text"):
        read_table(path, encoding="utf-8")
    with pytest.raises(TableError, match=r"'klingon' is unknown.*latin-1"):
        read_table(path, encoding="klingon")
    with pytest.raises(TableError, match="'base64' is unknown"):
        read_table(path, encoding="base64")


def test_utf16_without_mark(write):
    path = write(TEXT.encode("utf-16-le"))
    with pytest.raises(TableError, match=r"NUL bytes.*--encoding utf-16-le"):
        read_table(path)
    assert read_table(path, encoding="utf-16-le").names == ("Ort", "Höhe")


def test_a_codec_that_does_not_say_what_is_wrong(write):
    with pytest.raises(TableError, match=r"table.csv: not PUNYCODE text .*--encoding"):
        read_table(write("a b-\x7f \n1,2\n"), encoding="punycode")
