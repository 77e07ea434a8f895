import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ssl_robust.files import UserError
from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.ledger import Ledger, _parsed

FIRST = Answer("a-1", "train/0", "benign", "malignant", "Müller", "2026-01-01T10:00:00Z", 2.5, "rank", False, "1.0")
# Appends from another process, one answer after the other, and says which were confirmed.
WRITER = """
import sys
from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.ledger import Ledger
ledger = Ledger(sys.argv[1])
for number in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{number}"
    ledger.append(Answer(name, name, None, "benign" * 300, sys.argv[2], "2026-01-01T10:00:00Z", 1.0, "rank", True, "1"))
    print(name, flush=True)
"""


def another(name, **values):
    return dataclasses.replace(FIRST, id=name, **values)


def test_answers_come_back_as_they_were(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    hostile = another("a-2", sample_id='\udcff/"\n\r\u2028,=1+1.png', answer=None, seconds=0, given=None)
    undo = another("a-3", answer=None, undoes="a-2")
    assert ledger.append(FIRST)
    assert ledger.extend([hostile, undo]) == 2
    assert ledger.read() == Ledger(ledger.path).read() == [FIRST, hostile, undo]
    assert len(ledger.path.read_bytes().splitlines()) == 3
    assert "Müller" in ledger.path.read_text(encoding="utf-8"), "a person can read it"


def test_an_answer_that_arrives_twice_counts_once(tmp_path):
    ledger, other = Ledger(tmp_path / "l.jsonl"), Ledger(tmp_path / "l.jsonl")
    assert ledger.append(FIRST)
    assert not other.append(another("a-1", answer="benign")), "written by somebody else meanwhile"
    assert other.extend([FIRST, another("a-2"), another("a-2", answer="benign")]) == 1
    assert ledger.read() == [FIRST, another("a-2")]
    assert "a-2" in ledger
    assert len(ledger) == 2


def test_a_ledger_that_nobody_wrote_to_is_empty_and_makes_no_file(tmp_path):
    assert Ledger(tmp_path / "l.jsonl").read() == []
    assert not any(tmp_path.iterdir())


def test_only_what_was_added_is_read(tmp_path, monkeypatch):
    ledger, other = Ledger(tmp_path / "l.jsonl"), Ledger(tmp_path / "l.jsonl")
    ledger.extend(another(f"a-{number}") for number in range(200))
    assert len(other.read()) == 200
    ledger.append(another("b"))
    parsed = []
    monkeypatch.setattr("ssl_robust.relabel.ledger._parsed", lambda line: parsed.append(line) or _parsed(line))
    assert [len(other.read()), len(other.read())] == [201, 201]
    assert [_parsed(line).id for line in parsed] == ["b"]


@pytest.mark.parametrize("kept", [1, 50, -2])
def test_a_torn_last_line_is_cut_off_and_said(tmp_path, capsys, kept):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).extend([FIRST, another("a-2")])
    whole = path.read_bytes()
    second = whole.splitlines(keepends=True)[1]
    path.write_bytes(whole[: -len(second)] + second[:kept])
    ledger = Ledger(path)
    assert ledger.read() == [FIRST]
    assert "torn by a crash" in capsys.readouterr().err
    assert (tmp_path / "ledger.torn").read_bytes() == second[:kept] + b"\n"
    assert ledger.append(another("a-2")), "it was never confirmed, so it is sent again"
    assert path.read_bytes() == whole
    assert Ledger(path).read() == [FIRST, another("a-2")]
    assert not capsys.readouterr().err


def test_zeros_that_a_power_cut_left_are_torn_too(tmp_path, capsys):
    path = tmp_path / "l.jsonl"
    Ledger(path).append(FIRST)
    for rest in (b"\0" * 300, b"\0" * 200 + b'"version": "1"}\n', b"{}\r"):
        with path.open("ab") as file:
            file.write(rest)
        assert Ledger(path).read() == [FIRST]
        assert "torn" in capsys.readouterr().err


def test_a_line_that_lacks_its_end_alone_is_kept(tmp_path, capsys):
    path = tmp_path / "l.jsonl"
    Ledger(path).append(FIRST)
    path.write_bytes(path.read_bytes()[:-1])
    ledger = Ledger(path)
    assert ledger.append(another("a-2"))
    assert Ledger(path).read() == ledger.read() == [FIRST, another("a-2")]
    assert len(path.read_bytes().splitlines()) == 2
    assert not capsys.readouterr().err


def test_a_line_torn_while_the_ledger_is_open_is_not_written_to(tmp_path, capsys):
    path = tmp_path / "l.jsonl"
    ledger = Ledger(path)
    ledger.append(FIRST)
    with path.open("ab") as file:
        file.write(b'{"id": "half')  # of a process that died
    assert ledger.append(another("a-2"))
    assert Ledger(path).read() == [FIRST, another("a-2")]
    assert "torn" in capsys.readouterr().err


