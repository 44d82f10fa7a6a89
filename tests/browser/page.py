"""What a person does with the page, and what they see."""

import base64
import contextlib
import re

from tests.support import lab

with contextlib.suppress(ImportError):  # the tests are skipped then: see conftest.py
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

PHONE = (360, 740)
LAPTOP = (1240, 900)
ENGLISH = "en-GB"
FRENCH = "fr-FR"


class Page:
    """The page in a browser without memories."""

    def __init__(self, driver, url):
        self.driver = driver
        self.url = url
        self.expected = []  # patterns of what may be on the console
        driver.get("about:blank")
        self.cdp("Storage.clearDataForOrigin", origin=url.rstrip("/"), storageTypes="all")
        driver.get_log("browser")
        self.set_size(LAPTOP)
        self.set_media()
        self.set_language(ENGLISH)

    def close(self):
        """Leave; what is on the console and was not expected is an error."""
        violations = self.js("return window.violations ?? []")
        self.driver.get("about:blank")
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        unexpected = [text for text in messages if not self._is_expected(text)]
        assert violations == [], violations
        assert unexpected == [], unexpected

    def _is_expected(self, text):
        return any(re.search(pattern, text) for pattern in self.expected)

    def expect(self, pattern):
        """Expect messages on the console, such as those of a refused connection."""
        self.expected.append(pattern)

    # what the browser is like

    def cdp(self, command, **arguments):
        """Send a command of Chromium's own protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def set_size(self, size):
        """Set width and height of the window."""
        width, height = size
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == PHONE,
        )

    def set_media(self, *, scheme="light", motion="no-preference"):
        """Set what the system prefers."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        named = [{"name": name, "value": value} for name, value in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=named)

    def set_language(self, language):
        """Set the browser's language."""
        agent = self.js("return navigator.userAgent")
        self.cdp("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    # what is done

    def open(self, place="#/", *, live=True):
        """Open the page at a place and wait until its content is there."""
        self.driver.get("about:blank")
        self.driver.get(self.url + place)
        self.js(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', e => window.violations.push("
            "`${e.violatedDirective} ${e.blockedURI}`));"
        )
        self.wait(lambda: self.find("main h1"), "the page")
        if live:
            self.wait(lambda: self.find(".link[data-state=open]"), "live news")
        self.wait_calm()
        return self

    def go(self, place):
        """Follow a link to a place, as a click on one does."""
        self.js("location.hash = arguments[0]", place)
        self.wait_calm()

    def wait_calm(self):
        """Wait until everything that was asked for is there."""
        ready = "return !document.querySelector('[aria-busy]') && !!document.querySelector('h1')"
        self.wait(lambda: self.js(ready), "an end of loading")

    def js(self, script, *arguments):
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        """Return the first element that is there, or None."""
        try:
            return self.driver.find_element(By.CSS_SELECTOR, selector)
        except NoSuchElementException:
            return None

    def all(self, selector):
        """Return all elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """Return what can be read in an element; "" while there is none."""
        with contextlib.suppress(StaleElementReferenceException):
            element = self.find(selector)
            if element:
                return element.text
        return ""

    def texts(self, selector):
        """Return the texts of all elements, at one moment."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)"
        return self.js(script, selector)

    def click(self, selector):
        """Click on an element."""
        self.find(selector).click()

    def press(self, *keys):
        """Press keys where the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab(self):
        """Go on with the tabulator and return the element that has the focus then."""
        self.press(Keys.TAB)
        return self.driver.switch_to.active_element

    def focused(self, selector):
        """Say whether the focus is on an element."""
        return self.js("return document.activeElement?.matches(arguments[0]) ?? false", selector)

    def give_token(self, token):
        """Answer the dialog."""
        self.wait(lambda: self.find("#token-dialog[open]"), "the dialog")
        self.find("#token-value").send_keys(token, Keys.ENTER)

    def wait(self, condition, what, seconds=lab.WAIT_SECONDS):
        """Wait for something that a person would wait for."""
        return lab.wait_for(condition, seconds, what)

    def wait_text(self, selector, pattern, seconds=lab.WAIT_SECONDS):
        """Wait until an element's text matches, and return the text."""
        what = f"{pattern!r} in {selector}"
        try:
            self.wait(lambda: re.search(pattern, self.text(selector)), what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; there is {self.text(selector)!r}") from None
        return self.text(selector)

    def picture(self):
        """Return what can be seen as WebP."""
        answer = self.cdp("Page.captureScreenshot", format="webp", quality=80)
        return base64.b64decode(answer["data"])
