"""The page in a real Chromium: what it shows, by mouse and by keyboard, wide and narrow, light and dark."""

from __future__ import annotations

import re
import time

import pytest

import flatrec
from flatrec.inference.rerank import Rerank
from flatrec.serve.page_routes import PageFacts, page_routes
from flatrec.serve.reload import ServedModel
from flatrec.serve.settings import ServeSettings
from tests.browser import CONTRAST, chromium
from tests.serve.page_shop import BARE, HOSTILE, MARKUP, SLASH, saved_shop
from tests.serve.shops import server_of

TOKEN = "a-token-of-the-shop"
SECONDS = 10_000  # milliseconds that something may take to appear


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of two recommenders that are not of one mind."""
    return tuple(saved_shop(tmp_path_factory.mktemp("shop"), seed=seed) for seed in (0, 1))


@pytest.fixture(scope="module")
def shop(folders):
    """The address of a service of one recommender."""
    with server_of(folders[0], ServeSettings(port=0, user_search=True), pages=pages(user_search=True)) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def comparing(folders):
    """The address of a service of two recommenders."""
    parts = {"compare": ServedModel(folders[1]), "pages": pages(compare=True)}
    with server_of(folders[0], ServeSettings(port=0), **parts) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def guarded(folders):
    """The address of a service that needs a token."""
    with server_of(folders[0], ServeSettings(port=0), tokens=(TOKEN,), pages=pages(token=True)) as port:
        yield f"http://127.0.0.1:{port}/"


def pages(*, compare=False, user_search=False, token=False):
    return page_routes(PageFacts(compare, user_search, token))


@pytest.fixture
def complaints():
    """What the browser says of errors, the policy included; empty at the end, unless a test expects some."""
    return []


@pytest.fixture
def visit(browser, complaints):
    """Open an address in a window of its own."""
    contexts = []

    def opened(address, hash="", *, ready=True, width=1100, **settings):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith((address, "blob:")) or complaints.append(asked.url))
        page.goto(address + hash)
        if ready:
            settled(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def settled(page):
    """Wait until the lists are those of the address."""
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector("#lists:not([aria-busy]) > *")


def until(page, expression, *arguments):
    """Wait until something is so; the policy of the page lets no text be evaluated within it."""
    end = time.monotonic() + SECONDS / 1000
    while not page.evaluate(expression, *arguments):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def listed(page, within="#lists .list"):
    """The ids of the items of a list, in order."""
    return page.eval_on_selector_all(f"{within} [data-item]", "all => all.map((one) => one.dataset.item)")


def expected(folder, *words, **settings):
    (answer,) = flatrec.load_recommender(folder).recommend(*words, **settings)
    return [item.item for item in answer]


def test_a_user_is_searched_and_gets_their_list(visit, shop, folders):
    page = visit(shop)
    assert page.inner_text("#heading") == "Popular items"
    assert "most popular" in page.inner_text(".path")
    page.fill("#user-search-input", "bo")
    page.wait_for_selector("[role=option]:has-text('bob')")
    page.click("[role=option]:has-text('bob')")
    page.wait_for_selector("#heading:has-text('bob')")
    settled(page)
    assert listed(page) == expected(folders[0], "bob", 10)
    assert page.get_attribute(".path", "data-path") == "known"
    assert page.inner_text(".path") == "Learned from what this user bought."
    assert page.inner_text(".because >> nth=0").split("\n")[0] == "because you bought"
    model = page.evaluate("fetch('v1/model').then((answer) => answer.json())")["model"]
    assert page.get_attribute(".list .hash", "title") == f"Content hash {model}"
    assert page.url == f"{shop}#user=bob"


def test_a_basket_gets_a_list_by_its_history(visit, shop, folders):
    page = visit(shop)
    page.check("[value=basket]")
    page.fill("#item-search-input", "hat number 3")
    page.wait_for_selector("[role=option]:has-text('Hat number 3')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".path[data-path=history]")
    settled(page)
    assert listed(page) == expected(folders[0], None, 10, history=["hat-3"])
    assert page.inner_text(".because >> nth=0").split() == ["because", "the", "basket", "has", "Hat", "number", "3"]
    page.click("[data-item=hat-2] .add")
    page.wait_for_selector(".basket li >> nth=1")
    until(page, "!document.querySelector('#lists [data-item=hat-2]')")
    assert page.inner_text(".basket").split("\n")[::2] == ["Hat number 3", "Hat number 2"]
    page.reload()
    settled(page)
    assert listed(page) == expected(folders[0], None, 10, history=["hat-3", "hat-2"])
    page.click("[aria-label='Remove Hat number 3']")
    page.click("[aria-label='Remove Hat number 2']")
    page.wait_for_selector(".path[data-path=popular]")


def test_filters_are_those_of_the_columns(visit, shop, folders):
    page = visit(shop, "#user=ann")
    page.click("#filters summary")
    page.get_by_label("Price, to").fill("3")
    page.keyboard.press("Tab")
    page.get_by_label("In stock").select_option("yes")
    page.get_by_label("Launched on, from").fill("2024-01-03")
    page.get_by_label("Kind").select_option("lamp")
    where = 'kind = "lamp" and price <= 3 and in_stock = true and `launched on` >= "2024-01-03"'
    page.wait_for_selector("#filtered code:has-text('lamp')")
    settled(page)
    assert listed(page) == expected(folders[0], "ann", 10, where=where)
    assert set(listed(page)) == {"lamp-0", "lamp-2"}
    page.reload()
    settled(page)
    assert set(listed(page)) == {"lamp-0", "lamp-2"}
    page.click("#filters summary")
    page.click("text=Clear filters")
    page.wait_for_selector("#filtered", state="hidden")
    settled(page)
    assert listed(page) == expected(folders[0], "ann", 10)


def test_length_and_diversity_change_the_list(visit, shop, folders):
    page = visit(shop, "#user=ann&k=5")
    assert listed(page) == expected(folders[0], "ann", 5)
    page.click("#filters summary")
    page.get_by_label("Diversity").fill("0.9")
    diverse = expected(folders[0], "ann", 5, rerank=Rerank(diversity=0.9))
    assert diverse != expected(folders[0], "ann", 5)
    until(page, f"document.querySelectorAll('#lists [data-item]')[1].dataset.item === {diverse[1]!r}")
    assert listed(page) == diverse
    assert "diversity=0.9" in page.url
    page.get_by_label("Number of items").select_option("20")
    until(page, "document.querySelectorAll('#lists [data-item]').length === 20")


def test_similar_items_open_and_close_and_the_focus_comes_back(visit, shop, folders):
    page = visit(shop, "#user=bob")
    first = page.locator("#lists .name").first
    item = listed(page)[0]
    first.click()
    page.wait_for_selector("#similar .products:not(.waiting)")
    (similar,) = flatrec.load_recommender(folders[0]).similar(item, 12)
    assert listed(page, "#similar") == [one.item for one in similar]
    page.click("#similar .name >> nth=0")
    until(page, f"document.querySelector('#similar .id').textContent === '{similar[0].item}'")
    page.go_back()
    until(page, f"document.querySelector('#similar .id').textContent === '{item}'")
    page.keyboard.press("Escape")
    page.wait_for_selector("#similar", state="hidden")
    assert page.evaluate("document.activeElement.textContent") == first.inner_text()
    assert page.url == f"{shop}#user=bob"


def test_an_address_is_shared_with_all_that_it_holds(visit, shop):
    page = visit(shop, "#user=bob&k=5&max.price=4&similar=lamp-3")
    page.wait_for_selector("#similar .products:not(.waiting)")
    assert page.inner_text("#similar-title") == "Lamp number 3"
    assert len(listed(page)) == 5
    assert page.locator("#filter-count").text_content() == "1 set"
    page.click("#similar .close")
    page.fill("#user-search-input", "ann")
    page.keyboard.press("Enter")
    page.wait_for_selector("#heading:has-text('ann')")
    page.go_back()
    page.wait_for_selector("#heading:has-text('bob')")


def test_two_recommenders_stand_side_by_side(visit, comparing, folders):
    page = visit(comparing, "#user=bob&k=5")
    lists = [listed(page, ".list:not(.second)"), listed(page, ".list.second")]
    assert lists == [expected(folder, "bob", 5) for folder in folders]
    assert lists[0] != lists[1]
    both = set(lists[0]) & set(lists[1])
    marked = page.eval_on_selector_all(".hit", "all => all.map((one) => one.dataset.item)")
    assert sorted(marked) == sorted([*both, *both])
    assert page.inner_text("#overlap") == f"{len(both)} of 5 items are in both lists."
    boxes = [page.locator(f"{one} .products").bounding_box() for one in (".list:not(.second)", ".list.second")]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    page.click(".list.second .name >> nth=0")
    page.wait_for_selector("#similar .products:not(.waiting)")
    (similar,) = flatrec.load_recommender(folders[1]).similar(lists[1][0], 12)
    assert listed(page, "#similar") == [one.item for one in similar]


def test_the_keyboard_alone_does_everything(visit, shop):
    page = visit(shop)
    press, focused = (
        page.keyboard.press,
        lambda: page.evaluate("document.activeElement.id || document.activeElement.className"),
    )
    press("/")
    assert focused() == "user-search-input"
    page.keyboard.type("a")
    page.wait_for_selector("[role=option]")
    press("ArrowDown")
    assert page.get_attribute("#user-search-input", "aria-activedescendant") == "user-search-0"
    press("Escape")
    assert page.get_attribute("#user-search-input", "aria-expanded") == "false"
    press("ArrowDown")
    page.wait_for_selector("[role=option]:has-text('ann')")
    press("ArrowDown")
    chosen = page.inner_text("[aria-selected=true]")
    press("Enter")
    page.wait_for_selector(f"#heading:has-text('{chosen}')")
    settled(page)
    for _ in range(20):
        press("Tab")
        if focused() == "name":
            break
    assert page.evaluate("getComputedStyle(document.activeElement, '::after').outlineStyle") == "solid"
    press("Enter")
    page.wait_for_selector("#similar .products:not(.waiting)")
    press("Tab")
    assert focused() == "basket-toggle"
    press("Enter")
    page.wait_for_selector("#basket-toggle:has-text('Remove')")
    press("Escape")
    page.wait_for_selector("#similar", state="hidden")
    page.wait_for_selector(".path[data-path=history]")
    page.focus("[value=basket]")
    press("ArrowLeft")
    page.wait_for_selector(".path[data-path=known]")


@pytest.mark.parametrize(
    "hash", ["", "#user=ann", "#basket=hat-1&basket=mug-2", "#user=ann&similar=mug-3", "#user=ann&where=x"]
)
def test_a_phone_needs_no_sideways_scrolling(visit, comparing, complaints, hash):
    page = visit(comparing, hash, width=360, has_touch=True, is_mobile=True)
    page.evaluate("document.querySelector('#filters').open = true")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("visualViewport.scale") == 1
    wide = """() => [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility())
      .filter((one) => !one.closest(".hidden, .skip") && one.getBoundingClientRect().right > 361).length"""
    assert page.evaluate(wide) == 0
    complaints[:] = [said for said in complaints if "422" not in said]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(visit, comparing, complaints, scheme):
    page = visit(comparing, "#user=nobody&k=5&max.price=7", color_scheme=scheme)
    page.click("#filters summary")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(245, 246, 248)", "dark": "rgb(18, 21, 26)"}[scheme]
    found = page.evaluate(CONTRAST)
    assert found["low"] == []
    assert found["seen"] > 40
    page.fill("#where", "price <")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice")
    assert page.evaluate(CONTRAST)["low"] == []
    complaints.clear()


def test_motion_is_left_out_where_it_is_not_wanted(visit, shop):
    probe = """() => {
      const bar = document.createElement("ol");
      bar.className = "waiting";
      bar.append(Object.assign(document.createElement("span"), { className: "bar" }));
      document.body.append(bar);
      return getComputedStyle(bar.firstChild).animationName;
    }"""
    assert visit(shop).evaluate(probe) == "breathe"
    assert visit(shop, reduced_motion="reduce").evaluate(probe) == "none"


def test_a_token_is_asked_for_and_sent_for_images_too(visit, guarded, complaints):
    page = visit(guarded, "#user=bob", ready=False)
    page.wait_for_selector("#token[open]")
    assert complaints == []
    page.keyboard.type("another-token-of-this")
    page.keyboard.press("Enter")
    page.wait_for_selector("#token-wrong:has-text('does not know')")
    complaints[:] = [said for said in complaints if "401" not in said]
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    settled(page)
    until(page, "document.querySelector('#lists img')?.naturalWidth > 0")
    assert page.locator("#lists img").first.get_attribute("src").startswith("blob:")
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"
    assert TOKEN not in page.url
    page.reload()
    settled(page)
    assert page.locator("#token").is_hidden()


def test_titles_and_ids_are_text_whatever_they_hold(visit, shop):
    page = visit(shop, "#basket=hat-6&basket=" + HOSTILE)
    page.wait_for_selector(f".basket li:has-text('{MARKUP[:10]}')")
    page.goto(f"{shop}#user=%3Cb%3Ecat%3C%2Fb%3E&k=20&is.kind=hat")
    page.wait_for_selector(f"#lists [data-item={HOSTILE}]")
    assert page.inner_text(f"[data-item={HOSTILE}] .name") == MARKUP
    page.click(f"[data-item={HOSTILE}] .name")
    page.wait_for_selector("#similar .products:not(.waiting)")
    assert page.inner_text("#similar-title") == MARKUP
    assert page.inner_text("#heading") == "Recommended for <b>cat</b>"
    assert page.locator("img[src=x], #heading b").count() == 0
    assert "hacked" not in page.title()


def test_images_of_any_id_are_shown_and_those_without_have_a_letter(visit, shop):
    page = visit(shop, "#k=50")
    for name in (SLASH, "hat-0"):
        image = page.locator(f"#lists [data-item='{name}'] img")
        image.scroll_into_view_if_needed()
        until(page, "(one) => one.complete && one.naturalWidth === 32", image.element_handle())
        assert image.get_attribute("loading") == "lazy"
    assert page.inner_text(f"#lists [data-item={BARE}] .blank") == "L"
    page.click(f"#lists [data-item='{SLASH}'] .name")
    page.wait_for_selector("#similar .products:not(.waiting)")
    assert page.inner_text("#similar .id") == SLASH


def test_errors_and_warnings_are_sentences(visit, shop, complaints):
    page = visit(shop, "#user=nobody")
    assert page.inner_text(".warning") == "User 'nobody' is not known."
    page = visit(shop, "#user=bob&max.price=0.1")
    assert re.match(r"No item left: the filters allow 0 of 24 items.*\.$", page.inner_text(".warning"))
    assert "loosen the filters" in page.inner_text(".empty")
    assert complaints == []
    page = visit(shop, "#user=bob&where=price+%3C")
    assert "expected a number" in page.inner_text("[role=alert].notice p")
    assert page.get_attribute("#where", "aria-invalid") == "true"
    page.click("#filters summary")
    page.fill("#where", "price < 3")
    page.keyboard.press("Enter")
    page.wait_for_selector("#lists .products:not(.waiting)")
    assert page.get_attribute("#where", "aria-invalid") == "false"
    complaints[:] = [said for said in complaints if "422" not in said]


def test_an_address_can_hold_any_name_and_any_id(visit, shop, complaints):
    page = visit(shop, "#user=ann&min.__proto__=5&is.constructor=x&max.price=4&similar=nothing")
    page.wait_for_selector("#similar .notice:has-text('nothing')")
    assert page.evaluate("({}).min") is None
    assert page.inner_text("#filtered code") == "price <= 4"
    complaints[:] = [said for said in complaints if "404" not in said]


def test_a_new_recommender_is_named_as_soon_as_it_answers(visit, tmp_path):
    folder = saved_shop(tmp_path)
    settings = ServeSettings(port=0, reload_seconds=0.1)
    with server_of(folder, settings, pages=pages()) as port:
        page = visit(f"http://127.0.0.1:{port}/", "#user=ann")
        former = page.inner_text("#models .hash")
        saved_shop(tmp_path, seed=1)
        until(page, f"fetch('v1/model').then((one) => one.json()).then((one) => !one.model.startsWith('{former}'))")
        page.fill("#user-search-input", "bob")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#models .hash:not(:text-is('{former}'))")
        settled(page)
        assert page.inner_text("#models .hash") == page.inner_text(".list .hash") != former


def test_a_service_that_is_gone_is_asked_again(visit, shop, complaints):
    page = visit(shop)
    page.route("**/v1/recommend", lambda route: route.abort())
    page.fill("#user-search-input", "ann")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice:has-text('does not answer')")
    page.unroute("**/v1/recommend")
    page.click("text=Try again")
    page.wait_for_selector(".path[data-path=known]")
    complaints[:] = [said for said in complaints if "ERR_FAILED" not in said]


def test_nothing_moves_while_the_page_is_loaded(visit, shop):
    page = visit(shop, "#user=ann")
    page.wait_for_timeout(200)
    moved = """() => new Promise((resolve) => new PerformanceObserver((list) =>
      resolve(list.getEntries().reduce((sum, one) => sum + one.value, 0)))
      .observe({ type: "layout-shift", buffered: true }) || setTimeout(() => resolve(0), 200))"""
    assert page.evaluate(moved) < 0.1
