"""The pictures of the README, made anew when somebody asks for it."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.library.sample import make_library
from tests.browser.page import FRENCH
from tests.support import lab

pytestmark = pytest.mark.skipif(
    "PICTURES" not in os.environ, reason="makes the README's pictures: PICTURES=docs/images"
)
LARGEST = 100_000  # bytes
TRACKS = 6000
KNOWN = 900
SCREEN = (1180, 860)
HAND = (375, 760)


@pytest.mark.slow
def test_pictures_of_the_page(page, worker, request):
    folder = Path(os.environ["PICTURES"])
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name):
        data = page.picture()
        assert len(data) < LARGEST, name
        (folder / f"{name}.webp").write_bytes(data)

    large = Path(tempfile.gettempdir(), "Music")  # what can be read in the picture
    if large.exists():
        pytest.skip(f"{large} exists: move it away")
    request.addfinalizer(lambda: shutil.rmtree(large))
    lab.settle()
    lab.empty()
    make_library(str(large / "Known"), tracks=KNOWN)
    lab.scan(large)
    lab.settle()
    make_library(str(large / "New"), tracks=TRACKS, processes=2)
    page.set_size(SCREEN)
    page.open()
    running = start_scan(str(large))
    page.wait_text(".big", r"^[4-9]\d%", 60)
    keep("scan")
    lab.ended(running)
    lab.settle()
    page.set_media(scheme="dark")
    page.open("#/albums")
    page.wait(lambda: page.js("return document.images.length") > 20, "covers")
    keep("albums-dark")
    page.set_size(HAND)
    page.set_media(scheme="light")
    page.set_language(FRENCH)
    page.open()
    page.wait(lambda: page.all(".strip li"), "albums")
    keep("phone-french")
