"""A reader in front of the page: keys, undo, reload, a server that is killed, hostile names, accessibility."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from review_campaigns import CLASSES, Local, Server, draw_folder, lines, make_campaign

from ssl_robust.data.manifest import data_settings
from ssl_robust.data.written import write_table
from ssl_robust.relabel.review import stage

DESK = {"viewport": {"width": 1280, "height": 800}}
TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
EVIL = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}"]


@pytest.fixture
def opened(browser):
    """Opens the page of a server; at the end it has complained of nothing and asked nobody else for anything."""

    @contextmanager
    def open_page(server, reader="Ada", *, down=False, **options):
        context = browser.new_context(**(options or DESK))
        page = context.new_page()
        page.set_default_timeout(60_000)
        complaints, asked = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.accept()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url + (f"?reader={reader}" if reader else ""))
        yield page
        context.close()
        own = "Failed to load resource: net::ERR_" if down else "nothing"  # the server was killed
        assert [each for each in complaints if not each.startswith(own)] == []
        assert [url for url in asked if not url.startswith((server.url, "blob:"))] == []

    return open_page


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("scans"), n=40)


@pytest.fixture(scope="module")
def shared(data, tmp_path_factory):
    """A server for tests that only look."""
    campaign = make_campaign(tmp_path_factory.mktemp("shared") / "review", data)
    with Local(campaign) as server:
        yield server


def until(page, condition, seconds=60):
    for _ in range(seconds * 50):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within {seconds} s: {condition}")


def at(page, name, side=48):
    """Wait until the scan of that name is asked and seen."""
    page.locator("#named", has_text=name).wait_for()
    page.locator("#size", has_text=f"{side} × {side} px").wait_for()


def done(page, n, of=40):
    page.locator("#far", has_text=f"{n} of {of} read").wait_for()


def order(campaign):
    return campaign.queue["sample_id"].tolist()


def press(page, campaign, keys, *, start=0):
    for place, key in enumerate(keys, start):
        at(page, order(campaign)[place])
        page.keyboard.press(key)


@pytest.mark.slow
def test_twenty_scans_by_keyboard_with_undo_reload_and_a_killed_server(opened, data, tmp_path):
    campaign = make_campaign(tmp_path / "review", data)
    with Server(campaign.place) as server, opened(server, down=True) as page:
        press(page, campaign, "123u" + "12")
        at(page, order(campaign)[6])
        page.keyboard.press("z")  # the last one was wrong
        at(page, order(campaign)[5])
        press(page, campaign, "3123", start=5)
        done(page, 9)
        page.reload()
        at(page, order(campaign)[9])
        page.keyboard.press("z")  # reaches back behind the reload
        at(page, order(campaign)[8])
        press(page, campaign, "2", start=8)
        done(page, 9)
        server.kill()
        press(page, campaign, "1231", start=9)  # what was read ahead goes on without a server
        page.locator("#saved.lost", has_text="4 answers are kept here").wait_for()
        server.start()
        done(page, 13)
        press(page, campaign, "12", start=13)
        done(page, 15)
        server.kill()
        press(page, campaign, "3", start=15)
        page.locator("#saved.lost").wait_for()
        server.start()
        press(page, campaign, "1231", start=16)
        done(page, 20)
        assert server.stop() == 0
    names = dict(zip("123", CLASSES, strict=True))
    expected = [names.get(key) for key in "123u1" + "312" + "2" + "1231" + "12" + "3" + "1231"]
    found = {}
    undone = {each["undoes"] for each in lines(campaign)}
    for each in lines(campaign):
        if each["undoes"] is None and each["id"] not in undone:
            assert each["sample_id"] not in found, "doubled"
            found[each["sample_id"]] = each["answer"]
    assert list(found) == order(campaign)[:20]
    assert list(found.values()) == expected
    assert len(undone - {None}) == 2
    assert all(0 < each["seconds"] < 600 for each in lines(campaign) if each["undoes"] is None)


@pytest.mark.slow
def test_answers_of_a_page_that_was_closed_without_a_server_arrive_later(browser, data, tmp_path):
    campaign = make_campaign(tmp_path / "review", data)
    context = browser.new_context(**DESK)
    with Server(campaign.place) as server:
        page = context.new_page()
        page.goto(server.url + "?reader=Ada")
        at(page, order(campaign)[1 - 1])
        page.wait_for_timeout(500)
        server.kill()
        press(page, campaign, "22")
        page.locator("#saved.lost").wait_for()
        page.close(run_before_unload=False)
        server.start()
        again = context.new_page()
        again.goto(server.url + "?reader=Ada")
        at(again, order(campaign)[2])
        done(again, 2)
    context.close()
    assert [each["answer"] for each in lines(campaign)] == [CLASSES[1]] * 2


def test_two_readers_share_the_work_and_see_it_end(opened, data, tmp_path):
    campaign = make_campaign(tmp_path / "review", data, n=6)
    with Local(campaign) as server, opened(server) as ada:
        at(ada, order(campaign)[0])
        with opened(server, "Bob") as bob:
            bob.locator("#end h1", has_text="Nothing is left for you").wait_for()  # ada's page has all six
        press(ada, campaign, "11s111")
        ada.locator("#end h1", has_text="Nothing is left for you").wait_for()
        ada.locator("#skipped", has_text="look at the 1 skipped").click()
        press(ada, campaign, "1", start=2)
        ada.locator("#end h1", has_text="This round is read.").wait_for()
        ada.keyboard.press("z")
        at(ada, order(campaign)[2])
        ada.keyboard.press("u")
        ada.locator("#end h1", has_text="This round is read.").wait_for()
    assert [each["answer"] for each in lines(campaign) if each["undoes"] is None][-1] is None


def test_an_undo_after_a_reload_takes_near_duplicates_back(opened, data, tmp_path):
    campaign = make_campaign(tmp_path / "review", data)
    first, twin = order(campaign)[0], order(campaign)[5]
    (tmp_path / "audit").mkdir()
    write_table(tmp_path / "audit" / "duplicates.csv", pd.DataFrame({"sample_id": [first, twin], "cluster": [1, 1]}))
    with Local(campaign) as server, opened(server) as page:
        press(page, campaign, "1p")
        done(page, 2)
        page.reload()
        at(page, order(campaign)[1])
        page.keyboard.press("z")
        at(page, first)
        done(page, 0)
    assert [each["sample_id"] for each in lines(campaign)] == [first, twin, twin, first]


def test_the_file_that_a_browser_is_started_with_leads_to_the_page(browser, shared, tmp_path):
    page = browser.new_page()
    page.goto(stage._leading_to(shared.url + "?reader=%3CAda%3E%20%26%20%22Bob%22", tmp_path))
    page.locator("#reader", has_text='<Ada> & "Bob"').wait_for()
    assert page.url.startswith(shared.url)
    page.close()


def test_the_page_asks_for_a_name(opened, shared):
    with opened(shared, reader=None) as page:
        page.keyboard.type("1z")  # the name, and no answer
        assert page.input_value("#name") == "1z"
        page.fill("#name", "Björk Ö.")
        page.keyboard.press("Enter")
        page.locator("#reader", has_text="Björk Ö.").wait_for()


def test_blind_readers_see_no_label_and_no_name_of_a_file(opened, data, tmp_path):
    campaign = make_campaign(tmp_path / "review", data, blind=True)
    with Local(campaign) as server, opened(server) as page:
        page.locator("#size", has_text="48 × 48 px").wait_for()
        until(page, "document.querySelectorAll('#near li').length === 5")
        assert not page.locator("#labels").is_visible()
        assert page.inner_text("#named") == ""
        assert (
            page.locator("#near .chip, .given, .suggested").evaluate_all(
                "all => all.filter(e => e.checkVisibility()).length"
            )
            == 0
        )
        assert page.inner_text("#finds") == ""
        page.keyboard.press("1")
        done(page, 1)
    assert lines(campaign)[0]["blind"] is True


def test_zoom_contrast_and_neighbors(opened, shared):
    with opened(shared) as page:
        page.locator("#size", has_text="48 × 48 px").wait_for()
        shown = """(() => { const copy = document.createElement("canvas"); copy.width = copy.height = 200;
          const drawn = copy.getContext("2d", { willReadFrequently: true });
          drawn.drawImage(document.getElementById("scan"), 300, 300, 200, 200, 0, 0, 200, 200);
          return [...drawn.getImageData(0, 0, 200, 200).data].join(); })()"""
        first = page.evaluate(shown)
        size = page.inner_text("#size")
        page.locator("#scan").hover()
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(100)
        assert page.inner_text("#size") != size
        page.keyboard.press("0")
        page.wait_for_timeout(100)
        assert page.inner_text("#size") == size
        page.keyboard.press("w")
        assert page.get_attribute("#contrast", "aria-pressed") == "true"
        page.mouse.down()
        page.mouse.move(700, 500)
        page.mouse.move(300, 200)
        page.mouse.up()
        page.wait_for_timeout(100)
        assert "window 0 – 255" not in page.inner_text("#size")
        assert page.evaluate(shown) != first
        page.keyboard.press("0")
        page.keyboard.press("x")
        page.wait_for_timeout(100)
        inverted = page.evaluate(shown)
        assert inverted != first
        page.keyboard.press("x")
        page.wait_for_timeout(100)
        assert page.evaluate(shown) == first
        page.keyboard.press("n")
        page.locator("#message", has_text="a similar scan, labelled").wait_for()
        page.keyboard.press("Escape")
        page.locator("#message").wait_for(state="hidden")
        assert page.evaluate(shown) == first
        page.keyboard.press("?")
        page.locator("#keys").wait_for()
        page.keyboard.press("1")  # is no answer while help is open
        page.keyboard.press("Escape")
        assert page.inner_text("#far") == "0 of 40 read"


def test_two_fingers_zoom(opened, shared):
    with opened(shared, **TABLET) as page:
        page.locator("#size", has_text="48 × 48 px").wait_for()
        before = page.inner_text("#size")
        fingers = page.context.new_cdp_session(page)
        for kind, apart in (("touchStart", 40), ("touchMove", 80), ("touchMove", 120), ("touchEnd", None)):
            points = (
                [] if apart is None else [{"x": 400 - apart, "y": 400, "id": 0}, {"x": 400 + apart, "y": 400, "id": 1}]
            )
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(100)
        factor = [float(text.split("×")[2].split()[0]) for text in (before, page.inner_text("#size"))]
        assert factor[1] / factor[0] == pytest.approx(3, rel=0.1)


def test_a_finger_answers(opened, data, tmp_path):
    campaign = make_campaign(tmp_path / "review", data)
    with Local(campaign) as server, opened(server, **TABLET) as page:
        at(page, order(campaign)[0])
        page.locator("#classes button").nth(2).tap()
        at(page, order(campaign)[1])
        page.locator("button[data-key=u]").tap()
        done(page, 2)
        page.locator("#undo").tap()
        done(page, 1)
    assert [each["answer"] for each in lines(campaign)] == [CLASSES[2], None, None]


def test_hostile_names_are_shown_and_never_run(opened, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 48, 48), dtype=np.uint8)
    rows = ["path,label"]
    for i, each in enumerate(pixels):
        name = f"<img src=x onerror=alert({i})>.png"
        Image.fromarray(each).save(tmp_path / name)
        rows.append('"{}","{}"'.format(name, EVIL[i % 3].replace('"', '""')))
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    campaign = make_campaign(tmp_path / "review", data_settings("csv", path=str(tmp_path / "labels.csv")))
    with Local(campaign) as server, opened(server, "%3Cb%3EAda%3C%2Fb%3E") as page:
        at(page, "<img src=x onerror=alert(0)>.png")
        assert sorted(page.eval_on_selector_all("#classes bdi", "all => all.map(e => e.textContent)")) == sorted(EVIL)
        page.keyboard.press("n")
        page.locator("#message").wait_for()
        page.keyboard.press("1")
        at(page, "<img src=x onerror=alert(1)>.png")
        assert page.inner_text("#reader") == "<b>Ada</b>"
        assert page.locator("img[src=x], script:has-text('alert'), b").count() == 0
        done(page, 1, of=9)
    assert lines(campaign)[0]["annotator"] == "<b>Ada</b>"


def test_another_page_gets_nothing(browser, shared, tmp_path):
    """A page elsewhere that has even learnt the address can neither read the scans nor answer."""
    page = browser.new_page()
    page.goto("about:blank")
    tries = """async (url) => {
      const tried = (path, options) => fetch(url + path, options).then((each) => each.status, () => "refused");
      const json = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"reader": "x"}' };
      const image = new Promise((resolve) => { const each = new Image(); each.onload = () => resolve("shown");
        each.onerror = () => resolve("refused"); each.src = url + "scan/1/neighbors"; });
      return [await tried("api/begin", json), await tried("api/begin", { method: "POST", mode: "no-cors", body: "{}" }),
              await tried("scan/1", {}), await image];
    }"""
    assert page.evaluate(tries, shared.url) == ["refused"] * 4
    page.close()


SERIOUS = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((each) => ["serious", "critical", "moderate"].includes(each.impact))
  .map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).join(", ")}`)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, TABLET, PHONE], ids=["desk", "tablet", "phone"])
def test_no_fault_of_accessibility(opened, shared, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.base")
    with opened(shared, color_scheme=scheme, **size) as page:
        page.locator("#named", has_text="png").wait_for()
        until(page, "document.querySelectorAll('#near li').length === 5")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["viewport"]["width"]
        assert page.evaluate("document.documentElement.scrollHeight") <= size["viewport"]["height"]
        page.evaluate(axe.AXE_SCRIPT)
        assert page.evaluate(SERIOUS) == []
        page.locator("#help").click()
        assert page.evaluate(SERIOUS) == []


@pytest.mark.parametrize("reader", [None, "Ada"])
def test_the_first_and_the_last_page_have_no_fault_either(opened, data, tmp_path, reader):
    axe = pytest.importorskip("axe_playwright_python.base")
    campaign = make_campaign(tmp_path / "review", data, n=1)
    with Local(campaign) as server, opened(server, reader) as page:
        if reader:
            press(page, campaign, "1")
            page.locator("#end h1", has_text="This round is read.").wait_for()
        else:
            page.locator("#name").wait_for()
        page.evaluate(axe.AXE_SCRIPT)
        assert page.evaluate(SERIOUS) == []


@pytest.mark.slow
def test_fifty_thousand_in_the_queue(opened, tmp_path):
    images = np.zeros((50_000, 8, 8), np.uint8)
    labels = np.arange(50_000) % 3
    np.savez(tmp_path / "many.npz", train_images=images, train_labels=labels)
    data = data_settings("npz", path=str(tmp_path / "many.npz"), classes=list(CLASSES))
    campaign = make_campaign(tmp_path / "review", data)
    with Local(campaign) as server, opened(server) as page:
        for place in range(30):
            at(page, order(campaign)[place], side=8)
            page.keyboard.press("1")
        done(page, 30, of="50,000")
    assert [each["sample_id"] for each in lines(campaign)] == order(campaign)[:30]
