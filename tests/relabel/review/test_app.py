"""What the server says to a browser, without one."""

import json

import pytest
from review_campaigns import CLASSES, draw_folder, lines, make_campaign
from starlette.testclient import TestClient

from ssl_robust.relabel.review.app import make_app
from ssl_robust.relabel.review.book import Book
from ssl_robust.relabel.review.desk import Desk
from ssl_robust.relabel.review.material import copies_of, labels_of, scans_of
from ssl_robust.relabel.review.pictures import Pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("scans"))


@pytest.fixture
def served(data, tmp_path):
    def serve(*, blind=False, **options):
        campaign = make_campaign(tmp_path / "review", data, blind=blind, **options)
        manifest = scans_of(campaign)
        labels, copies = labels_of(campaign, manifest), copies_of(campaign, manifest)
        desk = Desk(campaign, blind=blind, loan=60, labels=labels, copies=copies)
        return campaign, TestClient(make_app(desk, Pictures(manifest), "key"), base_url="http://127.0.0.1/key/")

    return serve


def answer(position, **values):
    usual = {"id": f"id {position}", "reader": "ada", "position": position, "answer": "normal", "seconds": 1.5}
    return {**usual, "undoes": None, **values}


def test_a_reader_begins_claims_answers_and_takes_back(served):
    campaign, client = served()
    about = client.post("api/begin", json={"reader": "ada"}).json()
    assert about["classes"] == list(CLASSES)
    assert about["last"] == []
    items = client.post("api/claim", json={"reader": "ada", "held": [], "n": 2}).json()["items"]
    assert [each["position"] for each in items] == [1, 2]
    assert items[0].keys() == {"position", "neighbors", "copies", "name", "label", "suggested", "p", "labels"}
    told = client.post("api/answer", json=answer(1)).json()
    assert told["result"] == "saved"
    assert told["progress"]["done"] == 1
    last = client.post("api/begin", json={"reader": " ada "}).json()["last"]
    assert [(each["id"], each["item"]["position"]) for each in last] == [("id 1", 1)]
    undo = answer(1, id="back", answer=None, undoes="id 1")
    assert client.post("api/answer", json=undo).json()["result"] == "saved"
    assert [(each["annotator"], each["seconds"]) for each in lines(campaign)] == [("ada", 1.5), ("ada", 1.5)]


def test_a_name_is_one_however_its_letters_are_composed(served):
    campaign, client = served()
    client.post("api/answer", json=answer(1, reader="Bjo\u0308rk"))
    assert lines(campaign)[0]["annotator"] == "Bj\u00f6rk"
    assert len(client.post("api/begin", json={"reader": "Bj\u00f6rk"}).json()["last"]) == 1
    assert client.post("api/answer", json=answer(1, id="again", reader="Bj\u00f6rk")).json()["result"] == "answered"


def test_blind_means_that_the_server_does_not_say_it(served):
    campaign, client = served(blind=True)
    item = client.post("api/claim", json={"reader": "ada", "held": [], "n": 1}).json()["items"][0]
    assert item == {"position": 1, "neighbors": item["neighbors"], "copies": 0}  # the path has the class in it
    client.post("api/answer", json=answer(1))
    assert lines(campaign)[0]["blind"] is True


def test_nobody_learns_why_a_scan_is_asked(served):
    _, client = served(n=3, shown=["rank", "control", "rank"])
    told = client.post("api/claim", json={"reader": "ada", "held": [], "n": 3}).text
    assert "control" not in told
    assert "rank" not in told


def test_the_scans(served):
    _, client = served()
    scan = client.get("scan/1")
    assert scan.headers["scan-kind"] == "grey8"
    assert len(scan.content) == 48 * 48
    assert client.get("scan/1/neighbors").content.startswith(b"\x89PNG")
    assert client.get("scan/1/neighbor/4").status_code == 200
    for missing in ("scan/1/neighbor/5", "scan/31", "scan/0", "scan/0/neighbors", "scan/x", "static/../app.py",
                    "static/%2e%2e/app.py", "docs"):  # fmt: skip
        assert client.get(missing).status_code == 404


@pytest.mark.parametrize("values", [
    {"reader": ""}, {"reader": None}, {"reader": "a\nb"}, {"reader": "a" * 81}, {"reader": "\x1b[2J"}, {"id": 5},
    {"id": ""}, {"position": 0}, {"position": 99}, {"position": "x"}, {"answer": "none of them"}, {"seconds": "1"},
    {"seconds": True}, {"copy": 0}, {"copy": -1},
])  # fmt: skip
def test_what_no_page_sends_is_refused_and_writes_nothing(served, values):
    campaign, client = served()
    refused = client.post("api/answer", json={**answer(1), **values})
    assert refused.status_code == 400
    assert refused.json()["error"]
    assert lines(campaign) == []


@pytest.mark.parametrize("fault", [KeyError("x"), ValueError("x"), TypeError("x"), IndexError("x")])
def test_a_fault_of_the_server_is_none_of_the_answer(served, monkeypatch, fault):
    """A page throws away what is refused (400), and sends again what failed."""
    _, client = served()

    def fail(self, answer):
        raise fault

    client = TestClient(client.app, base_url=str(client.base_url), raise_server_exceptions=False)
    with monkeypatch.context() as broken:
        broken.setattr(Book, "enter", fail)
        assert client.post("api/answer", json=answer(1)).status_code == 500
    assert client.post("api/answer", json=answer(1)).json()["result"] == "known"
    assert client.post("api/claim", json={"reader": "ada", "held": [], "n": 1}).json()["progress"]["done"] == 1


def test_a_number_without_end_is_refused(served):
    _, client = served()
    text = json.dumps(answer(1)).replace('"position": 1', '"position": 1e999')
    told = client.post("api/answer", content=text, headers={"content-type": "application/json"})
    assert told.status_code == 400


@pytest.mark.parametrize("body", ["", "[]", "nonsense", "{}", '{"seconds": NaN}', "[" * 10_000, '"x"', "1e999"])
def test_no_text_upsets_the_server(served, body):
    _, client = served()
    for path in ("begin", "claim", "answer", "skip"):
        told = client.post(f"api/{path}", content=body, headers={"content-type": "application/json"})
        assert told.status_code in (200, 400)
