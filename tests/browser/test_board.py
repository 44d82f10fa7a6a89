"""What the page shows of the board, and the way to Flower."""

import re

import httpx
import pytest

from tests.browser.conftest import Dashboard
from tests.browser.page import Page
from tests.support.flower import running_flower

pytestmark = pytest.mark.usefixtures("scanned")

CHART = """
const chart = [...document.querySelectorAll('.spark')].find(
  chart => chart.querySelector('.spark-label').textContent === arguments[0]);
if (!chart) return null;
const plot = chart.querySelector('.spark-plot');
const dot = chart.querySelector('.spark-dot');
return {
  shown: chart.checkVisibility(),
  value: chart.querySelector('.spark-value').textContent,
  label: plot.getAttribute('aria-label'),
  points: plot.querySelector('.spark-line').getAttribute('d').split(/[ML]/).length - 1,
  dot: dot.hasAttribute('hidden') ? null : Number(dot.getAttribute('cy')),
  height: Number(plot.getAttribute('height')),
};
"""


def chart(page, name):
    """Return what can be seen of a chart."""
    return page.js(CHART, name)


def wait_for_value(page, value):
    """Wait until the thermometer's chart shows so many degrees, and return it."""
    page.wait(lambda: chart(page, "Temperature")["value"] == value, f"{value} on the chart")
    return chart(page, "Temperature")


@pytest.fixture
def thermometer(board):
    yield board.temperature
    board.temperature(48)


def test_thermometer_is_drawn_as_it_goes_up_and_down(page, thermometer):
    page.open()
    first = wait_for_value(page, "48°C")
    assert first["shown"]
    page.wait(lambda: chart(page, "Temperature")["points"] >= 2, "a line")
    cool = chart(page, "Temperature")["dot"]
    thermometer(66.4)
    hot = wait_for_value(page, "66°C")
    # a newer value is one more point of the line
    page.wait(lambda: chart(page, "Temperature")["points"] > first["points"], "a longer line")
    assert hot["label"] == "Temperature: 66°C, between 48°C and 66°C in the last five minutes"
    assert 0 < chart(page, "Temperature")["dot"] < cool < hot["height"], "hotter is higher"
    thermometer(51)
    wait_for_value(page, "51°C")
    assert cool > chart(page, "Temperature")["dot"] > hot["dot"]


@pytest.mark.slow
def test_board_without_a_thermometer_has_no_chart_of_it(page, board, thermometer):
    zone = "sys/class/thermal/thermal_zone0/temp"
    board.write(zone, "")  # as a sensor that does not answer
    status = f"{page.url}api/status"
    page.wait(
        lambda: httpx.get(status, trust_env=False).json()["board"]["temperature_c"] is None,
        "no thermometer",
    )
    page.open()
    page.wait(lambda: chart(page, "Waiting tasks")["points"] >= 2, "what is known")
    assert chart(page, "Processes")["shown"]
    assert not chart(page, "Temperature")["shown"]
    thermometer(48)
    wait_for_value(page, "48°C")


@pytest.mark.slow
def test_memory_of_the_workers_processes_is_drawn(page, worker):
    page.open()
    page.wait(lambda: (chart(page, "Memory") or {}).get("points", 0) >= 2, "a line")
    memory = chart(page, "Memory")
    assert memory["shown"]
    megabytes = re.fullmatch(r"(\d+) MB", memory["value"])
    assert megabytes, memory
    # a parent and at least one child, each with Python and its modules
    assert 30 < int(megabytes[1]) < 1000
    assert memory["label"].startswith(f"Memory: {memory['value']}, between ")


@pytest.mark.slow
def test_link_to_flower_is_there_while_flower_runs(driver, page, music, worker, tmp_path):
    page.open()
    page.wait(lambda: page.all(".glance dd"), "the status")
    assert not page.find("#flower").is_displayed(), "no address of Flower is set"
    with running_flower(tmp_path) as url:
        own = Dashboard(tmp_path, music, BACKEND_WORKER_DASHBOARD_FLOWER_URL=url)
        own.start()
        try:
            other = Page(driver, own.url)
            other.open()
            other.wait(lambda: other.find("#flower").is_displayed(), "the link")
            link = other.find("#flower")
            assert link.text == "Tasks and processes in Flower"
            assert link.get_attribute("rel") == "noopener noreferrer"
            link.click()
            other.wait(lambda: len(driver.window_handles) == 2, "another tab")
            here, there = driver.window_handles
            driver.switch_to.window(there)
            other.wait(lambda: "Flower" in driver.title, "Flower")
            assert driver.current_url.startswith(url)
            driver.close()
            driver.switch_to.window(here)
            other.close()
        finally:
            own.stop()
