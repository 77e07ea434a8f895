"""`ssl-robust review`: which campaign it opens, where, and what it says where it cannot."""

import json
import socket
import stat
import threading

import pytest
from review_campaigns import Local, draw_folder, make_campaign

from ssl_robust.cli import run
from ssl_robust.data.written import write_table
from ssl_robust.relabel.review import stage
from ssl_robust.relabel.review.address import Address, last_address, take_address
from ssl_robust.relabel.review.material import copies_of, labels_of, scans_of
from ssl_robust.run import Run, UserError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("scans"), n=9)


@pytest.fixture
def campaign(data, tmp_path):
    return make_campaign(tmp_path / "review", data)


@pytest.fixture
def serving(monkeypatch):
    """The server stays away; what it would have served is kept."""
    served = []
    monkeypatch.setattr(stage, "_serve", lambda app, listening: served.append(app))
    return served


def test_a_campaign_is_opened_and_the_address_printed(campaign, serving, capsys):
    assert run(["review", f"run={campaign.place}", "open=false", "annotator=Ada O\u0308"]) == 0
    told = capsys.readouterr().out
    address = json.loads((campaign.place / "address.json").read_text())
    assert f"Review: http://127.0.0.1:{address['port']}/{address['token']}/?reader=Ada%20%C3%96" in told, "NFC"
    assert "0 of 9 scans read" in told
    assert f"ssl-robust relabel apply run={campaign.place}" in told
    assert len(serving) == 1


def test_the_browser_is_opened(campaign, serving, monkeypatch):
    class Timer:
        def __init__(self, wait, act, words):
            self.start = lambda: act(*words)

    opened = []
    monkeypatch.setattr(stage.threading, "Timer", Timer)
    monkeypatch.setattr(stage.webbrowser, "open", opened.append)
    assert run(["review", f"run={campaign.place}"]) == 0
    url, page = last_address(campaign.place).url(), campaign.place / "open.html"
    assert opened == [page.resolve().as_uri()], (
        "other users see what a program is started with, and must not see the key"
    )
    assert f'content="0; url={url}"' in page.read_text(encoding="utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_an_audit_gets_a_campaign_once(campaign, serving, monkeypatch, tmp_path, capsys):
    audit = tmp_path / "audit"
    with Run(audit, stage="audit", config={"seed": 0}):
        pass
    started = []

    def start(audit, out, **options):
        started.append((str(audit), str(out), options))
        return campaign.place

    monkeypatch.setattr("ssl_robust.relabel.stage.start_review", start)
    command = ["review", f"run={audit}", "open=false", "blind=true"]
    assert run([*command, f"out={tmp_path / 'new'}"]) == 0
    assert started == [(str(audit), str(tmp_path / "new"), {"blind": True, "seed": 0, "overwrite": False})]
    assert run([*command, f"out={campaign.place}"]) == 0  # whose audit this is
    assert len(started) == 1
    assert "Continues the review of this audit" in capsys.readouterr().err
    other = tmp_path / "other"
    with Run(other, stage="audit", config={"seed": 0}):
        pass
    assert run(["review", f"run={other}", f"out={campaign.place}"]) == 2
    assert "holds the review of another audit" in capsys.readouterr().err


def test_a_page_that_is_served_already_is_not_served_twice(campaign, serving, monkeypatch, capsys):
    monkeypatch.setattr(Address, "answers", lambda self: True)
    take_address(campaign.place, 0)[1].close()
    assert run(["review", f"run={campaign.place}", "open=false"]) == 0
    assert "served already" in capsys.readouterr().out
    assert not serving


@pytest.mark.parametrize(("option", "sentence"), [
    ("port=80000", "port=80000 does not fit"), ("port=x", "port=x does not fit"), ("loan_minutes=0", "loan_minutes=0"),
    ("annotator='  '", "is no name"),
    (f"annotator={'a' * 81}", "1 to 80"), ("run=/nowhere", "holds no run"), ("anotator=Ada", "did you mean annotator"),
])  # fmt: skip
def test_mistakes_are_told_in_a_sentence(campaign, serving, option, sentence, capsys):
    assert run(["review", *([] if option.startswith("run") else [f"run={campaign.place}"]), option]) == 2
    assert sentence in capsys.readouterr().err
    assert not serving


def test_a_port_that_another_program_has_is_refused(campaign, serving, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert run(["review", f"run={campaign.place}", f"port={other.getsockname()[1]}", "open=false"]) == 2
    assert "is in use by another program" in capsys.readouterr().err


def test_the_address_stays_and_only_its_owner_can_read_the_key(tmp_path):
    first, listening = take_address(tmp_path, 0)
    listening.close()
    again, listening = take_address(tmp_path, 0)
    assert again == first
    assert not again.answers()
    with listening:  # somebody has the port now, and may have been told the key by pages that were open
        moved, elsewhere = take_address(tmp_path, 0)
        elsewhere.close()
    assert moved.port != first.port
    assert moved.token != first.token
    assert stat.S_IMODE((tmp_path / "address.json").stat().st_mode) == 0o600
    assert len(first.token) >= 32


def test_a_server_of_this_campaign_is_known_and_a_stranger_does_not_learn_the_key(campaign):
    with Local(campaign):
        known = last_address(campaign.place)
        assert known.answers()
        assert not known._replace(token="another").answers()
    heard = []
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()

        def listen():
            connection, _ = stranger.accept()
            with connection:
                heard.append(connection.recv(10_000))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        listening = threading.Thread(target=listen)
        listening.start()
        assert not known._replace(port=stranger.getsockname()[1]).answers()
        listening.join()
    assert heard
    assert known.token.encode() not in heard[0]


def test_labels_are_those_that_were_audited_and_copies_those_it_found(campaign):
    audit = campaign.place.parent / "audit"
    manifest = scans_of(campaign)
    ids = manifest.table["sample_id"].tolist()
    assert labels_of(campaign, manifest)[ids[0]] == manifest.table["label"][0]
    table = manifest.table[["sample_id"]].assign(label="noisy", suggested_label="benign", score=0.5, rank=1)
    write_table(audit / "audit.csv", table)
    copies = manifest.table[["sample_id"]].head(5).assign(cluster=[1, 1, 2, 3, 3])
    copies.loc[4, "sample_id"] = "a scan that is gone"
    write_table(audit / "duplicates.csv", copies)
    assert labels_of(campaign, manifest)[ids[0]] == "noisy"
    assert copies_of(campaign, manifest) == {ids[0]: [ids[1]], ids[1]: [ids[0]]}


def test_scans_that_are_gone_and_vectors_without_scans_are_told(campaign, data):
    from dataclasses import replace
    from pathlib import Path

    with pytest.raises(UserError, match="knows no scans"):
        scans_of(replace(campaign, data=None))
    gone = Path(data["path"]) / campaign.queue["sample_id"][0]
    moved = gone.rename(gone.with_suffix(".away"))
    try:
        with pytest.raises(UserError, match="1 of the 9 scans in the queue are not in the data any more"):
            scans_of(campaign)
    finally:
        moved.rename(gone)