def test_a_damaged_line_in_the_middle_is_never_passed_over(tmp_path):
    path = tmp_path / "l.jsonl"
    Ledger(path).extend([FIRST, another("a-2"), another("a-3")])
    lines = path.read_bytes().splitlines(keepends=True)
    before = lines[0] + lines[1].replace(b"benign", b'beni"gn') + lines[2]
    path.write_bytes(before)
    with pytest.raises(UserError, match=r"line 2 of .*l\.jsonl is no answer"):
        Ledger(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "values", [{"shown": "somehow"}, {"seconds": float("nan")}, {"seconds": "1"}, {"answer": 3}, {"blind": None}]
)
def test_what_would_not_read_back_is_not_written(tmp_path, values):
    ledger = Ledger(tmp_path / "l.jsonl")
    with pytest.raises(ValueError, match=r"does not fit into a ledger|not JSON compliant"):
        ledger.extend([FIRST, another("a-2", **values)])
    assert ledger.read() == []


def test_a_last_line_that_only_a_newer_version_knows_is_not_cut_off(tmp_path):
    path = tmp_path / "l.jsonl"
    Ledger(path).append(FIRST)
    later = json.dumps({**dataclasses.asdict(another("a-2")), "shown": "in a dream"}) + "\n"
    whole = path.read_text(encoding="utf-8") + later
    path.write_text(whole, encoding="utf-8")
    with pytest.raises(UserError, match="line 2 of .* is no answer that this version knows"):
        Ledger(path)
    assert path.read_text(encoding="utf-8") == whole


def test_what_a_newer_version_adds_to_a_line_is_passed_over(tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({**dataclasses.asdict(FIRST), "mood": "tired"}) + "\n", encoding="utf-8")
    assert Ledger(path).read() == [FIRST]


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append(FIRST)
    before = ledger.path.read_bytes()
    sync = os.fsync

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ledger.append(another("a-2"))
    monkeypatch.setattr(os, "fsync", sync)
    assert ledger.path.read_bytes() == before
    assert ledger.append(another("a-2"))
    assert Ledger(ledger.path).read() == [FIRST, another("a-2")]


def test_every_answer_is_on_the_disk_before_it_is_confirmed(tmp_path, monkeypatch):
    ledger, synced = Ledger(tmp_path / "l.jsonl"), []
    sync = os.fsync

    def seen(number):
        synced.append(ledger.path.read_bytes())
        sync(number)

    monkeypatch.setattr(os, "fsync", seen)
    ledger.append(FIRST)
    assert synced[0] == ledger.path.read_bytes() != b""
    n = len(synced)
    ledger.append(another("a-2"))
    assert len(synced) == n + 1


def test_threads_with_one_ledger_and_with_their_own_lose_nothing(tmp_path):
    shared = Ledger(tmp_path / "l.jsonl")

    def work(name, ledger):
        for number in range(25):
            assert ledger.append(another(f"{name}-{number}"))
            ledger.append(another(f"all-{number}"))

    threads = [
        threading.Thread(target=work, args=(name, shared if name < "c" else Ledger(shared.path))) for name in "abcd"
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    names = [answer.id for answer in Ledger(shared.path).read()]
    assert sorted(names) == sorted(f"{name}-{number}" for name in ("a", "b", "c", "d", "all") for number in range(25))
    assert len(shared.path.read_bytes().splitlines()) == len(names)


@pytest.mark.slow
def test_processes_killed_at_random_lose_nothing_that_was_confirmed(tmp_path):
    path, confirmed = tmp_path / "l.jsonl", set()
    for turn in range(4):
        command = [sys.executable, "-c", WRITER, str(path)]
        running = [
            subprocess.Popen([*command, f"{reader}{turn}", "100000"], stdout=subprocess.PIPE, text=True)
            for reader in "ab"
        ]
        time.sleep(2 + 0.1 * turn)
        for each in running:
            os.kill(each.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        # The last line of what a killed process said may be torn itself.
        confirmed |= {line for each in running for line in each.communicate()[0].split("\n")[:-1]}
    answers = Ledger(path).read()
    names = [answer.id for answer in answers]
    assert len(confirmed) > 100
    assert confirmed <= set(names)
    assert len(names) == len(set(names)) == len(path.read_bytes().splitlines())


def _append_after_fork(ledger, name):
    for number in range(20):
        ledger.append(another(f"{name}-{number}"))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_ledger_that_was_open_before_a_fork_is_safe_after_it(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append(FIRST)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_append_after_fork, args=(ledger, name)) for name in "bc"]
    for each in children:
        each.start()
    _append_after_fork(ledger, "d")
    for each in children:
        each.join()
    assert len(Ledger(ledger.path).read()) == 61
