"""The page of the report, in a real browser and without one."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from html import unescape
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sparkify.commands import status
from sparkify.commands.checks import show_standing
from sparkify.features import axis_of, label_of
from sparkify.formatting import percentage, share_in_words
from sparkify.report import exploring, figures, words
from sparkify.report.card import render_card
from sparkify.report.data import ReportData, changes
from sparkify.report.page import (
    FIRST,
    LISTED,
    belief,
    contact_note,
    contact_rows,
    in_words,
    render,
    summary,
)
from sparkify.report.values import MOST, values_of
from sparkify.settings import Settings
from sparkify.summary import show_data
from tests.sparkify.browser import open_browser
from tests.sparkify.report_data import (
    AS_OF,
    OFFER,
    activity,
    checks,
    cohorts,
    report_data,
    run_up,
    survival,
)

WIDTHS = (390, 768, 1280)
HOSTILE = "</script><img src=x onerror='window.hacked=1'><script>window.hacked=1</script>{{7*7}}"
CHARTS = 18
# What is drawn of marks, apart from axes, grids and legends.
MARKS = "g.role-mark *"


@pytest.fixture(scope="module")
def page() -> str:
    return render(report_data())


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    opened = open_browser(downloads)
    yield opened
    opened.quit()


@pytest.fixture
def show(browser, tmp_path):
    """A function that opens a page at a width, and waits until its charts are drawn."""

    def opened(html: str, *, width: int = 1280, dark: bool = False):
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        drawn = "return document.querySelectorAll('[data-chart]:not(.drawn)').length === 0"
        wait(browser, lambda: browser.execute_script(drawn))
        return browser

    return opened


def wait(browser, is_so: Callable[[], bool]) -> None:
    """Wait for something to be so, half a minute at most."""
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 30, poll_frequency=0.05).until(lambda _: is_so())


def texts(browser, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)"
    return browser.execute_script(script, selector)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_chart_is_seen_whole_and_holds_something(show, page, width):
    found = show(page, width=width).execute_script(
        """
        const shown = [...document.querySelectorAll('[data-chart]')].map(place => {
            const svg = place.querySelector('svg'), edge = svg.getBoundingClientRect();
            const marks = [...svg.querySelectorAll(arguments[0])].filter(mark => {
                const box = mark.getBoundingClientRect();
                return box.width + box.height > 0;
            });
            const cut = [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.width && (box.left < edge.left - 2 || box.right > edge.right + 2
                    || box.top < edge.top - 2 || box.bottom > edge.bottom + 2);
            }).map(text => text.textContent);
            return {key: place.dataset.chart, width: edge.width, height: edge.height,
                    right: edge.right, marks: marks.length, cut};
        });
        return {shown, wide: document.documentElement.scrollWidth};
        """,
        MARKS,
    )
    # Less a scroll bar, where there is one.
    assert found["wide"] <= width
    assert len(found["shown"]) == CHARTS
    for chart in found["shown"]:
        assert chart["width"] > 200 and chart["height"] > 60, chart
        assert chart["right"] <= width and chart["marks"] > 0, chart
        assert chart["cut"] == [], chart


def test_every_axis_of_numbers_says_what_it_counts():
    data = report_data()
    pictures = [figures.of_who, figures.of_why, figures.of_when, figures.of_rows]
    pictures += [figures.of_judging, figures.of_drift]
    charts = {
        each.key: each.chart.to_dict()
        for of in pictures
        for each in of(data)
        if isinstance(each, figures.Figure)
    }
    assert len(charts) >= CHARTS - 1
    for key, chart in charts.items():
        titles = {}
        for layer in [chart, *chart.get("layer", [])]:
            for channel, field in layer.get("encoding", {}).items():
                if channel in ("x", "y") and field.get("type") == "quantitative":
                    titles.setdefault(channel, set()).add(field.get("title") or "")
        assert titles and all(any(found) for found in titles.values()), (key, titles)
    feature = data.run_up["feature"].iloc[0]
    layers = charts["runup0"]["layer"]
    assert axis_of(feature) in [each["encoding"]["y"].get("title") for each in layers]


@pytest.mark.parametrize("has_churn", [True, False])
def test_the_page_asks_no_host_for_anything_and_says_nothing_in_the_console(show, page, has_churn):
    shown = show(page if has_churn else render(report_data(has_churn=False)))
    sent = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]
    asked = {
        event["params"]["request"]["url"].split(":")[0]
        for event in sent
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data"}
    assert shown.get_log("browser") == []


def test_the_policy_of_the_page_lets_no_other_script_and_no_host_in(show, page):
    injected = page.replace(
        "</main>",
        "<script>window.hacked = 1</script><img src='https://example.org/x.png'></main>",
    )
    shown = show(injected)
    assert shown.execute_script("return window.hacked") is None
    refused = [each["message"] for each in shown.get_log("browser")]
    assert len(refused) == 2 and all("Content Security Policy" in each for each in refused)


def test_the_list_is_sorted_and_searched(show):
    shown = show(render(report_data(users=400)))
    rows = "#contacts tbody tr"

    def column(number: int) -> list[str]:
        return texts(shown, f"#contacts tbody tr > :nth-child({number})")

    def press(heading: str) -> None:
        shown.execute_script(
            "[...document.querySelectorAll('#contacts thead button')]"
            ".find(each => each.textContent.startsWith(arguments[0])).click()",
            heading,
        )

    assert len(texts(shown, rows)) == FIRST
    assert column(1) == [str(each) for each in range(1, FIRST + 1)]
    press("user")
    assert column(2) == sorted(column(2), key=int) and int(column(2)[0]) < 10
    press("user")
    assert column(2) == sorted(column(2), key=int, reverse=True)
    press("risk")
    risks = [float(each.removesuffix("\u00a0%")) for each in column(3)]
    assert risks == sorted(risks, reverse=True)
    sought = column(2)[3]
    box = shown.find_element("css selector", "#contacts input")
    box.send_keys(f"{sought} THUMBS")
    assert sought in column(2) and all(sought in each for each in column(2))
    box.clear()
    box.send_keys("nobody has this")
    assert texts(shown, rows) == []
    assert texts(shown, "#contacts .count")[0].startswith("0 of ")
    box.clear()
    box.send_keys("u")
    shown.execute_script("dispatchEvent(new Event('beforeprint'))")
    printed = len(texts(shown, rows))
    assert texts(shown, "#contacts .count")[0].startswith(f"{printed} of ") and printed > FIRST
    shown.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(texts(shown, rows)) == FIRST


def test_who_has_no_mouse_reads_the_values_and_goes_on_where_new_rows_begin(show):
    shown = show(render(report_data(users=400)))
    told = shown.execute_script(
        "return [...document.querySelectorAll('figure')].map(each =>"
        " [...each.querySelectorAll('details td')].map(cell => cell.textContent))"
    )
    assert len(told) == CHARTS and all(any(map(str.strip, each)) for each in told)
    regions = shown.execute_script(
        "return [...document.querySelectorAll('.table, .values')]"
        ".map(each => [each.tabIndex, each.getAttribute('role'), each.ariaLabel !== ''])"
    )
    assert len(regions) > CHARTS and all(each == [0, "region", True] for each in regions)
    more = shown.find_element("css selector", "#contacts .more")
    more.send_keys("\ue007")
    assert not more.is_displayed()
    at = shown.execute_script("return document.activeElement.querySelector('td').textContent")
    assert at == str(FIRST + 1)


def test_on_paper_everything_is_open(show, page):
    shown = show(page)
    closed = "return document.querySelectorAll('details:not([open])').length"
    shown.execute_script("document.querySelector('details').open = true")
    before = shown.execute_script(closed)
    assert before >= CHARTS
    shown.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert shown.execute_script(closed) == 0
    shown.execute_script("dispatchEvent(new Event('afterprint'))")
    assert shown.execute_script(closed) == before


def test_on_paper_the_list_is_a_table(show, page):
    shown = show(page, width=700)
    row = "return getComputedStyle(document.querySelector('#contacts tbody tr')).display"
    assert shown.execute_script(row) == "block"
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert shown.execute_script(row) == "table-row"
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_values_below_a_chart_are_those_of_its_tooltips():
    told = [
        {"field": "week", "type": "temporal", "format": "%-d %b"},
        {"field": "rate", "type": "quantitative", "format": ".1%", "title": "left"},
        {"field": "mean", "type": "quantitative", "format": ",.3~r"},
        {"field": "users", "type": "quantitative"},
    ]
    row = {"week": "2018-10-01T00:00:00", "rate": 0.0125, "mean": 0.00004, "users": 12345}
    spec = {"encoding": {"tooltip": told}, "data": {"name": "a"}, "datasets": {"a": [row]}}
    few = values_of(spec)
    assert few.columns == ("week", "left", "mean", "users")
    assert few.rows == (("1 October 2018", "1.3\u00a0%", "0.00004", "12,345"),)
    spec["datasets"]["a"] = [row | {"users": each, "rate": None} for each in range(1_000)]
    many = values_of(spec)
    assert many.count == 1_000 and len(many.rows) == MOST
    assert [many.rows[at][-1] for at in (0, -1)] == ["0", "999"] and many.rows[0][1] == "–"


def test_a_list_of_one_counts_one_user(show):
    data = report_data(users=200)
    data.targets["is_worth_contacting"] = data.targets["priority"] == 1
    assert texts(show(render(data)), "#contacts .count") == ["1 of 1 user"]


def test_with_and_without_scripts_the_list_says_the_same(show):
    data = report_data(users=200)
    data.targets.loc[:4, "probability"] = [0.125, 0.0625, 0.0125, 0.00004, 0.0000004]
    data.targets.loc[:4, "expected_value"] = [0.125, 0.005, -0.001, 1234.5, 0]
    html = render(data)
    shown = show(html)
    for label in ("risk", "expected profit, USD"):
        still = re.findall(rf'figure" data-label="{label}">([^<]+)</td>', html)
        assert len(still) == FIRST and still == texts(shown, f"#contacts td[data-label='{label}']")
    risks = [row[2] for row in contact_rows(data)]
    assert risks == pytest.approx(data.targets["probability"][: len(risks)], rel=1e-3)


def test_the_csv_holds_the_list_and_no_formula(show, downloads):
    data = report_data(users=200)
    starts = ["=1+1", "+1", "-1", "@sum", "\t=2", '"quoted", with comma', "line\nbreak"]
    starts += ["a;=1", "\u200b\ufe621"]
    worth = data.targets["is_worth_contacting"]
    data.targets.loc[: len(starts) - 1, "user_id"] = starts
    data.targets.loc[0, "reason_1"] = "=HYPERLINK(0)"
    shown = show(render(data))
    shown.find_element("css selector", "#contacts .save").click()
    path = downloads / "contacts-2018-12-03.csv"
    wait(shown, path.exists)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == worth.sum() > len(starts)
    said = [*(f"'{each}" for each in starts[:4]), "'\t'=2", *starts[5:7]]
    said += ["a;'=1", "'\u200b\ufe621"]
    assert [row["user"] for row in rows][: len(said)] == said
    assert rows[0]["reason 1"] == "'=HYPERLINK(0)"
    kept = data.targets[worth]
    assert [row["user"] for row in rows][9:] == kept["user_id"].tolist()[9:]
    assert [float(row["risk"]) for row in rows] == pytest.approx(kept["probability"], abs=1e-4)


def test_whatever_a_log_calls_things_is_text(show):
    html = render(report_data(hostile=HOSTILE))
    shown = show(html)
    assert shown.execute_script("return window.hacked") is None
    assert shown.execute_script("return document.querySelectorAll('img').length") == 0
    users = texts(shown, "#contacts tbody th")
    assert any(each.startswith(HOSTILE) for each in users)
    assert any(HOSTILE in each for each in texts(shown, "#contacts tbody li"))
    for place in ("#drift .plain li", "#quality td", "#rejected td", "#model .aside", "#top li"):
        assert any(HOSTILE in each for each in texts(shown, place)), place
    assert shown.get_log("browser") == []


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out_from_its_background(show, page, dark):
    pale = show(page, dark=dark).execute_script(
        """
        const parse = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
        const behind = each => {
            for (let at = each; at; at = at.parentElement) {
                const colour = parse(getComputedStyle(at).backgroundColor);
                if (colour.length === 3 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
        };
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const pale = [];
        for (let node; (node = walker.nextNode());) {
            const at = node.parentElement, style = getComputedStyle(at);
            if (!node.textContent.trim() || ['SCRIPT', 'STYLE'].includes(at.tagName)
                || !at.getClientRects().length) continue;
            const ink = at.closest('svg') ? style.fill : style.color;
            const [one, other] = [light(parse(ink)), light(behind(at))].sort((a, b) => b - a);
            const large = parseFloat(style.fontSize) >= 24;
            if ((one + .05) / (other + .05) < (large ? 3 : 4.5))
                pale.push([node.textContent.trim(), ink, behind(at)]);
        }
        return pale;
        """
    )
    assert pale == []


def test_without_scripts_there_are_pictures_and_the_first_users(show, browser, page, tmp_path):
    path = tmp_path / "still.html"
    path.write_text(page, encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(path.as_uri())
        found = browser.execute_script(
            "return [...document.querySelectorAll('[data-chart] > svg')]"
            ".map(each => each.getBoundingClientRect().width)"
        )
        rows = browser.execute_script(
            "return document.querySelectorAll('#contacts tbody tr').length"
        )
        tools = browser.execute_script(
            "return document.querySelector('#contacts .tools').getClientRects().length"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert len(found) == CHARTS and min(found) > 200
    assert rows > 0 and tools == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"has_churn": False}, "five users who left"),
        ({"has_model": False}, "No model sparkify-churn has been trained yet."),
        ({"users": 1}, "With one active user there is no distribution of risk to show."),
        ({"users": 0}, "Nobody is scored"),
    ],
)
def test_what_cannot_be_shown_is_said(show, options, said):
    shown = show(render(report_data(**options)), width=390)
    assert any(said in each for each in texts(shown, ".missing"))
    assert shown.execute_script("return document.documentElement.scrollWidth") == 390
    assert shown.get_log("browser") == []


def test_a_curve_that_begins_after_another_one_has_ended_is_no_failure():
    curve = survival()
    free, paid = (curve[curve["cohort"] == name] for name in ("free", "paid"))
    apart = pd.concat([free[free["tenure_days"] <= 20], paid[paid["tenure_days"] >= 40]])
    title = figures.survival(apart).title
    assert "who began free are still here" in title and "paid" not in title


def test_a_curve_that_begins_late_is_told_of_those_who_had_stayed_until_then():
    curve = survival()
    free, paid = (curve[curve["cohort"] == name] for name in ("free", "paid"))
    late = paid[paid["tenure_days"] >= 40].assign(first_day=40)
    late = figures.survival(pd.concat([free, late])).title
    assert late.startswith("97 days after registration 34\u00a0% of those who began free, and ")
    assert late.endswith("who began paid and were still here on day 40 are still here")
    assert "day 1 " not in late
    # As alike as can be, and yet of different users.
    alike = free[free["tenure_days"] >= 40].assign(cohort="paid", first_day=40)
    alike = pd.concat([free, alike])
    assert "overlap" not in figures.survival(alike).title
    both = figures.survival(pd.concat([free, free.assign(cohort="paid")])).title
    assert both.endswith("who began paid are still here (the intervals overlap)")


def test_a_hazard_of_1_percent_a_day_loses_26_percent_in_30_days():
    table = cohorts(6)
    days = table.index + 5
    table["last_day"] = table["first_day"] + days - 1
    table["survival"], table["ci_low"], table["ci_high"] = 0.99**days, 0.98**days, 0.995**days
    figure = figures.cohorts(table)
    shown = figure.chart.data
    for column, hazard in (("low", 0.005), ("rate", 0.01), ("high", 0.02)):
        assert shown[column].tolist() == pytest.approx([1 - (1 - hazard) ** 30] * 4)
    assert "stands out: 26\u00a0% leave in 30 days" in figure.title
    # Two of the six weeks are known for five days and six.
    assert "fewer than 7 days are known is left out" in figure.note


@pytest.mark.parametrize(("users", "overlap"), [(50, False), (4, True)])
def test_a_level_that_nobody_or_everybody_left_is_compared_by_the_rule_of_three(users, overlap):
    curve = survival()
    last = curve["tenure_days"] == curve["tenure_days"].max()
    free = curve["cohort"] == "free"
    curve.loc[last & ~free, ["survival", "ci_low", "ci_high"]] = (0.5, 0.4, 0.6)
    curve["at_risk_count"] = users
    for share in (1.0, 0.0):
        curve.loc[last & free, ["survival", "ci_low", "ci_high"]] = (share, np.nan, np.nan)
        assert ("overlap" in figures.survival(curve).title) == overlap


def test_large_means_are_written_out_and_one_user_moves_nothing():
    weeks = run_up()
    numbers = ["mean", "ci_low", "ci_high", "stays"]
    (large,) = figures.run_up(weeks.assign(**weeks[numbers] * 300))
    assert "from 150 to 900" in large.title and "those who stay: 120" in large.title
    (single,) = figures.run_up(weeks.assign(ci_low=np.nan, ci_high=np.nan))
    assert "0.5, then 3, which may be chance" in single.title
    assert words.two_digits(99.7) == "100" and words.two_digits(0.0341) == "0.034"


def test_what_is_little_is_written_out_and_is_not_zero():
    assert [words.two_digits(each) for each in (0.00004, -0.00004, 0)] == [
        "0.00004",
        "-0.00004",
        "0",
    ]
    shares = (0, 0.00004, 0.0004, 0.0125, 0.125, 0.9949, 0.9955, 0.9967, 0.99997, 1 - 1e-12, 1)
    said = ("0", "0.004", "0.04", "1.3", "13", "99", "99.6", "99.7", "99.997", "99.999999", "100")
    assert [words.percent(share) for share in shares] == [f"{each}\u00a0%" for each in said]
    shares = (0, 0.00004, 0.0006, 0.5, 0.9994, 0.9997, 0.99999, 1)
    said = ("0.0", "0.004", "0.1", "50.0", "99.9", "99.97", "99.999", "100.0")
    assert [percentage(share) for share in shares] == [f"{each}%" for each in said]
    assert share_in_words(0.0000004) == "0.00004 % of the users of the log"
    (tiny,) = figures.run_up(run_up().assign(stays=0.00004))
    assert tiny.title.endswith("those who stay: 0.00004")


def test_a_title_counts_one_user_and_no_tenth_of_few():
    week = activity(1).head(2).assign(active_user_count=[0, 1])
    assert figures.active(week).title == "1 user was active in the last whole week"
    same = figures.active(pd.concat([week, activity(1).iloc[2:4].assign(active_user_count=[0, 1])]))
    assert same.title.endswith("in the last whole week, as in the first")
    more = figures.active(
        pd.concat([week, activity(1).iloc[2:4].assign(active_user_count=[0, 77])])
    )
    assert more.title == "77 users were active in the last whole week, and 1 in the first"
    few = figures.risk(pd.Series([0.1, 0.3]), horizon_days=14)
    assert few.title.startswith("The riskiest of 2 users carries 75")
    assert "this is the user closest to it" in contact_note(report_data(users=1), shown=1)


@pytest.mark.parametrize("users", [1, 60])
def test_one_of_anything_is_no_plural(users):
    data = every_count_at_one(report_data(users=users))
    told = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", render(data), flags=re.DOTALL)
    told = unescape(re.sub(r"<[^>]+>", "\n", told))
    assert "1 day" in told and plurals_of_one(told) == []
    nobody = replace(data, targets=data.targets.head(0), model=None)
    told = "\n".join(f"{card['value']} {card['label']}" for card in summary(nobody)["cards"])
    assert told.startswith("1 active user\n1 user ") and plurals_of_one(told) == []


def every_count_at_one(data: ReportData) -> ReportData:
    """A report whose horizon is a day, and that counts one of everything that it counts."""

    def of(table: pd.DataFrame) -> pd.DataFrame:
        counts = ["users", "churned", "expected_churners", "observed_churners"]
        names = [name for name in table if name.endswith("_count") or name in counts]
        return table.assign(**dict.fromkeys(names, 1))

    frames = {name: of(each) for name, each in vars(data).items() if hasattr(each, "assign")}
    days = frames["survival"].assign(tenure_days=1) if len(frames["survival"]) else data.survival
    first = frames["targets"].assign(is_worth_contacting=frames["targets"]["priority"] == 1)
    model = replace(data.model, dates=1, metrics=of(data.model.metrics))
    model = replace(model, calibration=of(model.calibration))
    counts = dict.fromkeys(["event_count", "user_count", "churned_count", "active_count"], 1)
    few = {name: frames[name].head(1) for name in ("checks", "drift", "differences", "nulled")}
    scores = pd.DataFrame({"as_of_date": [1, 0], "users": 1, "churners": 0.3, "version": 1})
    then, now = checks("").assign(row_count=1), checks("").assign(row_count=2)
    return replace(
        data,
        **{**frames, **few, "survival": days, "targets": first, "model": model},
        about=replace(data.about, horizon_days=1, churn_definition="inactive: 1 days", **counts),
        changes=changes(scores, now, then, as_of=1) + changes(scores.tail(1), now, then, as_of=2),
    )


def plurals_of_one(told: str) -> list[str]:
    """What is said of one as if it were of more."""
    verbs = r"(?!(?:is|was|has|as|this|less|times|lies|differs|beats|carries|counts)\b)"
    return re.findall(rf"(?<![\d.,])1 (?:active |past |whole |more )?{verbs}\w*[^\Ws]s\b.*", told)


def test_one_of_anything_is_no_plural_in_the_terminal_and_the_notebook(capsys):
    counts = ["rows_read", "lines", "files", "events", "duplicates", "rows_of_other_users", "users"]
    counts += ["churned_users", "dbt_tests_passed", "expectations_passed", "checks_warned"]
    told = {
        "rejected": {"not_json": 1},
        "set_to_null": [],
        "first_date": "-",
        "last_date": "-",
    }
    told |= {**dict.fromkeys(counts, 1), "user_share": 1}
    show_data(Settings.from_environment(), told)
    show_standing(checks("").head(1), runs=pd.DataFrame({"began": [pd.Timestamp(0)]}))
    said = [capsys.readouterr().out]
    version = SimpleNamespace(learned=None, learned_until=1)
    said.append(status.advice([version], "", outcomes={2: (1, 1)}, judged=pd.DataFrame()))
    dates = pd.DataFrame({"as_of_date": [AS_OF], "users": [1], "churned": [1]})
    said.append(str(exploring.mondays(dates, horizon_days=1)))
    users = pd.DataFrame({"user_id": range(9), "songs": range(9), "left": [1, 0, 0] * 3})
    (fifths,) = exploring.fifths(users, ["songs"], label="left", horizon_days=1)
    said.append(fifths.chart.to_json())
    assert "The one check passed." in said[0] and "1 date is known" in said[1]
    assert all("within 1 day" in each for each in said[2:])
    assert plurals_of_one("\n".join(said)) == []


def test_a_card_lists_the_columns_that_are_read_and_no_others():
    card = {
        "spec": {"horizon_days": 1, "label": "left", "time": None, "definitions": {}},
        "options": {"models": ["logistic_regression"], "seed": 0, "offer": asdict(OFFER)},
        "learned_until": None,
        "average_risk": 0.07,
        "folds": 5,
        "metrics": {},
        "features": ["song_count", "advert_count", "state"],
        "core": ["song_count"],
        "families": {"listening": ["song_count"], "adverts": ["advert_count", "state"]},
        **dict.fromkeys(["code_version", "fingerprint", "digest"], "x"),
        **{"points": {}, "warnings": [], "shift": None},
    }
    version = SimpleNamespace(
        **{"name": "m", "version": 1, "alias": "champion", "is_proven": True, "decision": "-"},
        **{"table": "t", "table_version": None, "candidate": "stack"},
        trained_at=pd.Timestamp("2018-12-03"),
        feature_count=1,
    )
    core = render_card(version, card)
    assert "It reads 1 column." in core and "churn in the 1 day from its date on" in core
    assert OFFER.assumptions in core and "song_count" in core
    assert "advert_count" not in core and "adverts" not in core
    version.feature_count = 3
    assert "advert_count, state" in render_card(version, card)


def test_what_changed_since_the_last_run_is_said():
    scores = pd.DataFrame(
        {
            "as_of_date": ["2018-12-10", "2018-12-03"],
            "users": [160, 163],
            "churners": [11.2, 9.4],
            "version": [3, 2],
        }
    )
    before, last = checks(""), checks("")
    last.loc[0, "row_count"] += 500
    last.loc[1, "status"] = "fail"
    last.loc[2, "status"] = "pass"
    now = "2018-12-10"
    assert changes(scores, last, before, as_of=now) == (
        "11 of 160 active users are expected to leave; as of 2018-12-03 it was 9 of 163.",
        "The scores are of model version 3, not 2.",
        "500 events more, 60,500 in all.",
        "No longer passed: primary key (dim_users).",
        "Passed again: alike (fct_user_features).",
    )
    assert changes(scores, last, before.head(0), as_of=now) == ()
    assert changes(scores.head(1), last, last, as_of=now) == (
        "As many events and users, and the same verdicts of the checks.",
    )
    gone = changes(scores.tail(1), last, last, as_of=now)
    assert gone == (
        "Nobody is scored as of 2018-12-10; as of 2018-12-03 9 of 163 active users were expected "
        "to leave.",
    )
    # Of two runs that made other checks there is nothing to say.
    assert changes(scores.head(1), last.head(1), before.tail(1), as_of=now) == ()


def test_the_page_says_that_scores_are_of_another_version_than_the_one_in_use():
    data = report_data()
    assert "is the champion now" not in belief(data)
    data = replace(data, model=replace(data.model, in_use=2))
    said = "The scores are of version 3, and version 2 is the champion now"
    assert belief(data).startswith(f"{said}: `sparkify --target thrift score` makes them anew. On ")
    data = replace(data, model=replace(data.model, misfit="It does not fit."))
    assert belief(data).startswith(f"{said}. It does not fit. On ")


def test_what_the_probabilities_are_worth_and_what_the_order_of_users_is_are_told_apart():
    data = report_data()
    assert "by more than chance, so the order of users can be used" in belief(data)
    unproven = replace(data.model, is_proven=False, skill=replace(data.model.skill, value=-0.004))
    said = "no better than the average rate, so its probabilities are unproven, though users are in"
    assert said in belief(replace(data, model=unproven))
    metrics = unproven.metrics.assign(ci_low=0.4)
    said = "so neither its probabilities nor the order of users is proven"
    assert said in belief(replace(data, model=replace(unproven, metrics=metrics)))
    stale = replace(
        data, stale="The features have changed.", untested="Written after its checks: a."
    )
    assert belief(stale).startswith("The features have changed. On ")
    # With no model too; and neither is what the training warned of.
    for each in (stale, replace(stale, model=None)):
        html = render(each)
        assert html.count("Written after its checks: a.") == 1
        assert html.count("The features have changed.") == 1


def test_the_weeks_of_registration_that_differ_are_named_and_one_alone_leaves_most():
    table = cohorts(3)
    # As much as in 30 days: a few of whom nobody left tell nothing of the others.
    table["last_day"] = table["first_day"] + 29
    table["survival"], table["users"] = [0.5, 0.9, 1.0], [200, 200, 4]
    table["ci_low"], table["ci_high"] = [0.43, 0.85, np.nan], [0.57, 0.94, np.nan]
    title = figures.cohorts(table).title
    assert (
        "leaves more than who did in that of 8 October 2018: 50\u00a0% against 10\u00a0%" in title
    )
    alone = figures.cohorts(table.head(2)).title
    assert "week of 1 October 2018 leaves most: 50\u00a0% in 30 days" in alone
    assert "No week of registration stands out" in figures.cohorts(table.tail(2)).title
    # Of whom everybody left more left than of anybody else.
    table.loc[1, ["survival", "ci_low", "ci_high"]] = (0.0, np.nan, np.nan)
    assert "week of 8 October 2018 leaves most: 100" in figures.cohorts(table).title


def test_an_axis_names_a_feature_with_its_unit():
    assert axis_of("listening_s_7d") == "listening time, 7 days (seconds)"
    assert axis_of("max_gap_days_28d") == "longest gap, 28 days (days)"
    for plain in ("song_count_7d", "tenure_days", "help_per_session_28d", "add_friend_count_28d"):
        assert axis_of(plain) == label_of(plain)
    history = pd.DataFrame(
        {
            "user_id": [f"{i}" for i in range(200)],
            "listening_s_7d": np.arange(200.0),
            "label": [i % 3 == 0 for i in range(200)],
        }
    )
    (fifths,) = exploring.fifths(history, ["listening_s_7d"], label="label", horizon_days=14)
    assert "listening time, 7 days (seconds)" in json.dumps(fifths.chart.to_dict())


def test_features_are_called_by_their_labels_wherever_a_sentence_names_them():
    said = in_words("song_count_per_day_28d (90%), state and gone_days", report_data())
    assert said == "“songs a day, 28 days” (90%), state and gone_days"


def test_a_page_of_22000_users_is_small_enough_to_mail():
    assert len(render(report_data(users=22_000)).encode()) < 5_000_000
    # As many as a page has room for.
    html = render(report_data(users=40_000))
    assert len(html.encode()) < 5_000_000
    assert f"The first {LISTED:,} of " in html and " users worth contacting, of 40,000" in html
