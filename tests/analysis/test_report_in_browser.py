"""The report page in headless Chromium: what is chosen is drawn; keyboard, phone, dark; no errors."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from dopamine_lite.analysis.report import document, site
from dopamine_lite.analysis.runs import load_runs
from tests.analysis.made_runs import make_run

pytestmark = pytest.mark.extras

HOSTILE = "<b>bold</b><img src=x onerror=window.hacked=1> %{x} $x$"
ENDS = {  # of the three seeds of each agent in each environment
    ("CartPole-v1", "DQNAgent"): (100, 200, 600),
    ("CartPole-v1", "PPOAgent"): (400, 500, 500),
    ("Pong", "DQNAgent"): (-20, -18, -10),
    ("Pong", "PPOAgent"): (0, 10, 20),
    ("Pong", HOSTILE): (1, 2, 3),
}
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The address of a report on `ENDS`, on the disk."""
    runs = tmp_path_factory.mktemp("runs")
    for number, ((environment, agent), ends) in enumerate(ENDS.items()):
        for seed, end in enumerate(ends):
            protocol = {"frame_skip": 4} if environment == "Pong" else {}
            where = runs / str(number) / str(seed)
            returns = [0, end / 2, end]
            make_run(where, seed, returns, environment, agent, protocol=protocol, seconds=3600)
    directory = tmp_path_factory.mktemp("site")
    made = document.build(load_runs(runs, episodes=False), "Two agents")
    site.write_site(directory, made.document, made.tables)
    return (directory / site.PAGE).as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.fail("The page is tested in Chromium: install chromium and chromedriver.")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    yield window
    window.quit()


@pytest.fixture
def browser(chromium, page):
    """A desktop window with the page; afterwards nothing has been logged there, as errors are."""
    show(chromium, page)
    yield chromium
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return window.hacked") is None


def show(browser, page, width=1280, height=900, phone=False, scheme="light"):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    browser.get("about:blank")  # a change of the fragment alone would load nothing
    browser.get(page)
    browser.execute_script("localStorage.clear()")


def find(browser, selector):
    return browser.find_element("css selector", selector)


def choose(browser, name, text):
    from selenium.webdriver.support.ui import Select

    Select(find(browser, f"#{name}")).select_by_visible_text(text)


def drawn(browser):
    """The curves that are drawn: x and y by group, of the mean's line."""
    script = """
        return document.getElementById("curves").data
          .filter((trace) => trace.meta.band === undefined && trace.meta.seed === undefined)
          .map((trace) => [trace.name, [trace.x, trace.y]])
    """
    return dict(browser.execute_script(script))


def axis_title(browser, figure="curves"):
    return browser.execute_script(f"return document.querySelector('#{figure} .xtitle').textContent")


def background(browser, selector):
    script = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    return browser.execute_script(script, selector)


def lightness(color):
    return sum(int(part) for part in color.strip("rgb()").split(","))


def test_what_is_chosen_is_drawn(browser):
    assert drawn(browser) == {
        "DQN": [[100, 200, 300], [0, 150, 300]],
        "PPO": [[100, 200, 300], [0, 233.33, 466.67]],
    }
    assert axis_title(browser) == "Agent steps"
    choose(browser, "environment", "Pong")
    assert drawn(browser)["PPO"] == [[100, 200, 300], [0, 5, 10]]
    find(browser, "input[value=frames]").click()
    assert drawn(browser)["PPO"][0] == [400, 800, 1200]
    assert axis_title(browser) == "Frames"
    find(browser, "input[value=time]").click()
    assert drawn(browser)["PPO"][0] == [1, 2, 3]
    assert axis_title(browser) == "Training time (hours)"
    choose(browser, "metric", "Training: loss")
    assert drawn(browser)["DQN"][1] == [1, 0.5, 0.33333]


def test_an_axis_that_there_is_not_cannot_be_chosen(browser):
    assert not find(browser, "input[value=frames]").is_enabled()
    choose(browser, "environment", "Pong")
    assert find(browser, "input[value=frames]").is_enabled()
    find(browser, "input[value=frames]").click()
    choose(browser, "environment", "CartPole-v1")
    assert find(browser, "input[value=steps]").is_selected()
    assert axis_title(browser) == "Agent steps"


def test_bands_and_seeds(browser):
    script = "return document.getElementById('curves').data.filter((t) => t.meta.band === 'high')"
    high = {trace["meta"]["group"]: trace["y"] for trace in browser.execute_script(script)}
    assert high[0] == [0, 300, 600]
    find(browser, "#seeds").click()
    script = "return document.getElementById('curves').data.filter((t) => 'seed' in t.meta)"
    seeds = browser.execute_script(script)
    assert sorted(trace["y"][-1] for trace in seeds) == [100, 200, 400, 500, 500, 600]


