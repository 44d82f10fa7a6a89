"""Going through the library in a real browser: albums, artists, search, what is alike, failures."""

import pytest

from backend_worker.storage import search
from tests.browser.conftest import NASTY, TOKEN
from tests.browser.page import FRENCH, PHONE
from tests.support import lab

pytestmark = pytest.mark.usefixtures("scanned")
ALBUMS_OF_A_PAGE = 48


def albums():
    return search.totals()["albums"]


def test_library_at_a_glance(page):
    page.open()
    totals = search.totals()
    page.wait(lambda: page.all(".glance dd"), "figures")
    figures = dict(zip(page.texts(".glance dt"), page.texts(".glance dd"), strict=True))
    assert figures["Tracks"] == str(totals["tracks"])
    assert figures["Albums"] == str(totals["albums"])
    assert figures["Artists"] == str(totals["artists"])
    assert figures["Unreadable"] == str(totals["failed_files"])
    assert page.text("#failure-count") == str(totals["failed_files"])


@pytest.mark.slow
def test_albums_come_page_by_page_until_all_are_there(page):
    page.open("#/albums")
    assert albums() > ALBUMS_OF_A_PAGE
    page.wait(lambda: len(page.all(".grid li")) == ALBUMS_OF_A_PAGE, "the first page")
    page.click("button.more")
    page.wait(lambda: len(page.all(".grid li")) > ALBUMS_OF_A_PAGE, "the second page")
    # the focus goes to the first of the new ones, not back to the top
    index = page.js(
        "return [...document.querySelectorAll('.grid li')]"
        ".findIndex(item => item.contains(document.activeElement))"
    )
    assert index == ALBUMS_OF_A_PAGE
    while page.find("button.more").is_displayed():
        shown = len(page.all(".grid li"))
        page.click("button.more")
        page.wait(lambda shown=shown: len(page.all(".grid li")) > shown, "another page")
    links = page.js("return [...document.querySelectorAll('.grid a')].map(a => a.hash)")
    assert len(links) == len(set(links)) == albums()


def test_covers_are_loaded_only_where_one_looks(page):
    page.set_size(PHONE)
    page.open("#/albums")
    in_view = (
        "[...document.querySelectorAll('img.cover')].filter(i => i.complete && i.naturalWidth)"
    )
    page.wait(lambda: page.js(f"return {in_view}.length") > 0, "a cover")
    assert page.js(
        "return [...document.querySelectorAll('img.cover')].every(i => i.loading === 'lazy')"
    )
    below = "[...document.querySelectorAll('img.cover')].at(-1)"
    assert not page.js(f"return {below}.complete && {below}.naturalWidth > 0")
    page.js(f"{below}.scrollIntoView()")
    page.wait(lambda: page.js(f"return {below}.naturalWidth") > 0, "the last cover")


@pytest.mark.slow
def test_albums_are_filtered_and_sorted(page):
    page.open("#/albums")
    page.find("#album-filter").send_keys("emile")
    page.wait(lambda: 0 < len(page.all(".grid li")) < ALBUMS_OF_A_PAGE, "fewer albums")
    assert all("mile" in text for text in page.texts(".grid li"))
    page.find("#album-filter").send_keys("zzzz")
    page.wait_text(".paged .note", "No album here")
    page.find("#album-filter").clear()
    page.find("#album-filter").send_keys(" ")
    page.wait(lambda: len(page.all(".grid li")) == ALBUMS_OF_A_PAGE, "all albums again")
    titles = page.texts(".grid .title")
    page.js(
        "const sort = document.getElementById('album-sort'); sort.value = 'date';"
        "sort.dispatchEvent(new Event('change'))"
    )
    page.wait(lambda: page.texts(".grid .title") != titles, "another order")
    years = [text.rpartition(" · ")[2] for text in page.texts(".grid .by")]
    assert years == sorted(years, reverse=True)


def test_album_opens_and_going_back_returns_to_the_same_place(page):
    page.set_size(PHONE)
    page.open("#/albums")
    wanted = page.all(".grid a")[20]
    title = page.js("return arguments[0].querySelector('.title').textContent", wanted)
    page.js("arguments[0].scrollIntoView({block: 'center'})", wanted)
    where = page.js("return scrollY")
    assert where > 500
    page.js("arguments[0].focus(); arguments[0].click()", wanted)
    page.wait(lambda: page.text("main h1") == title, "the album")
    assert page.driver.title == f"{title} · Music library"
    assert page.js("return scrollY") == 0
    tracks = page.all(".tracks li")
    assert tracks
    page.driver.back()
    page.wait(lambda: page.find(".grid"), "the albums")
    assert page.js("return scrollY") == where
    assert page.js("return document.activeElement.querySelector('.title')?.textContent") == title


def test_from_an_album_to_what_is_like_one_of_its_tracks(page):
    track = lab.rows(
        "SELECT track.id, track.title, album_id FROM track JOIN track_vector ON track_id = track.id"
        " WHERE album_id IS NOT NULL ORDER BY track.id LIMIT 1"
    )[0]
    page.open(f"#/album/{track[2]}")
    page.click(f".tracks a[href='#/similar/{track[0]}']")
    page.wait(lambda: page.text("main h1") == track[1], "the track")
    page.wait_calm()
    titles = page.texts(".tracks .title")
    expected = [row["title"] for row in search.similar(track[0], 30)]
    assert titles == expected
    scores = page.js("return [...document.querySelectorAll('.tracks meter')].map(m => m.value)")
    assert scores == sorted(scores, reverse=True)
    assert page.focused("h1")


