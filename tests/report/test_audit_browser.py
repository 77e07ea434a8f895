"""The page of an audit as a browser shows it."""

from contextlib import contextmanager

import pytest
from audit_runs import EVIL, make_run

from ssl_robust.report import render

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

# Text against what is painted behind it, for every element that has text of its own: those below WCAG's AA.
FAINT = """() => {
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(c[i] / 255), 0);
  const parse = (text) => { const v = text.match(/[\\d.]+/g).map(Number); return [v.slice(0, 3), v[3] ?? 1]; };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const [color, alpha] = parse(getComputedStyle(element).backgroundColor);
    return alpha === 1 ? color : behind(element.parentElement).map((v, i) => v * (1 - alpha) + color[i] * alpha);
  };
  const own = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  return [...document.querySelectorAll("body *:not(script, style, noscript, option, svg, svg *)")]
    .filter((each) => own(each) && each.checkVisibility() && !each.disabled).map((each) => {
      const [a, b] = [light(parse(getComputedStyle(each).color)[0]), light(behind(each))].sort((x, y) => y - x);
      const style = getComputedStyle(each);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const sign = each.ariaHidden === "true";
      return { text: each.textContent.slice(0, 40), ratio: (a + 0.05) / (b + 0.05), needed: large || sign ? 3 : 4.5 };
    }).filter((each) => each.ratio < each.needed);
}"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return render(make_run(tmp_path_factory.mktemp("small") / "a", n_suspects=60))


@pytest.fixture
def opened(browser):
    """Opens a page, and at the end holds it to what every page must do: complain of nothing, ask for nothing."""

    @contextmanager
    def open_page(file, **options):
        context = browser.new_context(**options)
        page = context.new_page()
        page.set_default_timeout(20_000)
        complaints, asked = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        yield page
        context.close()
        assert complaints == []
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]

    return open_page


def until(page, condition):
    """Wait for it; the page's policy lets nobody compile a condition inside it, as `wait_for_function` would."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within ten seconds: {condition}")


def ranks(page):
    return page.eval_on_selector_all("#cards > li", "cards => cards.map(each => Number(each.dataset.rank))")


def pixels_of(page, scan):
    """Where a scan of the map is on the screen, by its id."""
    return page.evaluate(
        """id => { const canvas = byId("map"), box = canvas.getBoundingClientRect();
        const [x, y] = onCanvas(scans.find((each) => each.id === id), canvas); return [box.left + x, box.top + y]; }""",
        scan,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1200, "height": 900}}, PHONE], ids=["desk", "phone"])
def test_everything_can_be_read(opened, small, scheme, size):
    with opened(small, color_scheme=scheme, **size) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= size["viewport"]["width"]
        assert page.evaluate(FAINT) == []
        # The strongest colors a confusion can have.
        page.evaluate("document.querySelectorAll('#heat td').forEach((cell) => cell.style.setProperty('--color', "
                      "cell.matches('.right') ? 0.35 : 0.6))")  # fmt: skip
        page.evaluate("enlarge(data.suspects[1])")
        assert page.evaluate(FAINT) == []


@pytest.mark.parametrize("size", [{"viewport": {"width": 1200, "height": 900}}, PHONE], ids=["desk", "phone"])
def test_twenty_five_classes_fit(opened, tmp_path, size):
    run = make_run(tmp_path / "a", n=100, classes=[f"a finding with a long name {i}" for i in range(25)])
    with opened(render(run), **size) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= size["viewport"]["width"]
        assert page.evaluate("(() => { const looks = data.classes.map((each) => JSON.stringify(look(each))); "
                             "return new Set(looks).size; })()") == 25  # fmt: skip
        assert page.evaluate(FAINT) == []


@pytest.mark.slow
def test_five_thousand_suspects_are_drawn_a_page_at_a_time(opened, tmp_path):
    run = make_run(tmp_path / "a", n=5_200, n_suspects=5_000, side=4)
    with opened(render(run)) as page:
        assert page.inner_text("#count") == "5,000 of 5,000 suspects"
        assert ranks(page) == list(range(1, 49))
        page.click("#next")
        assert ranks(page) == list(range(49, 97))
        page.fill("#search", "04999")
        assert ranks(page) == [5000]
        assert page.inner_text("#count") == "1 of 5,000 suspects"
        assert page.is_disabled("#next")
        page.click("text=show all")
        until(page, "document.querySelectorAll('#cards > li').length === 48")
        page.evaluate("goTo(data.suspects[4321])")
        assert page.evaluate("document.activeElement.dataset.rank") == "4322"