def test_groups_are_switched_off_and_on(browser):
    boxes = browser.find_elements("css selector", "#groups input")
    boxes[0].click()
    assert set(drawn(browser)) == {"PPO"}
    assert "one group drawn" in find(browser, "#status").text
    find(browser, "#none").click()
    assert not find(browser, "#curves").is_displayed()
    assert find(browser, "#curves-empty").text == (
        "No chosen group has a curve of this metric here."
    )
    find(browser, "#all").click()
    assert set(drawn(browser)) == {"DQN", "PPO"} and find(browser, "#curves").is_displayed()


def test_scores_with_their_intervals(browser):
    script = """
        return document.getElementById("scores").data
          .map(({meta, x, customdata}) => [meta.group, meta.statistic, x, customdata?.[0] ?? null])
    """
    found = {(group, what): (x, ends) for group, what, x, ends in browser.execute_script(script)}
    assert found[0, "mean"] == ([300], [100, 600])
    assert found[0, "seeds"] == ([100, 200, 600], None)
    assert found[1, "mean"] == ([466.67], [400, 500])
    label = find(browser, "#scores").get_attribute("aria-label")
    assert "DQN: 300 [100, 600]" in label
    rows = [row.text for row in browser.find_elements("css selector", "#scores-table tbody tr")]
    assert next(row for row in rows if row).startswith("DQN")
    find(browser, "#everywhere").click()
    table = find(browser, "#scores-table").text
    assert "Pong" in table and "CartPole-v1" in table


def test_profiles(browser):
    script = """
        return document.getElementById("profiles-0").data
          .filter((trace) => trace.name).map(({name, y}) => [name, y[0], y.at(-1)])
    """
    # The lowest of all runs, in each environment one of DQN, is not above itself.
    assert browser.execute_script(script) == [
        ["DQN", pytest.approx(2 / 3, abs=1e-4), 0],
        ["PPO", 1, 0],
    ]


def test_hovering_tells_the_values(browser):
    script = """
        const figure = document.getElementById("curves");
        Plotly.Fx.hover(figure, [{curveNumber: figure.data.length - 2, pointNumber: 2}], "xy");
        return figure.querySelector(".hoverlayer").textContent;
    """
    assert "DQN:  300  [100, 600]" in browser.execute_script(script).replace("\xa0", " ")


def test_the_table_beside_the_curves(browser):
    find(browser, "#curves-values summary").click()
    table = find(browser, "#curves-table").text
    assert table.splitlines()[0] == "Agent steps DQN PPO"
    cells = browser.find_elements("css selector", "#curves-table tr:last-child td")
    assert [cell.text.split("\n") for cell in cells] == [
        ["300", "100 to 600"],
        ["466.7", "400 to 500"],
    ]


def test_text_of_a_run_is_shown_as_it_is(browser):
    choose(browser, "environment", "Pong")
    label = browser.find_elements("css selector", "#groups label")[2]
    assert HOSTILE in label.text
    script = "return document.querySelectorAll('#scores .annotation')[2].textContent"
    assert HOSTILE in browser.execute_script(script)
    script = """
        const figure = document.getElementById("curves");
        Plotly.Fx.hover(figure, [{curveNumber: figure.data.length - 1, pointNumber: 2}], "xy");
        return figure.querySelector(".hoverlayer").textContent;
    """
    assert HOSTILE in browser.execute_script(script)
    for element in ("b", "main img"):
        assert not browser.find_elements("css selector", element)


def test_the_address_remembers(browser, page):
    choose(browser, "environment", "Pong")
    choose(browser, "metric", "Training return")
    address = browser.current_url
    show(browser, address)
    assert find(browser, "#environment option:checked").text == "Pong"
    assert drawn(browser)["PPO"][1] == [0, 2.5, 5]
    show(browser, f"{page}#environment=<script>&metric=__proto__&x=constructor")
    assert set(drawn(browser)) == {"DQN", "PPO"}


