"""What people see: first paint, live data, failure states, keyboard, colours, files, access."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect
from tests.browser.conftest import ARTIFACTS, Stage, Watched, watch
from tests.support.web_process import WebProcess

pytestmark = pytest.mark.browser

WIDE = ViewportSize(width=1440, height=1000)
NARROW = ViewportSize(width=390, height=844)
NOTHING = "\N{EN DASH}"  # what stands where there is no number
LOST = "Connection lost. What is shown is the last that came; reconnecting by itself."
# The share of the bars within what is shown that have a price.
COMPLETE = """(() => {
  const { time, columns } = page.market.bars, { min, max } = page.span();
  const last = Math.min(max, page.market.now - 2);
  const rows = time.map((at, i) => [at, columns.close[i]]).filter(([at]) => at >= min && at < last);
  const priced = rows.filter(([, close]) => close != null).length;
  return priced / Math.floor((last - min) / page.market.window.step);
})()"""
CHARTS = ("price", "track", "error", "histogram", "coverage")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=WIDE, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def live(stage: Stage) -> Iterator[WebProcess]:
    """A server with a market that moves."""
    with stage.market(), stage.web().start() as web:
        yield web


def show(context: BrowserContext, web: WebProcess, query: str = "") -> Watched:
    """Open the page and wait for its first numbers."""
    watched = watch(context)
    watched.page.goto(f"{web.url}/{query}")
    expect(watched.page.locator("#connection")).to_contain_text("Live", timeout=30_000)
    expect(watched.page.locator("#price")).not_to_have_text(NOTHING)
    expect(watched.page.locator("#mae")).not_to_have_text(NOTHING, timeout=30_000)
    return watched


def keep(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a screenshot for people to look at; charts out of sight are drawn when scrolled to."""
    ARTIFACTS.mkdir(exist_ok=True)
    if whole:
        for chart in CHARTS:
            page.locator(f"#{chart}-chart").scroll_into_view_if_needed()
            page.wait_for_timeout(150)
        page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=whole)


def state(page: Page, expression: str) -> Any:
    return page.evaluate(expression)


def test_the_first_paint_is_quick_small_and_asks_nobody_else(
    context: BrowserContext, live: WebProcess
) -> None:
    watched = show(context, live)
    page = watched.page
    for chart in CHARTS:
        page.locator(f"#{chart}-chart").scroll_into_view_if_needed()
        expect(page.locator(f"#{chart}-chart canvas")).to_be_visible()
    assert watched.complaints == []
    assert {url.split("/")[2] for url in watched.addresses} == {live.url.removeprefix("http://")}
    sizes = state(
        page,
        "performance.getEntries().filter(e => e.transferSize && !e.name.includes('stream'))"
        ".map(e => e.transferSize)",
    )
    assert sum(sizes) < 200_000
    assert state(page, "page.market.bars.time.length") >= 1_800
    keep(page, "wide-light", whole=True)


def test_numbers_move_and_the_title_with_them(context: BrowserContext, live: WebProcess) -> None:
    page = show(context, live).page
    for _ in range(3):
        before = page.locator("#price").inner_text()
        expect(page.locator("#price")).not_to_have_text(before)
    assert page.title().endswith("BTC-USD")
    assert page.title().split()[0].replace(",", "").replace(".", "").isdigit()
    cost = state(page, "page.drawTime")
    assert cost < 100  # a guard on a busy machine; benchmarks measure


def test_counts_of_errors_are_whole_numbers_each_shown_once(
    context: BrowserContext, live: WebProcess
) -> None:
    page = show(context, live).page
    for errors in ([1.0, 2.0], [1.0, 1.0, 2.0], [1.0] * 500):
        marks = page.evaluate(
            """errors => {
              const track = { time: errors.map((_, at) => at), columns: { error: errors } };
              page.histogram.draw({ track }, { min: 0, max: errors.length });
              page.histogram.rebuild();
              return page.histogram.plot.axes[1]._values;
            }""",
            errors,
        )
        assert len(marks) >= 2
        assert len(set(marks)) == len(marks)


