"""The model card: what a registered version is, what it is for, and how far to believe it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ml.economics import Offer
from sparkify.report import words

HERE = Path(__file__).parent
METRICS = {name: told[0] for name, told in words.METRICS.items()} | words.MORE_METRICS
INTERVAL = ("value", "95 % interval", "without skill")


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and a table if there is one."""

    title: str
    sentences: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()


def render_card(version, card: Mapping[str, Any]) -> str:
    """The card of an `ml.versions.ModelVersion` as one HTML file, which asks no host for anything.

    Source: Mitchell et al. (2019), Model cards for model reporting.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"day": words.day, "plural": words.plural}
    return environment.get_template("card.html.j2").render(
        version=version,
        candidate=words.called(version.candidate),
        sections=list(_sections(version, card)),
        style=(HERE / "page.css").read_text(),
    )


def _sections(version, card: Mapping[str, Any]) -> Iterator[Section]:
    spec, options = card["spec"], card["options"]
    horizon = spec["horizon_days"]
    when = f" in the {words.plural(horizon, 'day')} from its date on" if horizon else ""
    yield Section(
        "What it is for",
        (
            f"It gives each row of a table such as {version.table} the probability of a churn"
            f"{when}, so that those most at risk can be looked at first.",
            "It does not say who can be persuaded to stay: only a control group that is left alone "
            "does. It is no ground for a decision against a person.",
        ),
    )
    known = {
        "table": version.table,
        "version of the table": version.table_version,
        "learned from rows up to": card["learned_until"],
        "label": spec["label"],
        "average risk": card["average_risk"] and words.percent(card["average_risk"]),
        **{name.replace("_", " "): value for name, value in spec["definitions"].items()},
    }
    yield Section(
        "What it learned from",
        columns=("", ""),
        rows=tuple((name, value) for name, value in known.items() if value is not None),
    )
    yield Section(
        "How it was judged",
        (
            f"On {words.plural(len(card['origins']), 'past date')}, each predicted from what was "
            "known then."
            if spec["time"]
            else f"By cross-validation over {card['folds']} folds of users.",
            _chosen(options["models"]),
            f"The profit rests on assumptions: {Offer(**options['offer']).assumptions}.",
        ),
        ("metric", *INTERVAL),
        tuple(
            (
                METRICS.get(name, name.replace("_", " ")),
                f"{value:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{none:.3f}",
            )
            for name, (value, low, high, none) in card["metrics"].items()
        ),
    )
    is_core = version.feature_count < len(card["features"])
    read = {
        family: [name for name in names if not is_core or name in card["core"]]
        for family, names in card["families"].items()
    }
    yield Section(
        "What it reads",
        (f"It reads {words.plural(version.feature_count, 'column')}.",)
        + ("The core only: more did not do better.",) * is_core,
        ("group", "columns"),
        tuple((family, ", ".join(names)) for family, names in read.items() if names),
    )
    yield Section(
        "How it is made",
        (
            f"Code {card['code_version']}, settings {card['fingerprint']}, result "
            f"{card['digest']}, seed {options['seed']}.",
        ),
        ("learner", "point chosen"),
        tuple((words.called(name), words.point(point)) for name, point in card["points"].items()),
    )
    warnings = [*card["warnings"], *filter(None, [card["shift"]])]
    yield Section("What it warns of", tuple(dict.fromkeys(warnings)) or ("Of nothing.",))


def _chosen(learners: Sequence[str]) -> str:
    """What the candidate was chosen among."""
    names = [words.called(name) for name in learners]
    if len(names) == 1:
        return f"The only learner is the {names[0]}."
    return (
        f"Chosen among {words.listed(names)}, their average and their stack: the simplest that "
        "none betters by more than chance."
    )