def test_filters_and_orders(opened, small):
    with opened(small) as page:
        page.select_option("#given", "benign")
        page.select_option("#suggested", "normal")
        labels = page.eval_on_selector_all("#cards .label b", "all => all.map(each => each.textContent)")
        assert set(labels[::2]) == {"benign"}
        assert set(labels[1::2]) == {"normal"}
        page.click("text=show all")
        until(page, "state.shown.length === 60")
        page.fill("#least", "50")
        expected = page.evaluate("data.suspects.filter((each) => each.p_mislabeled >= 0.5).length")
        assert page.inner_text("#count") == f"{expected} of 60 suspects"
        assert page.inner_text("#least-says") == "50 %"
        page.fill("#least", "0")
        page.select_option("#order", "evidence")
        assert page.evaluate("state.shown.map((each) => each.evidence)") == [12.5] * 45 + [1.5] * 15
        assert ranks(page)[:3] == [2, 3, 4]


def test_the_keys(opened, small):
    with opened(small) as page:
        current = "document.activeElement.dataset.rank"
        page.keyboard.press("j")
        assert page.evaluate(current) == "1"
        page.keyboard.press("j")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(current) == "3"
        page.keyboard.press("k")
        assert page.evaluate(current) == "2"
        page.keyboard.press("Enter")
        assert page.locator("#large .rank").inner_text().startswith("#2 ")
        page.keyboard.press("j")
        assert page.locator("#large .rank").inner_text().startswith("#3 ")
        page.click("#large >> text=next →")
        assert page.evaluate("document.activeElement.textContent") == "next →"
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Escape")
        assert not page.locator("#large").is_visible()
        assert page.evaluate(current) == "3"
        page.keyboard.press("/")
        page.keyboard.type("jk/?0000")
        assert page.input_value("#search") == "jk/?0000"
        page.locator("#count", has_text="0 of 60 suspects").wait_for()
        page.fill("#search", "")
        page.keyboard.press("Tab")
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()


def test_keys_go_on_to_the_next_page_of_cards(opened, small):
    with opened(small) as page:
        page.evaluate("goTo(data.suspects[47])")
        page.keyboard.press("j")
        assert ranks(page) == list(range(49, 61))
        assert page.evaluate("document.activeElement.dataset.rank") == "49"
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.dataset.rank") == "48"


def test_the_map_shows_what_is_pointed_at_and_leads_to_its_card(opened, small):
    with opened(small) as page:
        page.locator("#map").scroll_into_view_if_needed()
        page.mouse.move(*pixels_of(page, "scans/00057.png"))
        said = page.locator("#map-says")
        shown = page.evaluate("view.at.id")
        assert shown in said.inner_text()
        assert said.locator("img").count() == 1
        for _ in range(6):
            page.click("[aria-label='zoom in']")
        assert page.evaluate("view.zoom") == pytest.approx(1.5**6)
        page.evaluate("""(() => { const c = byId("map"), [x, y] = onCanvas(data.suspects[57], c);
            move(c, view.x + c.clientWidth / 2 - x, view.y + c.clientHeight / 2 - y); })()""")
        page.locator("#map").scroll_into_view_if_needed()
        page.mouse.click(*pixels_of(page, "scans/00057.png"))
        assert page.evaluate("document.activeElement.dataset.rank") == "58"
        assert ranks(page)[0] == 49


def test_the_map_is_moved_by_mouse_and_keys(opened, small):
    with opened(small) as page:
        page.focus("#map")
        page.keyboard.press("+")
        page.keyboard.press("+")
        assert page.evaluate("view.zoom") == pytest.approx(1.96)
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("view.x") == 40
        page.locator("#map").scroll_into_view_if_needed()
        box = page.locator("#map").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y - 20)
        page.mouse.up()
        assert page.evaluate("[view.x, view.y]") == [70, -20]
        page.mouse.wheel(0, -300)
        until(page, "view.zoom > 5")
        page.keyboard.press("0")
        assert page.evaluate("[view.x, view.y, view.zoom]") == [0, 0, 1]


def test_a_finger_sees_a_scan_before_it_is_led_away(opened, small):
    with opened(small, **PHONE) as page:
        page.locator("#map").scroll_into_view_if_needed()
        target = page.evaluate("data.suspects[0].id")
        page.touchscreen.tap(*pixels_of(page, target))
        first = page.evaluate("view.at.id")
        assert first in page.inner_text("#map-says")
        assert page.evaluate("document.activeElement.matches('.card')") is False
        page.touchscreen.tap(*pixels_of(page, target))
        assert page.evaluate("document.activeElement.suspect?.id") == first


