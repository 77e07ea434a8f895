"""Tables that would fill the memory, or are none."""

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from ssl_robust.data import unpacked
from ssl_robust.data.columns import read_table
from ssl_robust.run import UserError

TEXT = "path,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(500))
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def zipped(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", text)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [*PACKERS, "zip"])
def test_a_bomb_is_refused_and_a_table_is_not(tmp_path, kind, monkeypatch):
    pack = PACKERS.get(kind, zipped)
    (tmp_path / f"t.csv.{kind}").write_bytes(pack(TEXT.encode()))
    assert len(read_table(tmp_path / f"t.csv.{kind}")) == 500
    monkeypatch.setattr(unpacked, "_SMALL", 2**16)
    (tmp_path / f"b.csv.{kind}").write_bytes(pack(b"path\n" + b"a" * 2**22))
    with pytest.raises(UserError, match=r"unpacks [\d,]+ bytes to more than \d MiB, as no table of scans does"):
        read_table(tmp_path / f"b.csv.{kind}")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.csv", b"a" * (2**20 + 1), "its first line has no end"),
        ("t.csv.gz", gzip.compress(TEXT.encode())[:-20], "end-of-stream"),
        ("t.csv.gz", b"path,label\n", "gzipped"),
        ("t.csv.xz", b"path,label\n", "format not supported"),
        ("t.csv.zip", b"path,label\n", "not a zip file"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"cannot be read as a table \(.*{reason}.*\); expected a CSV in UTF-8"):
        read_table(tmp_path / name)


def test_a_file_of_gigabytes_without_a_byte_in_it(tmp_path):
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(UserError, match="is not in UTF-8"):
        read_table(tmp_path / "t.csv")
