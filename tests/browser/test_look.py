"""How the page looks and sounds: sizes, colours, languages, keyboard, screen reader."""

import itertools
import json
import re
from pathlib import Path

import pytest

from backend_worker.progress import events
from tests.browser.page import FRENCH, PHONE
from tests.support import lab

pytestmark = pytest.mark.usefixtures("scanned")
ENOUGH_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
ENOUGH_CONTRAST_LARGE = 3.0
SMALLEST_TARGET = 24  # WCAG 2.2, 2.5.8, in CSS pixels

# Contrast of every visible text with the colour behind it, as WCAG computes it.
CONTRASTS = """
const parse = text => {
  const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
  return {r, g, b, a};
};
const over = (top, below) => ({
  r: top.r * top.a + below.r * (1 - top.a),
  g: top.g * top.a + below.g * (1 - top.a),
  b: top.b * top.a + below.b * (1 - top.a),
  a: 1,
});
const behind = element => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    const colour = parse(getComputedStyle(e).backgroundColor);
    if (colour.a > 0) layers.push(colour);
    if (colour.a === 1) break;
  }
  return layers.reverse().reduce((below, top) => over(top, below), {r: 255, g: 255, b: 255, a: 1});
};
const light = ({r, g, b}) => {
  const [R, G, B] = [r, g, b].map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * R + 0.7152 * G + 0.0722 * B;
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  const visible = element.checkVisibility({visibilityProperty: true, opacityProperty: true});
  if (!text || !visible) continue;
  if (element.closest('.unseen, script, noscript, svg, option')) continue;
  const style = getComputedStyle(element);
  const back = behind(element);
  const [one, other] = [light(over(parse(style.color), back)), light(back)].sort((a, b) => b - a);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  found.push({text, ratio: (one + 0.05) / (other + 0.05), large, colour: style.color});
}
return found;
"""

TARGETS = """
return [...document.querySelectorAll('a[href], button, input, select, summary')]
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .filter(e => !e.matches('.skip') && getComputedStyle(e).display !== 'inline')
  .map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect().width,
             e.getBoundingClientRect().height])
"""


@pytest.fixture(scope="module")
def places(scanned):
    """One place of each kind."""
    [(track, album, artist)] = lab.rows(
        "SELECT track.id, album_id, artist_id FROM track"
        " JOIN track_vector ON track_vector.track_id = track.id"
        " JOIN track_artist ON track_artist.track_id = track.id AND role = 'artist'"
        " WHERE album_id IS NOT NULL ORDER BY track.id LIMIT 1"
    )
    return {
        "now": "#/",
        "albums": "#/albums",
        "album": f"#/album/{album}",
        "artists": "#/artists",
        "artist": f"#/artist/{artist}",
        "similar": f"#/similar/{track}",
        "search": "#/search?q=e",
        "failures": "#/failures",
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(page, places, scheme):
    page.set_media(scheme=scheme)
    page.open()
    page.wait(lambda: page.all(".news li"), "news")
    for place in places.values():
        page.go(place)
        texts = page.js(CONTRASTS)
        assert len(texts) > 10, place
        for text in texts:
            enough = ENOUGH_CONTRAST_LARGE if text["large"] else ENOUGH_CONTRAST
            assert text["ratio"] >= enough, (place, text)


def test_dark_and_light_follow_the_system_until_one_is_chosen(page):
    def is_dark():
        red = page.js("return getComputedStyle(document.body).backgroundColor")
        return int(re.search(r"\d+", red)[0]) < 100

    page.open()
    assert not is_dark()
    page.set_media(scheme="dark")
    page.wait(is_dark, "dark")
    assert page.find("#theme").get_attribute("aria-label") == "Colours: as the system has them"
    page.click("#theme")
    page.wait(lambda: not is_dark(), "light")
    page.open()
    assert not is_dark(), "what was chosen is remembered"
    page.click("#theme")
    page.wait(is_dark, "dark")
    page.set_media(scheme="light")
    assert is_dark()
    page.click("#theme")
    page.wait(lambda: not is_dark(), "the system's choice again")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "fr"])
def test_phone_needs_no_scrolling_to_the_side(page, places, language):
    page.set_size(PHONE)
    page.set_language({"en": "en-GB", "fr": FRENCH}[language])
    page.open()
    for place in places.values():
        page.go(place)
        assert page.js("return document.documentElement.scrollWidth") <= PHONE[0], place
        outside = page.js(
            "return [...document.querySelectorAll('main *')].filter(e =>"
            " e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1"
            " && !e.closest('svg, .unseen')).map(e => e.outerHTML.slice(0, 80))"
        )
        assert outside == [], place


@pytest.mark.slow
def test_phone_has_targets_for_fingers(page, places):
    page.set_size(PHONE)
    page.open()
    for place in places.values():
        page.go(place)
        for what, width, height in page.js(TARGETS):
            assert min(width, height) >= SMALLEST_TARGET, (place, what, width, height)
        bars = page.js(
            "return [...document.querySelectorAll('.tabs a, .tool, .like')]"
            ".map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"
        )
        assert min(bars) >= 44, place


def test_french_browser_sees_french_and_writes_numbers_so(page):
    page.set_language(FRENCH)
    page.open()
    assert page.find("html").get_attribute("lang") == "fr"
    assert page.texts("nav .tabs span, nav a > span:not(.badge)")[:2] == ["En ce moment", "Albums"]
    assert page.driver.title == "En ce moment · Discothèque"
    page.wait(lambda: page.all(".glance dd"), "figures")
    text = page.text(".glance")
    assert "Morceaux" in text
    assert re.search(r"\d,\d\sMo", text)
    page.wait_text(".scan", "La dernière analyse s.est terminée")
    english = json.loads(Path("backend_worker/dashboard/static/i18n/en.json").read_text("utf-8"))
    shown = page.js("return document.body.innerText")
    for key, value in english.items():
        if isinstance(value, str) and len(value) > 12 and "{" not in value:
            assert value not in shown, key


