import errno
import shutil
from collections import namedtuple

import pytest

from ssl_robust import cli, disk
from ssl_robust.files import UserError
from ssl_robust.stages import STAGES, Stage


def chained(inner: BaseException) -> RuntimeError:
    try:
        raise RuntimeError("could not save") from inner
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("2097152 requested and 783328 written"),  # NumPy's tofile
        Exception("I/O error: No space left on device (os error 28)"),  # safetensors
        chained(OSError(errno.EDQUOT, "Disk quota exceeded")),
    ],
)
def test_every_way_of_saying_that_the_disk_is_full(error):
    assert disk.is_full(error)


def test_a_failed_write_without_words_is_one_where_there_is_no_room(monkeypatch, tmp_path):
    error = RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file data/0")
    assert not disk.is_full(error, tmp_path)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    assert disk.is_full(error, tmp_path / "not" / "there")
    assert not disk.is_full(KeyError("column"), tmp_path)


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """`pretrain` on phantoms whose stage fails; returns the exit code."""

    def run(error, files=()):
        def stage(config):
            for name in files:
                (tmp_path / "run").mkdir(exist_ok=True)
                (tmp_path / "run" / name).write_text("{}")
            raise error

        monkeypatch.setattr("ssl_robust.cli._load", lambda place: stage)
        monkeypatch.setitem(STAGES, "pretrain", Stage("", "", ""))
        return cli.run(["pretrain", "data=phantoms", "method=simclr", f"out={tmp_path / 'run'}"])

    return run


@pytest.mark.parametrize(
    ("files", "sentence"), [((), "run the same command again"), (("run.json",), "with resume=true")]
)
def test_a_full_disk_is_one_sentence(failing, capsys, files, sentence):
    assert failing(OSError(errno.ENOSPC, "No space left on device"), files) == 2
    said = capsys.readouterr().err
    assert "is full; " in said
    assert sentence in said
    assert "Traceback" not in said


def test_other_errors_keep_their_traceback(failing):
    with pytest.raises(OSError, match="Input/output"):
        failing(OSError(errno.EIO, "Input/output error"))
    assert failing(UserError("no")) == 2