def test_artist_with_albums_and_alike_ones(page):
    page.open("#/artists")
    page.find("#artist-filter").send_keys("emile")
    page.wait(lambda: 0 < len(page.all(".artists li")) < 10, "few artists")
    name = page.texts(".artists .title")[0]
    page.click(".artists a")
    page.wait(lambda: page.text("main h1") == name, "the artist")
    page.wait_calm()
    assert page.all(".grid li")
    assert page.all("section .artists li")


def test_search_finds_while_one_types_and_forgives_accents(page):
    page.open()
    page.press("/")
    assert page.focused("#q")
    page.press(*"emile")
    page.wait(lambda: page.all(".results .tracks li"), "tracks")
    assert page.focused("#q")
    found = page.texts(".results .tracks li")
    assert "Émile" in found[0]
    assert page.driver.current_url.endswith("#/search?q=emile")
    page.wait_text("#announcer", r"\d+ tracks? found")
    page.driver.back()
    page.wait(lambda: page.find(".overview"), "the page before")
    assert page.find("#q").get_property("value") == ""


@pytest.mark.slow
def test_latest_question_wins_whatever_comes_back_last(page):
    page.open()
    # the answer to the first question is held back until long after the second
    page.js(
        """
        const ask = window.fetch;
        window.held = 0;
        window.fetch = async (url, options) => {
          const answer = await ask(url, {...options, signal: undefined});
          if (String(url).includes('q=em&') || String(url).endsWith('q=em')) {
            await new Promise(resolve => setTimeout(resolve, 1500));
            window.held += 1;
          }
          return answer;
        };
        """
    )
    page.find("#q").send_keys("em")
    page.wait(lambda: page.driver.current_url.endswith("q=em"), "the first question")
    page.find("#q").send_keys("ile")
    page.wait(lambda: page.all(".results .tracks li"), "the second answer")
    shown = page.texts(".results .tracks li")
    page.wait(lambda: page.js("return window.held") == 3, "the first answers")
    page.js("return new Promise(requestAnimationFrame)")
    assert page.texts(".results .tracks li") == shown


@pytest.mark.slow
def test_nothing_found_is_said(page):
    page.open("#/search?q=zzzzqqqq")
    page.wait_text(".results", "Nothing found")
    assert page.find("#q").get_property("value") == "zzzzqqqq"


def test_tags_are_text_and_never_html(page):
    page.open("#/search?q=onerror")
    page.wait(lambda: NASTY in page.texts(".results .tracks .title"), "the track")
    for link in (".results .album", ".back ~ header a", "a.album"):
        page.click(link)
        page.wait_calm()
        page.wait_text("main h1", "onerror")
    page.click(".back")
    page.wait_calm()
    assert "onerror" not in page.driver.page_source.replace("&lt;img", "").split("<img", 1)[0]
    assert page.js("return document.querySelectorAll('img[src=x]').length") == 0
    assert page.driver.title != "1"


def test_failures_have_reasons_and_are_read_again_with_the_token(page):
    page.expect("401")
    page.open("#/failures")
    failures = search.failures()
    assert len(failures) == len(page.all(".failures li"))
    shown = {text.splitlines()[0]: text for text in page.texts(".failures li")}
    for failure in failures:
        assert failure["reason"] in shown[failure["path"].rpartition("/")[2]]
    page.click(".card-head button")
    page.give_token("not the right one, but as long")
    page.wait_text("#token-problem", "did not accept")
    assert page.focused("#token-value")
    page.give_token(TOKEN)
    page.wait_text("#toasts", "being read again")
    assert page.focused(".card-head button")
    lab.settle()
    read_at = max(failure["read_at"] for failure in failures)
    page.wait(
        lambda: all(failure["read_at"] > read_at for failure in search.failures()),
        "another reading",
    )


@pytest.mark.slow
def test_who_does_not_want_to_give_the_token_is_left_in_peace(page):
    page.expect("401")
    page.open("#/failures")
    page.click(".card-head button")
    page.wait(lambda: page.find("#token-dialog[open]"), "the dialog")
    page.press("\ue00c")  # Escape
    page.wait(lambda: not page.find("#token-dialog[open]"), "no dialog")
    assert page.focused(".card-head button")
    assert page.texts("#toasts p") == []


@pytest.mark.slow
def test_folder_that_cannot_be_scanned_is_asked_for_again(page):
    page.expect("40[01]")
    page.set_language(FRENCH)
    page.open()
    page.wait(lambda: page.find(".start summary"), "a way to start a scan")
    page.click(".start summary")
    page.find("#scan-folder").send_keys("/etc")
    page.press("\ue007")  # Enter
    page.give_token(TOKEN)
    page.wait_text("#toasts", "only .* can be scanned from here")
    assert page.find("#toasts p").get_attribute("lang") == "en", "the server's sentence"
    assert page.focused("#scan-folder")
    assert page.find(".start details").get_attribute("open")


@pytest.mark.slow
def test_what_is_not_there_is_said_and_the_page_goes_on(page):
    page.expect("404")
    page.open("#/")
    page.js("location.hash = '#/album/99999999'")
    page.wait_text("main", "there is no album 99999999")
    page.click("[data-tab=albums]")
    page.wait(lambda: page.all(".grid li"), "albums")