@pytest.mark.slow
def test_words_of_the_server_are_marked_as_english_in_french(page):
    page.set_language(FRENCH)
    page.open()
    files = [{"path": "/music/a.mp3", "reason": "truncated: it ends too early"}]
    events.publish("file.failed", count=1, files=files)
    page.wait(lambda: page.all(".news [data-kind='file.failed']"), "news of a failure")
    [item] = page.all(".news [data-kind='file.failed'] .what")
    assert re.fullmatch(
        r"/music/a\.mp3 n.a pas pu être lu.: truncated: it ends too early", item.text
    )
    assert page.text(".news .what [lang=en]") == "truncated: it ends too early"


@pytest.mark.slow
def test_language_can_be_chosen_and_is_remembered(page, places):
    page.open(places["failures"])
    button = page.find("#language")
    assert button.get_attribute("aria-label") == "Français"
    assert button.get_attribute("lang") == "fr"
    button.click()
    page.wait_text("main h1", "Illisibles")
    assert page.text(".tabs [aria-current]").startswith("Illisibles")
    page.open(places["albums"])
    assert page.text("#link-text") == "En direct"
    page.click("#language")
    page.wait_text("#link-text", "Live")


@pytest.mark.slow
def test_every_view_has_landmarks_a_heading_and_names(page, places):
    page.open()
    for name, place in places.items():
        page.go(place)
        assert len(page.all("h1")) == 1, name
        assert len(page.all("main")) == len(page.all("header.top")) == len(page.all("footer")) == 1
        levels = page.js(
            "return [...document.querySelectorAll('main h1, main h2, main h3')]"
            ".map(e => Number(e.tagName[1]))"
        )
        assert levels[0] == 1, name
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
        ids = page.js("return [...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)), name
        pointed = page.js(
            "return [...document.querySelectorAll('[aria-labelledby], [aria-describedby], [for]')]"
            ".flatMap(e => ['aria-labelledby', 'aria-describedby', 'for']"
            ".flatMap(a => e.getAttribute(a)?.split(' ') ?? []))"
        )
        assert set(pointed) <= set(ids), name
        assert page.find(".tabs [aria-current]") or name in {"search", "similar"}
        check_accessible_names(page, name)


def check_accessible_names(page, place):
    """Check the tree that Chromium gives to screen readers."""
    page.cdp("Accessibility.enable")
    nodes = page.cdp("Accessibility.getFullAXTree")["nodes"]
    named = {"link", "button", "textbox", "searchbox", "combobox", "checkbox", "image", "meter",
             "progressbar", "dialog", "region", "navigation", "search", "heading"}  # fmt: skip
    seen = set()
    for node in nodes:
        role = node.get("role", {}).get("value")
        if node.get("ignored") or role not in named:
            continue
        seen.add(role)
        assert node.get("name", {}).get("value", "").strip(), (place, role, node)
    assert {"link", "button", "searchbox", "navigation", "search", "heading"} <= seen, place


def test_keyboard_reaches_everything_in_the_order_of_reading(page):
    page.open()
    first = page.tab()
    assert first.text == "Skip to the content"
    assert first.rect["y"] >= 0, "it can be seen while it has the focus"
    expected = page.js(
        "return [...document.querySelectorAll('a[href], button, input, select, summary')]"
        ".filter(e => e.checkVisibility() && !e.closest('details:not([open]) > :not(summary)'))"
        ".filter(e => e.tabIndex >= 0)"
    )
    seen = [first]
    while len(seen) < len(expected):
        element = page.tab()
        if element == seen[-1]:
            break
        seen.append(element)
        outline = page.js("return getComputedStyle(arguments[0]).outlineStyle", element)
        assert outline != "none", element.get_attribute("outerHTML")[:90]
    assert seen == expected
    page.js("document.querySelector('.skip').focus()")
    page.press("\ue007")  # Enter
    assert page.focused("main")


@pytest.mark.slow
def test_new_view_gets_the_focus_and_a_title(page, places):
    page.open()
    titles = set()
    for name, place in places.items():
        if name == "now":
            continue
        page.go(place)
        page.wait(lambda: page.focused("h1"), f"the focus on the heading of {name}")
        titles.add(page.driver.title)
    assert len(titles) == len(places) - 1


@pytest.mark.slow
def test_who_wants_no_motion_gets_none(page):
    page.set_media(motion="reduce")
    page.open()
    moving = page.js(
        "return document.getAnimations().filter(a => a.playState === 'running')"
        ".map(a => a.effect.target.outerHTML.slice(0, 80))"
    )
    assert moving == []
    page.set_media(motion="no-preference")
    page.wait(lambda: page.js("return document.getAnimations().length") > 0, "motion")


def test_policy_forbids_what_the_page_does_not_need(page):
    page.expect("Content Security Policy")
    page.open()
    page.js(
        "const script = document.createElement('script');"
        "script.textContent = 'window.injected = true'; document.body.append(script);"
        "const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';"
    )
    page.wait(lambda: len(page.js("return window.violations")) == 2, "two violations")
    assert page.js("return window.injected ?? null") is None
    page.js("window.violations = []")