def test_a_confusion_shows_its_interval_and_its_suspects(opened, small):
    with opened(small) as page:
        cell = page.locator("td[data-true='normal'][data-given='benign']")
        cell.hover()
        assert page.inner_text("#heat-says") == "truly normal, labelled benign: 6.0 % (4.2 % – 7.2 %)"
        page.locator("#heat td").first.focus()
        page.keyboard.press("ArrowDown")
        assert page.inner_text("#heat-says").startswith("truly malignant, labelled benign")
        cell.click()
        until(page, "state.shown.length < 60")
        assert page.evaluate("state.shown.map((each) => [each.label, each.suggested_label].join())") == (
            ["benign,normal"] * page.locator("#cards > li").count()
        )


def test_the_curve_says_what_reading_is_worth(opened, small):
    with opened(small) as page:
        page.fill("#effort-at", "10")
        found = page.evaluate("data.suspects.slice(0, 10).reduce((sum, each) => sum + each.p_mislabeled, 0)")
        assert page.inner_text("#effort-says") == f"10 labels: about {round(found)} wrong ones found"
        curve = page.locator("#curve svg")
        curve.hover(position={"x": curve.bounding_box()["width"] - 5, "y": 50})
        assert page.evaluate("Number(byId('effort-at').value)") == page.evaluate("data.effort.at(-1)[0]")


def test_hostile_names_are_shown_and_never_run(opened, tmp_path):
    ids = [f"{EVIL[i % 5]}{i}" for i in range(40)]
    with opened(render(make_run(tmp_path / "a", n=40, n_suspects=20, ids=ids, classes=EVIL))) as page:
        shown = page.eval_on_selector_all("#cards .id code", "all => all.map(each => each.textContent)")
        assert shown == ids[:20]
        assert page.eval_on_selector_all("#given option", "all => all.map(each => each.value)") == ["", *EVIL]
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.locator("#large .rank").wait_for()
        page.keyboard.press("Escape")
        page.evaluate("say(data.suspects[0])")
        assert page.locator("img[src='x'], script:has-text('alert')").count() == 0


SLIPPED_IN = """() => {
  const script = document.createElement("script");
  script.textContent = "window.ran = 1";
  const button = document.createElement("button");
  button.setAttribute("onclick", "window.ran = 1");
  const image = document.createElement("img");
  image.src = "https://example.org/x.png";
  document.body.append(script, button, image);
  button.click();
}"""


def test_a_script_that_slipped_in_does_not_run(browser, small):
    page = browser.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(small.as_uri())
    page.evaluate(SLIPPED_IN)
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    assert len(complaints) == 3
    assert all("Content Security Policy" in each for each in complaints)
    page.close()


def test_without_scripts_the_numbers_and_the_first_suspects_are_there(opened, small):
    with opened(small, java_script_enabled=False) as page:
        assert page.locator("h1").inner_text().startswith("About ")
        table = page.locator("table:has-text('scans/00000.png')")
        assert table.locator("tr").count() == 51
        assert table.locator("img").first.evaluate("each => each.naturalWidth") == 24
        for hidden in ("#filters", "#cards", "#map", "#effort-at"):
            assert not page.locator(hidden).is_visible()


def test_on_paper_there_is_nothing_to_press(opened, small):
    with opened(small) as page:
        page.emulate_media(media="print")
        assert not page.locator("#filters").is_visible()
        assert page.locator("#cards > li").first.is_visible()


def test_two_fingers_zoom_where_they_are(opened, small):
    with opened(small, **PHONE) as page:
        page.locator("#map").scroll_into_view_if_needed()
        box = page.locator("#map").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        fingers = page.context.new_cdp_session(page)
        for kind, apart in (("touchStart", 20), ("touchMove", 30), ("touchMove", 40), ("touchEnd", None)):
            points = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        assert page.evaluate("view.zoom") == pytest.approx(2, rel=0.1)
        assert page.evaluate("view.fingers.size") == 0
        assert page.evaluate("byId('map').style.touchAction") == "none"


def test_a_copy_is_enlarged_and_closed(opened, small):
    with opened(small) as page:
        page.locator("#copies ~ ol img").first.focus()
        page.keyboard.press("Enter")
        assert "scan scans/00000.png" in page.inner_text("#large")
        page.keyboard.press("j")
        assert "scan scans/00000.png" in page.inner_text("#large")
        page.keyboard.press("Escape")
        assert not page.locator("#large").is_visible()
