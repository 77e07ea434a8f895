"""Who may ask the server of a review, and what its answers forbid a browser."""

import hashlib
import hmac

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ssl_robust.relabel.review.guard import Guard, refusal


@pytest.fixture(scope="module")
def client():
    routes = [Route("/deep/er", lambda request: PlainTextResponse("in"), methods=["GET", "POST", "DELETE"])]
    return TestClient(Guard(Starlette(routes=routes), "key"), base_url="http://127.0.0.1:5000")


def test_who_has_the_key_can_prove_it_without_saying_it(client):
    told = client.get("/prove/once")
    expected = hmac.new(b"key", b"once", hashlib.sha256).hexdigest()
    assert (told.status_code, told.text) == (200, expected)
    assert client.get("/prove/once", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/prove").status_code == 403


JSON = {"content-type": "application/json"}


def test_the_key_opens(client):
    assert client.get("/key/deep/er").text == "in"
    assert client.get("/key/elsewhere").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/deep/er", "/kex/deep/er", "/keyy/deep/er", "/key", "//key/deep/er", "/ключ/deep/er"]
)
def test_nothing_opens_without_it(client, path):
    refused = client.get(path)
    assert refused.status_code == 403
    assert "ssl-robust review" in refused.text


@pytest.mark.parametrize("headers", [
    {"host": "evil.example:5000"}, {"host": "evil.example"}, {"host": "127.0.0.1.evil.example:5000"}, {"host": ""},
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:5001"},
    {"origin": "https://127.0.0.1:5000"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_names_and_other_pages_are_refused_even_with_the_key(client, method, headers):
    content = {"content": "{}"} if method == "POST" else {}
    assert client.request(method, "/key/deep/er", headers={**JSON, **headers}, **content).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000"])
def test_a_tunnel_may_bring_the_page_by_this_computers_other_names(client, host):
    own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert client.post("/key/deep/er", headers={**JSON, **own}, content="{}").text == "in"


def test_a_link_elsewhere_may_lead_here_but_not_post():
    link = {"host": "localhost:1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert refusal("GET", link) is None
    assert refusal("POST", {**link, **JSON, "content-length": "2"}) is not None


def test_a_form_or_a_long_text_cannot_be_posted(client):
    assert client.post("/key/deep/er", data={"a": "b"}).status_code == 403
    assert client.post("/key/deep/er", headers=JSON, content="x" * 70_000).status_code == 403
    assert client.post("/key/deep/er", headers=JSON, content=iter([b"{}"])).status_code == 403  # of unknown length
    assert client.delete("/key/deep/er").status_code == 403


def test_every_answer_forbids_what_the_page_does_not_need(client):
    for path in ("/key/deep/er", "/key/none", "/none"):
        headers = client.get(path).headers
        policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
