"""The page: one HTML file that asks no host for anything, from what `data.collect` read."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from charts.theme import PALETTE
from sparkify.formatting import rounded, share_in_words
from sparkify.ledger import BAD, found_instead, how_many_passed
from sparkify.report import figures, words
from sparkify.report.data import ReportData
from sparkify.report.figures import Figure
from sparkify.report.values import values_of

HERE = Path(__file__).parent
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
# More rows of the contact list would make the page larger than a mail may be.
LISTED = 5_000
# So many are in the page without scripts.
FIRST = 20
# Of fewer users no control group can be left out.
CONTROLLED = 50
# What XML has no character for.
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# How wide a picture is drawn for readers without scripts, by its size.
WIDTHS = {"wide": 900, "half": 460, "third": 320}


@dataclass(frozen=True)
class Section:
    """key: of the link to it; lead: what it is for, in a sentence; shown: figures and what "
    "lacks."""

    key: str
    title: str
    lead: str
    shown: tuple[object, ...]


def render(data: ReportData) -> str:
    """The page as HTML. Everything from the tables is text in it, whatever it looks like."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "exact": "{:.10g}".format,
        "number": words.number,
        "day": words.day,
        "plural": words.plural,
        "share_in_words": share_in_words,
    }
    sections = tuple(_sections(data))
    drawn = [each for section in sections for each in section.shown if isinstance(each, Figure)]
    specs = {figure.key: spec_of(figure.chart) for figure in drawn}
    scripts = (libraries(), (HERE / "page.js").read_text())
    contacts = contact_rows(data)
    return environment.get_template("page.html.j2").render(
        data=data,
        about=data.about,
        sections=sections,
        is_figure=lambda each: isinstance(each, Figure),
        pictures={each.key: picture(specs[each.key], each) for each in drawn},
        values={key: values_of(spec) for key, spec in specs.items()},
        specs=specs,
        contacts=contacts,
        contact_columns=(
            "priority",
            "user",
            "risk",
            "level",
            f"expected profit, {data.about.offer.currency}",
            "because the user",
        ),
        contact_file=f"contacts-{data.about.as_of_date}.csv",
        contact_note=contact_note(data, shown=len(contacts)),
        first=FIRST,
        summary=summary(data),
        performance=performance_rows(data),
        outcomes=outcome_rows(data),
        nulled=nulled_rows(data),
        checks=check_rows(data),
        warnings=list(warnings(data)),
        limits=tuple(limits(data)),
        style=(HERE / "page.css").read_text(),
        scripts=scripts,
        policy=policy(scripts),
    )


def _sections(data: ReportData) -> Iterator[Section]:
    horizon = words.plural(data.about.horizon_days, "day")
    yield Section(
        "who",
        "Who to contact",
        f"Active users in the order in which an offer pays, by their risk in the {horizon} "
        f"from {words.day(data.about.as_of_date)}.",
        tuple(figures.of_who(data)),
    )
    yield Section(
        "why",
        "Why they leave",
        "What users do differently in the weeks before they leave.",
        tuple(figures.of_why(data)),
    )
    yield Section(
        "when",
        "When they leave",
        "How long users stay, and how the weeks went.",
        tuple(figures.of_when(data)),
    )
    yield Section(
        "rejected",
        "What was rejected",
        "No row vanishes: each that was read is an event, a duplicate, or rejected with its reason"
        + (", or of a user who is left out." if data.about.user_share < 1 else "."),
        tuple(figures.of_rows(data)),
    )
    yield Section(
        "model",
        "How far to believe it",
        "Every figure beside what no skill would reach.",
        tuple(figures.of_judging(data)),
    )
    yield Section(
        "drift",
        "Drift and warnings",
        "Whether today's users are like those that the model learned from.",
        tuple(figures.of_drift(data)),
    )
    yield Section(
        "quality",
        "Data quality",
        "What dbt, Great Expectations and the training checked: the last verdict of each check.",
        (),
    )


def summary(data: ReportData) -> dict[str, object]:
    """The first screen: headline, key figures, how far to believe them."""
    targets = data.targets
    worth = targets[targets["is_worth_contacting"].astype(bool)]
    if targets.empty:
        headline = f"Nobody is scored as of {words.day(data.about.as_of_date)}"
    elif worth.empty:
        headline = "No user is worth contacting now"
    else:
        headline = (
            f"{words.number(len(worth))} of {words.plural(len(targets), 'active user')} "
            f"{words.noun(len(worth), 'is', 'are')} worth contacting now"
        )
    return {
        "headline": headline,
        "cards": tuple(_cards(data, worth)),
        "belief": belief(data),
        "candidate": data.model and words.called(data.model.candidate),
    }


def _cards(data: ReportData, worth: pd.DataFrame) -> Iterator[dict[str, str]]:
    targets, about = data.targets, data.about
    if targets.empty:
        active, left = about.active_count, about.churned_count
        yield {
            "value": words.number(active),
            "label": words.noun(active, "active user"),
            "note": "",
        }
        yield {
            "value": words.number(left),
            "label": f"{words.noun(left, 'user')} who left so far",
            "note": f"of {words.plural(about.user_count, 'user')} in the "
            + ("tables" if about.user_share < 1 else "log"),
        }
        return
    p = targets["probability"].to_numpy(float)
    expected, spread = p.sum(), 1.96 * np.sqrt((p * (1 - p)).sum())
    low, high = max(0.0, expected - spread), min(len(p), expected + spread)
    yield {
        "value": words.number(expected) if expected >= 1 else words.two_digits(expected),
        "label": f"expected to leave within {words.plural(about.horizon_days, 'day')}",
        "note": f"of {words.plural(len(p), 'active user')}; {low:.0f} to {high:.0f} if the "
        "probabilities hold",
    }
    yield {
        "value": words.number(len(worth)),
        "label": "worth contacting",
        "note": f"who {words.noun(len(worth), 'carries', 'carry')} "
        f"{words.percent(worth['probability'].sum() / expected)} of the expected losses"
        if len(worth)
        else "an offer costs more than it brings",
    }
    yield {
        "value": words.money(float(worth["expected_value"].sum()), about.offer.currency),
        "label": f"expected profit of contacting {words.noun(len(worth), 'this user', 'them')}",
        "note": "against contacting nobody, under the assumptions below",
    }
    if data.model is not None:
        auc = _metric(data, "roc_auc")
        yield {
            "value": f"{100 * auc['value']:.0f} of 100",
            "label": "pairs ranked right",
            "note": f"in past weeks it had not seen; {100 * auc['ci_low']:.0f} to "
            f"{100 * auc['ci_high']:.0f} with 95 % confidence, by chance 50",
        }


def belief(data: ReportData) -> str:
    """How far the scores can be believed, in one sentence that agrees with the intervals."""
    model = data.model
    stale = f"{data.stale} " if data.stale else ""
    if model is None:
        return stale + data.why_no_model
    auc = _metric(data, "roc_auc")
    dates = words.plural(model.dates, "past date")
    # The gain is of the probabilities; of the order of users alone the AUC tells.
    has_order = auc["ci_low"] > auc["no_skill"]
    if model.is_proven:
        proof = "it predicted better than the average rate by more than chance"
        order = (
            "so the order of users can be used"
            if has_order
            else "but the order of users may be chance"
        )
    else:
        proof = (
            "its gain over the average rate may still be chance"
            if model.skill.value > 0
            else "it predicted no better than the average rate"
        )
        order = (
            "so its probabilities are unproven, though users are in a better order than by chance"
            if has_order
            else "so neither its probabilities nor the order of users is proven"
        )
    width = auc["ci_high"] - auc["ci_low"]
    wide = "; the interval is wide, for few users left" if width > 0.12 else ""
    score = f"{data.about.command} score"
    other = (
        f"The scores are of version {model.version}, and version {model.in_use} is the champion "
        f"now{'. ' + model.misfit if model.misfit else f': `{score}` makes them anew.'} "
    )
    is_other = model.in_use not in (None, model.version)
    said = f"On {dates} that it had not seen, {proof}, {order}{wide}."
    return stale + (other if is_other else "") + said


def _metric(data: ReportData, name: str) -> pd.Series:
    metrics = data.model.metrics.set_index(["candidate", "metric"])
    return metrics.loc[(data.model.candidate, name)]


def contact_rows(data: ReportData) -> list[list[object]]:
    """The list: priority, user, probability, level, expected value, reasons, and two texts.

    They are the probability and the expected value as they are read: a browser rounds otherwise.
    Only who is worth contacting; nobody is, those all the same who come first.
    """
    rows = data.targets
    worth = rows[rows["is_worth_contacting"].astype(bool)]
    rows = worth.head(LISTED) if len(worth) else rows.head(FIRST)
    return [
        [
            int(row.priority),
            str(row.user_id),
            float(f"{row.probability:.4g}"),
            {True: "paid", False: "free"}.get(row.is_paid, "unknown"),
            round(float(row.expected_value), 2),
            [str(each) for each in (row.reason_1, row.reason_2, row.reason_3) if not pd.isna(each)],
            words.percent(row.probability),
            rounded(row.expected_value, 2),
        ]
        for row in rows.itertuples()
    ]


def contact_note(data: ReportData, *, shown: int) -> str:
    """What the list holds and what it leaves out."""
    worth, scored = int(data.targets["is_worth_contacting"].sum()), len(data.targets)
    if not worth:
        near = "this is the user" if shown == 1 else f"these are the {words.number(shown)} users"
        held = f"No contact is expected to pay; {near} closest to it"
    elif shown < worth:
        held = f"The first {words.number(shown)} of {words.plural(worth, 'user')} worth contacting"
    else:
        held = "The user" if worth == 1 else f"All {words.plural(worth, 'user')}"
        held += " worth contacting"
    held += f", of {words.number(scored)} scored; everybody is in fct_retention_targets."
    control = (
        " Leave a random tenth of the list alone, as a control group: without it nobody will know "
        "whether the offers worked."
        if worth >= CONTROLLED
        else " They are too few for a control group, by which to know whether offers work: leave a "
        "random tenth alone over several lists."
    )
    return held + (control if worth else "")


def performance_rows(data: ReportData) -> list[tuple[str, ...]]:
    """Every candidate and metric with its interval, the column of no skill last."""
    if data.model is None:
        return []
    metrics = data.model.metrics.set_index(["candidate", "metric"])
    names = [name for name in words.METRICS if (data.model.candidate, name) in metrics.index]
    rows = [("model", *(words.METRICS[name][0] for name in names))]
    for candidate in dict.fromkeys(data.model.metrics["candidate"]):
        if candidate == "base_rate":
            continue
        shown = [metrics.loc[(candidate, name)] for name in names]
        told = words.called(candidate)
        rows.append(
            (
                f"{told} ({data.model.role})" if candidate == data.model.candidate else told,
                *(f"{m['value']:.3f} ({m['ci_low']:.3f}–{m['ci_high']:.3f})" for m in shown),
            )
        )
    no_skill = [metrics.loc[(data.model.candidate, name), "no_skill"] for name in names]
    return [*rows, ("no skill", *(f"{value:.3f}" for value in no_skill))]


def outcome_rows(data: ReportData) -> list[tuple[str, ...]]:
    """Stored scores whose horizon is over, by date."""
    rows = [
        (
            str(row.as_of_date),
            str(row.model_version),
            words.number(row.horizon_days),
            words.number(row.user_count),
            words.number(row.expected_churner_count),
            words.number(row.churner_count),
            f"{row.log_loss:.3f} ({row.no_skill:.3f} without skill)",
        )
        for row in data.outcomes.itertuples()
    ]
    return (
        [("scored as of", "version", "days ahead", "users", "expected", "left", "log loss"), *rows]
        if rows
        else []
    )


def nulled_rows(data: ReportData) -> list[tuple[str, ...]]:
    """Values set to null, by field and reason."""
    rows = [
        (row.field, row.reason, words.number(row.row_count)) for row in data.nulled.itertuples()
    ]
    return [("field", "reason", "rows"), *rows] if rows else []


def check_rows(data: ReportData) -> dict[str, object]:
    """How the checks stand: counts by layer, and what did not pass."""
    checks = data.checks
    if checks.empty:
        return {
            "title": "Nothing has been checked yet",
            "columns": (),
            "rows": [],
            "bad": [],
            "every": [],
        }
    counts = checks.groupby("layer", sort=False).agg(
        made=("status", "size"),
        passed=("status", lambda status: (status == "pass").sum()),
        tools=("tool", lambda tools: ", ".join(sorted(set(tools))).replace("_", " ")),
    )
    bad = checks[checks["status"].isin(BAD)]
    return {
        "title": how_many_passed(checks),
        "columns": ("layer", "checks", "passed", "by"),
        "rows": [(row.Index, row.made, row.passed, row.tools) for row in counts.itertuples()],
        "bad": [
            (
                row.table_name or "",
                row.check_name,
                row.status,
                in_words(row.detail or found_instead(row), data),
            )
            for row in bad.itertuples()
        ],
        "every": [
            (row.table_name or "", row.check_name, row.tool.replace("_", " "), row.status)
            for row in checks.sort_values(["table_name", "tool", "check_name"]).itertuples()
        ],
    }


def warnings(data: ReportData) -> Iterator[str]:
    """What the training warned of, and how far the users to be scored differed then."""
    if data.model is not None:
        said = (*data.model.warnings, *filter(None, [data.model.shift]))
        yield from (in_words(each, data) for each in dict.fromkeys(said))


def in_words(sentence: str, data: ReportData) -> str:
    """A sentence of the training with its columns as they are called on the page."""

    def called(word: re.Match) -> str:
        # A name without a _ may be a word of the sentence.
        is_name = "_" in word[0] and word[0] in data.labels
        return f"“{data.labels[word[0]]}”" if is_name else word[0]

    return re.sub(r"\w+", called, sentence)


def limits(data: ReportData) -> Iterator[str]:
    """What a reader could take the figures for, and should not."""
    about = data.about
    if about.is_simulated:
        yield (
            "The data are simulated: they show how the report works, and say nothing of real users."
        )
    if share := share_in_words(data.about.user_share):
        yield f"The tables hold {share}, drawn by a hash of the id: every count is of those."
    yield (
        f"A probability is for the {words.plural(about.horizon_days, 'day')} from "
        f"{words.day(about.as_of_date)}, and for nothing later: score again every "
        f"{'week' if about.horizon_days >= 7 else 'day'}."
    )
    yield (
        "Who is likely to leave is not who can be persuaded to stay. What an offer does, only a "
        "control group tells."
    )
    yield (
        f"The money rests on assumptions ({about.offer.assumptions}), which nobody has "
        "measured here; the vars of the project change them."
    )
    yield (
        "Only users active in the last weeks can be scored: "
        f"{words.number(about.active_count)} of {words.number(about.user_count)}. Whoever has "
        "fallen silent is not in the list."
    )
    yield "Reasons say what raises a score, not what would lower the risk if it were changed."
    if data.model is not None:
        churners = int(data.model.metrics["churner_count"].iloc[0])
        yield (
            f"The model was tested on {words.plural(churners, 'user')} who left: the fewer, the "
            "wider each interval."
        )


def spec_of(chart: alt.TopLevelMixin) -> dict[str, object]:
    """The chart as Vega-Lite, as wide as its place, in colours that the page defines.

    So one rule of the page's style turns them for a dark screen, or for paper.
    """
    with alt.theme.enable("sparkify"), alt.data_transformers.enable("default", max_rows=None):
        spec = chart.properties(
            width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
        ).to_json(indent=None)
    for name, colour in PALETTE.items():
        spec = spec.replace(f'"{colour}"', f'"var(--{name})"')
    return json.loads(spec)


def picture(spec: dict[str, object], figure: Figure) -> str:
    """The chart as SVG, for readers without scripts."""
    fixed = spec | {
        "width": WIDTHS[figure.size],
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    svg = own_names(drawn(fixed), figure.key)
    width, height = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg).groups()
    return svg.replace(f'width="{width}" height="{height}"', f'width="{width}"', 1)


def drawn(spec: dict[str, object]) -> str:
    """A chart as SVG."""
    import vl_convert

    return vl_convert.vegalite_to_svg(printable(spec), vl_version=VEGA_LITE)


def printable(value: object) -> object:
    """What JSON holds, with what XML does not as an escape: drawn, it would end the process."""
    if isinstance(value, str):
        return FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    if isinstance(value, dict):
        return {printable(key): printable(each) for key, each in value.items()}
    return [printable(each) for each in value] if isinstance(value, list) else value


def own_names(svg: str, key: str) -> str:
    """The picture with names of its own for its parts: those of one page must not share any."""
    return re.sub(r'(\bid="|url\(#)', rf"\g<1>{key}-", svg)


def libraries() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, without a line that could end its element."""
    import vl_convert

    script = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
    return script.replace("\r", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy(scripts: Iterable[str]) -> str:
    """A content security policy: these scripts, and no host.

    Vega compiles expressions, which is what 'unsafe-eval' allows; its own tooltips bring styles.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
