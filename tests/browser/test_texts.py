"""The page's texts: the same in each language, and all that the page asks for are there."""

import json
import re
from pathlib import Path

import pytest

import backend_worker.dashboard

STATIC = Path(backend_worker.dashboard.__file__).parent / "static"
SOURCES = {path: path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js")}
ENGLISH = json.loads((STATIC / "i18n" / "en.json").read_text(encoding="utf-8"))
FRENCH = json.loads((STATIC / "i18n" / "fr.json").read_text(encoding="utf-8"))


def forms(text):
    return text if isinstance(text, dict) else {"other": text}


def names(text):
    return set(re.findall(r"\{(\w+)\}", " ".join(forms(text).values())))


def test_both_languages_have_the_same_texts():
    assert list(ENGLISH) == list(FRENCH)


@pytest.mark.parametrize("texts", [ENGLISH, FRENCH])
def test_each_text_is_complete(texts):
    for key, text in texts.items():
        assert set(forms(text)) <= {"one", "other"}, key
        assert "other" in forms(text), key
        assert all(form.strip() for form in forms(text).values()), key
        assert names(text) == names(ENGLISH[key]), key


def asked_for():
    """Return the keys that the sources name: whole ones, and beginnings of composed ones."""
    whole, beginnings = set(), set()
    for source in SOURCES.values():
        whole |= set(re.findall(r"""\bt\(\s*"([^"]+)\"""", source))
        beginnings |= set(re.findall(r"\bt\(\s*`([^`$]+)\$\{", source))
        beginnings |= set(re.findall(r"= `(news\.)\$\{", source))
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    whole |= set(re.findall(r'data-t(?:-label|-placeholder)?="([^"]+)"', page))
    return whole, beginnings


def test_all_texts_that_are_asked_for_are_there():
    whole, beginnings = asked_for()
    assert len(whole) > 50
    assert whole - set(ENGLISH) == set()
    for beginning in beginnings:
        assert any(key.startswith(beginning) for key in ENGLISH), beginning


def test_no_text_is_left_over():
    whole, beginnings = asked_for()
    left = {key for key in set(ENGLISH) - whole if not key.startswith(tuple(beginnings))}
    assert left == set()


def test_french_puts_no_ordinary_space_before_its_punctuation():
    for key, text in FRENCH.items():
        for form in forms(text).values():
            assert not re.search(r" [:?!;]", form), key


def test_nothing_turns_text_into_html_or_breaks_the_content_security_policy():
    for path, source in SOURCES.items():
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ):
            assert forbidden not in source, (path, forbidden)
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)", page)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