def test_a_killed_server_is_told_and_the_gap_is_filled(
    context: BrowserContext, stage: Stage
) -> None:
    with stage.market() as market, stage.web() as first, stage.web() as second:
        first.start()
        page = show(context, first, "?range=5m").page
        first.kill()
        expect(page.locator("#banners")).to_contain_text(LOST)
        expect(page.locator("#pipeline-age")).to_have_text("as it was last known")
        keep(page, "connection-lost")
        time.sleep(3)
        second.start()
        expect(page.locator("#banners")).not_to_contain_text(LOST, timeout=40_000)
        before = page.locator("#price").inner_text()
        expect(page.locator("#price")).not_to_have_text(before)
        shown = state(
            page, "({time: page.market.bars.time, close: page.market.bars.columns.close})"
        )
        prices = dict(zip(shown["time"], shown["close"], strict=True))
        assert len(prices) == len(shown["time"])
        last = max(prices)
        seconds = [at // 1_000_000 for at in market.published if at // 1_000_000 <= last]
        assert len(seconds) > 5
        assert [at for at in seconds if prices[at] is None] == []


def test_old_prices_are_called_old(context: BrowserContext, stage: Stage) -> None:
    with stage.web() as web:
        with stage.market():
            web.start()
            page = show(context, web).page
            expect(page.locator("#banners")).to_contain_text("made up")
            expect(page.locator("#feed")).to_have_text("simulated")
            expect(page.locator("[data-name=stale]")).to_have_count(0)
        expect(page.locator("[data-name=stale]")).to_contain_text(
            "what is shown is old", timeout=20_000
        )
        expect(page.locator("#connection")).to_have_text("Stale")
        keep(page, "stale")
        with stage.market():
            expect(page.locator("[data-name=stale]")).to_have_count(0, timeout=20_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_every_scheme_and_size_is_readable_and_accessible(
    browser: Browser,
    live: WebProcess,
    frontend: Path,
    scheme: Literal["light", "dark"],
    size: str,
) -> None:
    phone = size == "narrow"
    context = browser.new_context(
        viewport=NARROW if phone else WIDE,
        color_scheme=scheme,
        has_touch=phone,
        is_mobile=phone,
        bypass_csp=True,  # for axe, which is no part of the page
    )
    page = show(context, live, "?kind=candles").page
    assert (
        state(page, "document.documentElement.scrollWidth") <= (NARROW if phone else WIDE)["width"]
    )
    ground = state(page, "getComputedStyle(document.body).backgroundColor")
    red = int(ground.removeprefix("rgb(").split(",")[0])
    assert red < 60 if scheme == "dark" else red > 200
    page.add_script_tag(path=frontend / "node_modules" / "axe-core" / "axe.min.js")
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
    problems = {
        violation["id"]: [node["html"] for node in violation["nodes"]]
        for violation in found["violations"]
    }
    assert problems == {}
    keep(page, f"{size}-{scheme}-candles", whole=True)
    context.close()


def test_the_scheme_may_change_while_the_page_is_open(
    context: BrowserContext, live: WebProcess
) -> None:
    page = show(context, live).page
    light = state(page, "page.price.plot.axes[0].stroke()")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("before => page.price.plot.axes[0].stroke() !== before", arg=light)


def test_the_keyboard_reaches_everything(context: BrowserContext, live: WebProcess) -> None:
    watched = show(context, live)
    page = watched.page
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(state(page, "document.activeElement.id || document.activeElement.textContent"))
    for control in ("symbol", "zone", "pause", "1m", "5 min", "Candles", "CSV", "full"):
        assert control in reached
    assert "price-chart" in reached
    page.keyboard.press("u")
    expect(page.locator("#zone")).to_have_text("UTC")
    width = "page.span().max - page.span().min"
    before = state(page, width)
    page.keyboard.press("+")
    assert state(page, width) == pytest.approx(before / 2, rel=0.1)
    moved = state(page, "page.span().min")
    page.keyboard.press("ArrowLeft")
    assert state(page, "page.span().min") < moved
    page.keyboard.press("Home")
    assert state(page, "page.zoom") is None
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    assert watched.complaints == []


def test_dragging_zooms_and_the_link_reproduces_it(
    context: BrowserContext, live: WebProcess
) -> None:
    page = show(context, live, "?range=15m&horizon=30&kind=candles&zone=utc").page
    box = page.locator("#price-chart .u-over").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=5)
    page.wait_for_timeout(500)
    page.mouse.up()
    page.wait_for_function("() => page.zoom !== null")
    zoom = state(page, "page.zoom")
    assert 150 < zoom["max"] - zoom["min"] < 400
    expect(page.locator("#price-readout")).to_contain_text("C ")  # the crosshair's exact values
    copy = show(context, live, page.url.removeprefix(live.url).lstrip("/")).page
    assert state(copy, "page.zoom.min") == pytest.approx(zoom["min"], abs=1)
    assert state(copy, "page.view.horizon") == 30
    expect(copy.locator("#zone")).to_have_text("UTC")
    expect(copy.locator("#kinds [aria-pressed=true]")).to_have_text("Candles")


def test_the_wheel_scrolls_the_page_until_the_chart_is_chosen(
    context: BrowserContext, live: WebProcess
) -> None:
    page = show(context, live, "?range=15m").page
    box = page.locator("#price-chart .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.wheel(0, 100)
    page.wait_for_function("() => scrollY > 0")
    assert state(page, "page.zoom") is None
    page.evaluate("scrollTo(0, 0)")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.wheel(0, -100)
    page.wait_for_function("() => page.zoom !== null")
    nearer = state(page, "page.zoom")
    assert nearer["max"] - nearer["min"] == pytest.approx(0.8 * 1.25 * 900, rel=0.01)
    assert state(page, "scrollY") == 0
    page.mouse.wheel(-200, 0)
    page.wait_for_function("min => page.zoom.min < min", arg=nearer["min"])
    page.keyboard.press("Escape")
    page.mouse.wheel(0, 100)
    page.wait_for_function("() => scrollY > 0")


def test_older_data_come_while_panning_and_finer_ones_while_zooming(
    context: BrowserContext, live: WebProcess
) -> None:
    watched = show(context, live, "?range=5m&horizon=10")
    page = watched.page
    begin = state(page, "page.market.window.start")
    for _ in range(4):
        page.locator("#pan-left").click()
    page.wait_for_function("begin => page.market.window.start < begin - 200", arg=begin)
    page.wait_for_function(f"() => {COMPLETE} >= 0.98")
    assert state(page, "page.market.track.columns.actual.some(each => each != null)")
    page.locator("#follow").click()
    page.wait_for_function("() => page.zoom === null && page.market.window.live")
    page.locator("#ranges button", has_text="24h").click()
    page.wait_for_function("() => page.market.window.step === 60")
    page.evaluate("document.activeElement.blur()")
    for _ in range(8):
        page.keyboard.press("+")
    page.wait_for_function(f"() => page.market.window.step === 1 && {COMPLETE} >= 0.9")
    ahead = state(page, "page.zoom.max - page.market.now")
    assert -15 < ahead < 15  # the newest stays in sight
    before = page.locator("#price").inner_text()
    expect(page.locator("#price")).not_to_have_text(before)  # live all the while
    assert watched.complaints == []


def test_the_crosshair_moves_by_keyboard_and_is_said(
    context: BrowserContext, live: WebProcess
) -> None:
    page = show(context, live, "?range=5m&kind=candles&zone=utc").page
    page.locator("#pause").click()
    page.locator("#price-chart").focus()
    page.keyboard.press(",")
    first = page.locator("#spoken").inner_text()
    page.keyboard.press(",")
    second = page.locator("#spoken").inner_text()
    assert first != second
    assert page.locator("#price-chart .tag-x").inner_text()[:5] in second
    for _ in range(80):
        page.keyboard.press(",")
    assert " V " in page.locator("#spoken").inner_text()  # of a candle, with what was traded


def test_the_charts_point_at_the_same_moment(context: BrowserContext, live: WebProcess) -> None:
    page = show(context, live, "?range=5m&horizon=5").page
    page.locator("#pause").click()
    box = page.locator("#price-chart .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    expect(page.locator("#track-readout")).to_contain_text(":")
    shown = [page.locator(f"#{name}-readout").inner_text()[:8] for name in ("price", "track")]
    seconds = [sum(int(part) * 60**i for i, part in enumerate(t.split(":")[::-1])) for t in shown]
    assert abs(seconds[0] - seconds[1]) <= 1
    assert page.locator("#price-chart .tag-y").inner_text().count(",") == 1


def test_another_symbol_leaves_nothing_of_the_first(context: BrowserContext, stage: Stage) -> None:
    with stage.market(), stage.web(SYMBOLS="BTC-USD,ETH-USD").start() as web:
        page = show(context, web).page
        page.locator("#symbol").select_option("ETH-USD")
        expect(page.locator("#price")).to_have_text(NOTHING)
        expect(page.locator("#forecast")).to_have_text(NOTHING)
        expect(page.locator("#price-chart .empty")).to_be_visible()
        expect(page.locator("#price-chart .u-axis").first).to_be_hidden()  # a scale of nothing
        expect(page.locator("#pipeline")).to_contain_text("no tick yet", timeout=10_000)
        keep(page, "cold-start")


def test_a_paused_page_holds_still_and_catches_up(
    context: BrowserContext, live: WebProcess
) -> None:
    page = show(context, live).page
    page.locator("#pause").click()
    expect(page.locator("#pause")).to_have_text("Paused")
    still = page.locator("#price").inner_text()
    page.wait_for_timeout(3_000)
    assert page.locator("#price").inner_text() == still
    keep(page, "paused")
    page.locator("#pause").click()
    expect(page.locator("#price")).not_to_have_text(still)


def test_the_token_is_asked_for_once_and_forgotten_with_the_tab(
    context: BrowserContext, stage: Stage, frontend: Path
) -> None:
    token = "a-token-of-some-length"
    with stage.market(), stage.web(WEB_TOKEN=token).start() as web:
        page = watch(context).page
        page.goto(web.url)
        dialog = page.locator("#access")
        expect(dialog).to_be_visible()
        keep(page, "token")
        page.keyboard.type("a-wrong-token-of-length")
        page.keyboard.press("Enter")
        expect(dialog.locator("[role=alert]")).to_have_text("That token was refused.")
        page.keyboard.type(token)
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_contain_text("Live", timeout=30_000)
        expect(page.locator("#price")).not_to_have_text(NOTHING)
        page.reload()
        expect(page.locator("#connection")).to_contain_text("Live", timeout=30_000)
        expect(dialog).to_be_hidden()
        assert token not in page.url
        assert state(page, "document.cookie + JSON.stringify(localStorage)") == "{}"
        other = watch(context).page
        other.goto(f"{web.url}/api/docs")
        expect(other.locator("#access")).to_be_visible()
        assert token not in web.log


@pytest.mark.parametrize("range_name", ["1m", "5m", "1h", "4h", "24h", "7d", "all"])
def test_every_range_shows_something_and_complains_of_nothing(
    context: BrowserContext, live: WebProcess, range_name: str
) -> None:
    watched = show(context, live, f"?range={range_name}&horizon=5")
    page = watched.page
    page.wait_for_function("() => page.market.bars.columns.close.some(each => each != null)")
    page.wait_for_timeout(1_500)
    assert watched.complaints == []
    assert page.locator("[data-name=fault]").count() == 0


def test_what_is_shown_can_be_taken_away(context: BrowserContext, live: WebProcess) -> None:
    page = show(context, live, "?range=5m&horizon=5").page
    page.locator("#pause").click()
    files: dict[str, bytes] = {}
    for kind in ("csv", "json", "png"):
        with page.expect_download() as waiting:
            page.locator(f"[data-export={kind}]").click()
        assert waiting.value.suggested_filename.endswith(f".{kind}")
        files[kind] = Path(waiting.value.path()).read_bytes()
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode())))
    document = json.loads(files["json"])
    assert document["feed"] == "simulated"
    assert len(rows) == len(document["rows"]) > 250
    priced = [row for row in rows if row["close"]]
    assert all(float(row["low"]) <= float(row["close"]) <= float(row["high"]) for row in priced)
    assert any(row["error"] for row in rows)
    assert files["png"].startswith(b"\x89PNG")


def test_the_full_screen_shows_the_chart_alone(context: BrowserContext, live: WebProcess) -> None:
    page = show(context, live).page
    page.locator("#full").click()
    page.wait_for_function("() => document.fullscreenElement?.id === 'price-panel'")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")


def test_without_the_library_the_page_says_how_to_get_it(
    context: BrowserContext, stage: Stage
) -> None:
    with stage.web(FRONTEND_DIR=stage.folder).start() as web:
        page = context.new_page()
        answer = page.goto(web.url)
        assert answer is not None
        assert answer.status == 503
        expect(page.locator("h1")).to_have_text("The charting library is missing")
        keep(page, "library-missing")
