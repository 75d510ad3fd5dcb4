"""The page in headless Chromium: no errors, no requests, usable by keyboard and screen reader."""

import contextlib
import shutil

import pytest
from snakemake.assets import Assets

from tests.reporting.page.conftest import HOSTILE, OUTCOMES, RUN, make_page

INSTALLED = "is not installed; `make setup` installs it"
playwright = pytest.importorskip("playwright.sync_api", reason=f"playwright {INSTALLED}")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=f"axe-core {INSTALLED}")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="There is no `chromium`; Debian's package has it."),
]
PHONE, DESKTOP = 390, 1280
OPEN_ALL = "for (const part of document.querySelectorAll('details')) part.open = true;"
# Controls that a reader reaches with the tabulator key, by their ids.
CONTROLS = {
    "paper", "verdict", "curve-method", "curve-size", "curve-task", "curve-setting", "curve-metric",
    "answer-task", "answer-first", "answer-second", "answer-outcome", "answer-search",
    "neighbour-size", "neighbour-task", "neighbour-initialization",
}  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The address of a page with the plotting library."""
    library = [
        Assets.get_content(f"{name}/{name}.js") for name in ("vega", "vega-lite", "vega-embed")
    ]
    return make_page(tmp_path_factory.mktemp("page"), scripts=library).path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as library:
        started = library.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextlib.contextmanager
def opened(browser, address, width=DESKTOP, scheme="light"):
    """A tab with the page, drawn; everything that goes wrong in it fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    tab = context.new_page()
    requests, messages = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("dialog", lambda dialog: messages.append(dialog.message))
    tab.goto(address)
    tab.wait_for_selector("body[data-drawn]", state="attached")
    yield tab
    assert messages == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [address]
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_names_roles_and_contrast_are_accessible(browser, address, width, scheme):
    with opened(browser, address, width, scheme) as tab:
        tab.evaluate(OPEN_ALL)
        violations = axe.Axe().run(tab).response["violations"]
        assert [
            (violation["id"], [node["html"][:200] for node in violation["nodes"][:3]])
            for violation in violations
        ] == []


def test_a_phone_needs_no_horizontal_scrolling(browser, address):
    with opened(browser, address, PHONE) as tab:
        tab.evaluate(OPEN_ALL)
        wide = tab.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= PHONE
        svg = tab.locator("#figure1 .chart svg").bounding_box()
        assert 250 < svg["width"] <= PHONE


def test_the_page_follows_the_colour_scheme_and_charts_follow_the_page(browser, address):
    colors = {}
    for scheme in ("light", "dark"):
        with opened(browser, address, scheme=scheme) as tab:
            style = "(selector) => getComputedStyle(document.querySelector(selector))"
            background = tab.evaluate(f"({style})('body').backgroundColor")
            label = tab.evaluate(f"({style})('#figure1 svg .role-axis-label text').fill")
            colors[scheme] = background, label
    assert colors["light"][0] == "rgb(255, 255, 255)"
    assert colors["light"][0] != colors["dark"][0]
    assert colors["light"][1] != colors["dark"][1]


def test_every_control_is_reached_by_keyboard_and_answers_to_it(browser, address):
    with opened(browser, address) as tab:
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        reached = set()
        for _ in range(120):
            reached.add(tab.evaluate("document.activeElement.id"))
            tab.keyboard.press("Tab")
        assert reached >= CONTROLS
        tab.focus("#paper")
        tab.keyboard.press("Space")
        tab.wait_for_selector("#figure1 [aria-label*='(the paper)']", state="attached")
        tab.focus("#verdict")
        tab.keyboard.press("ArrowDown")
        verdict = tab.evaluate("document.activeElement.value")
        shown = tab.locator(".claims li:visible")
        assert verdict and 0 < shown.count() < tab.locator(".claims li").count()
        assert set(shown.evaluate_all("(items) => items.map((x) => x.dataset.verdict)")) == {
            verdict
        }


def test_a_mark_shows_its_values(browser, address):
    with opened(browser, address) as tab:
        point = tab.locator("#figure1 [aria-label^='Prompt Tuning, mini-xxl: 62.5']").last
        point.scroll_into_view_if_needed()
        point.hover()
        shown = tab.locator("#vg-tooltip-element.visible")
        shown.wait_for()
        assert "62.5" in shown.inner_text() and "mini-xxl" in shown.inner_text()


def test_the_menu_of_runs_has_groups_and_its_values_are_the_names_of_runs(browser, address):
    with opened(browser, address) as tab:
        options = tab.locator("#answer-first optgroup[label='prompt tuning, mini-xxl'] option")
        values = options.evaluate_all("(options) => options.map((option) => option.value)")
        assert values == [RUN.format(size="mini-xxl", seed=seed) for seed in (0, 1)]
        assert [text[-6:] for text in options.all_inner_texts()] == ["seed 0", "seed 1"]


def test_all_settings_are_means_over_seeds_with_a_legend_entry_each(browser, address):
    with opened(browser, address) as tab:
        tab.select_option("#curve-task", "cb")
        tab.select_option("#curve-setting", "all settings, mean over seeds")
        status = tab.locator("#curve-status").inner_text()
        assert status == "2 settings, 4 runs with 12 evaluations."
        tab.wait_for_function(
            "document.querySelectorAll('#curve-chart [aria-roledescription=point]').length === 6"
        )
        entries = tab.locator("#curve-chart .role-legend-label text").all_text_contents()
        assert len(entries) == len(set(entries)) == 2
        ticks = tab.locator("#curve-chart .role-axis-label").first.locator("text")
        assert ticks.all_text_contents() == ["100", "200", "300"]


def test_predictions_are_filtered_searched_and_compared(browser, address):
    first, second = (RUN.format(size="mini-xxl", seed=seed) for seed in (0, 1))
    with opened(browser, address) as tab:
        tab.select_option("#answer-first", second)
        counts = tab.locator("#answer-counts tbody tr").first.inner_text()
        assert counts.split()[-3:] == [str(count) for count in OUTCOMES[1]]
        items = tab.locator("#answer-list li")
        assert items.count() == 3
        tab.select_option("#answer-outcome", "illegal")
        assert items.count() == 1 and HOSTILE in items.inner_text()
        tab.select_option("#answer-outcome", "")
        tab.fill("#answer-search", "<i>1</i>")
        assert items.count() == 1
        tab.fill("#answer-search", "")
        tab.select_option("#answer-second", first)
        tab.select_option("#answer-outcome", "differ")
        assert items.count() == 2


def test_learning_curves_are_those_of_the_chosen_runs(browser, address):
    with opened(browser, address) as tab:
        tab.select_option("#curve-method", "model_tuning")
        tab.select_option("#curve-size", "mini-small")
        tab.select_option("#curve-task", "cb")
        assert tab.locator("#curve-status").inner_text() == "2 runs with 6 evaluations."
        rows = tab.locator("#curve-table tbody tr")
        assert rows.count() == 6
        tab.wait_for_function(
            "document.querySelectorAll('#curve-chart [aria-roledescription=point]').length === 6"
        )