def press(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def test_by_keyboard_alone(browser):
    from selenium.webdriver.common.keys import Keys

    def focused():
        return browser.switch_to.active_element

    def tab_to(selector):
        wanted = find(browser, selector)
        for _ in range(40):
            press(browser, Keys.TAB)
            if focused() == wanted:
                outline = "return getComputedStyle(arguments[0]).outlineStyle"
                shown = browser.execute_script(outline, wanted)
                beside = f"{outline.replace('arguments[0]', 'arguments[0].nextElementSibling')}"
                assert shown != "none" or browser.execute_script(beside, wanted) != "none"
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    press(browser, Keys.TAB)
    assert focused().text == "Skip to the figures" and focused().is_displayed()
    press(browser, Keys.ENTER)
    assert focused() == find(browser, "main")
    browser.refresh()
    tab_to("#environment")
    press(browser, Keys.ARROW_DOWN)
    assert "Pong" in find(browser, "#status").text
    tab_to("#metric")
    press(browser, Keys.ARROW_DOWN)
    tab_to("input[value=steps]")
    press(browser, Keys.ARROW_RIGHT)
    assert axis_title(browser) == "Frames"
    tab_to("#none")
    press(browser, Keys.SPACE)
    assert not find(browser, "#curves").is_displayed()
    tab_to("#groups label:nth-child(2) input")
    press(browser, Keys.SPACE)
    assert drawn(browser) == {"PPO": [[400, 800, 1200], [0, 2.5, 5]]}
    tab_to("#curves-values summary")
    press(browser, Keys.ENTER)
    assert find(browser, "#curves-table").is_displayed()


def test_dark_by_the_system_and_by_choice(browser, page):
    assert lightness(background(browser, "body")) > 600
    show(browser, page, scheme="dark")
    assert lightness(background(browser, "body")) < 150
    ink = "return document.querySelector('#curves .xtitle').style.fill"
    assert lightness(browser.execute_script(ink)) > 400
    choose(browser, "theme", "Light")
    assert lightness(background(browser, "body")) > 600
    assert lightness(browser.execute_script(ink)) < 350
    browser.refresh()
    assert lightness(background(browser, "body")) > 600
    choose(browser, "theme", "As the system")
    assert lightness(background(browser, "body")) < 150


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone(browser, page, width):
    show(browser, page, width, 844, phone=True)
    choose(browser, "environment", "Pong")
    for summary in browser.find_elements("css selector", "summary"):
        if summary.is_displayed():
            browser.execute_script("arguments[0].click()", summary)
    script = "return [document.documentElement.scrollWidth, innerWidth]"
    assert browser.execute_script(script) == [width, width]
    script = """
        return [...document.querySelectorAll("select, button, #groups label, .segments label")]
          .filter((one) => one.offsetParent).map((one) => one.getBoundingClientRect())
          .map(({left, right, height}) => [left >= 0 && right <= innerWidth, height]);
    """
    for inside, height in browser.execute_script(script):
        assert inside and height >= 32
    script = """
        return [...document.querySelectorAll("#curves text")].map((text) => text.style.fontSize);
    """
    assert min(float(size.removesuffix("px")) for size in browser.execute_script(script)) >= 12


def test_text_has_contrast(browser, page):
    script = """
        const rgb = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const luminance = (color) => {
          const [r, g, b] = rgb(color).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ratio = (one, other) => {
          const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
          return (high + 0.05) / (low + 0.05);
        };
        const style = (selector) => getComputedStyle(document.querySelector(selector));
        const card = style(".card").backgroundColor;
        const series = [...document.querySelectorAll(".swatch")].map((one) => one.style.color);
        return {
          text: ratio(style("body").color, style("body").backgroundColor),
          muted: ratio(style(".about").color, card),
          lead: ratio(style(".lead").color, style("body").backgroundColor),
          series: Math.min(...series.map((color) => ratio(color, card))),
        };
    """
    for scheme in ("light", "dark"):
        show(browser, page, scheme=scheme)
        found = browser.execute_script(script)
        assert found["text"] >= 7 and found["muted"] >= 4.5 and found["lead"] >= 4.5
        assert found["series"] >= 3


def test_ten_colors_stand_out(browser, page):
    """All colors of report.css at 3:1 on a card, whatever groups there are."""
    script = """
        const probe = document.querySelector(".card").appendChild(document.createElement("i"));
        return Array.from({length: 10}, (_, place) => {
          probe.style.color = `var(--series-${place})`;
          return getComputedStyle(probe).color;
        });
    """
    for scheme, card in (("light", (255, 255, 255)), ("dark", (24, 28, 35))):
        show(browser, page, scheme=scheme)
        colors = browser.execute_script(script)
        assert len(set(colors)) == 10
        for color in colors:
            own = tuple(int(part) for part in color.strip("rgb()").split(","))
            assert contrast(own, card) >= 3, color


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color):
    shares = [part / 255 for part in color]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_nothing_is_asked_of_the_network(browser, page):
    browser.get_log("performance")  # what was until now
    show(browser, page)
    choose(browser, "environment", "Pong")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    names = {Path(address).name for address in asked}
    assert names >= {"index.html", "report.css", "report.js", "plotly.min.js"}
    assert not [
        address for address in asked if not address.startswith(("file:", "data:", "about:"))
    ]


def test_the_curves_are_saved_as_a_picture(browser, tmp_path):
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    find(browser, "#save").click()
    picture = tmp_path / "CartPole-v1-eval_average_return.svg"
    for _ in range(100):
        if picture.exists() and picture.stat().st_size:
            break
        time.sleep(0.1)
    text = picture.read_text()
    assert text.startswith("<svg") and "DQN" in text and "CartPole-v1" in text


def test_a_page_without_script_can_be_read(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(page)
        body = find(browser, "body").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "The figures need JavaScript" in body and "466.7" in body
    assert "Learning curves" not in body
