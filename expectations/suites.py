"""What must hold of the tables before a model may learn from them.

dbt's tests ask whether the tables follow from the events; these ask whether their content makes
sense: ranges, sets, keys, relations between columns, and likeness to the previous build. What one
row may be is a rule of staging; here a share of rows (`unknown`) may lack what staging made null.
`schema` is where the tables lie that a suite compares with.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from expectations.previous import Previous
from sparkify.features import bounds_of

PLATFORMS = ["Android", "Linux", "Mac", "Other", "Windows", "iPad", "iPhone"]
STATE = r"^[A-Z]{2}$"
COUNTED = ["active_day_count", "song_count", "session_count", "listening_s", "advert_count"]
COMPARED = [
    "song_count",
    "event_count",
    "song_count_28d",
    "active_day_share_28d",
    "thumbs_down_per_song_28d",
    "advert_per_hour_28d",
    "days_since_last_active",
    "tenure_days",
]
# A mean may move by a quarter of a standard deviation, or by four standard errors where few rows
# make it move more than that by chance.
SHIFT, ERRORS = 0.25, 4.0


def staged_events(
    columns: Sequence[str], previous: Previous | None, unknown: float, schema: str
) -> list[Expectation]:
    """One row per accepted, distinct event."""
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        *not_null("event_id", "user_id", "session_id", "event_at", "event_date", "page"),
        *mostly_known(unknown, "level", "item_in_session", "status"),
        gxe.ExpectColumnValuesToBeInSet(column="level", value_set=["free", "paid"]),
        gxe.ExpectColumnValuesToBeInSet(column="method", value_set=["GET", "PUT"]),
        gxe.ExpectColumnValuesToBeInSet(column="platform", value_set=PLATFORMS),
        gxe.ExpectColumnValuesToBeBetween(column="status", min_value=100, max_value=599),
        gxe.ExpectColumnValuesToBeBetween(column="item_in_session", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(column="copy_count", min_value=1),
        gxe.ExpectColumnValuesToBeBetween(
            column="song_length_s", min_value=0, strict_min=True, max_value=4 * 3600
        ),
        gxe.ExpectColumnValuesToMatchRegex(column="state", regex=STATE),
        no_rows(
            "nearly every song has an artist, a title and a length",
            "artist is null or song is null or song_length_s is null",
            share=unknown,
            among="page = 'NextSong'",
        ),
        no_rows(
            "only songs have an artist, a title and a length",
            "page != 'NextSong' and coalesce(artist, song, song_length_s) is not null",
        ),
        no_rows("an event lies on the day it is filed under", "event_date != date(event_at)"),
        *like_before(previous),
    ]


def user_days(
    columns: Sequence[str], previous: Previous | None, unknown: float, schema: str
) -> list[Expectation]:
    """One row per (user_id, activity_date)."""
    counts = [name for name in columns if name.endswith("_count")]
    pages = [name for name in counts if name not in ("event_count", "session_count")]
    pages = [name for name in pages if name not in ("night_song_count", "paid_event_count")]
    return [
        *not_null("user_id", "activity_date"),
        *mostly_known(unknown, "last_level", severity="warning"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["user_id", "activity_date"]),
        gxe.ExpectColumnValuesToBeBetween(column="event_count", min_value=1),
        gxe.ExpectColumnValuesToBeInSet(column="last_level", value_set=["free", "paid"]),
        no_rows(
            "no count is missing or negative",
            " or ".join(f"{name} is null or {name} < 0" for name in counts),
        ),
        no_rows("the pages are no more than the events", f"{' + '.join(pages)} > event_count"),
        no_rows(
            "a part is no more than the whole",
            "night_song_count > song_count or paid_event_count > event_count",
        ),
        no_rows(
            "a day's events lie on that day",
            "date(first_event_at) != activity_date or date(last_event_at) != activity_date",
        ),
        no_rows("who played no song heard nothing", "song_count = 0 and listening_s > 0"),
        gxe.UnexpectedRowsExpectation(
            description="the days hold as many events as were staged",
            unexpected_rows_query=(
                "select sum(event_count) as event_count from {batch} having not sum(event_count)"
                f" <=> (select count(*) from {schema}.stg_sparkify__events)"
            ),
        ),
        *like_before(previous),
    ]


def features(
    columns: Sequence[str], previous: Previous | None, unknown: float, schema: str
) -> list[Expectation]:
    """One row per (user_id, as_of_date); both feature tables share these."""
    windows = windows_of(columns)
    long = windows[-1]
    bounds = bounds_of(columns)
    limited = [name for name in bounds if bounds[name].maximum is not None]
    return [
        *not_null("user_id", "as_of_date"),
        *mostly_known(unknown, "is_paid", severity="warning"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["user_id", "as_of_date"]),
        *(
            gxe.ExpectColumnValuesToBeBetween(
                column=name, min_value=bounds[name].minimum, max_value=bounds[name].maximum
            )
            for name in limited
        ),
        gxe.ExpectColumnValuesToBeInSet(column="platform", value_set=PLATFORMS),
        no_rows(
            "a short window counts no more than a longer one",
            " or ".join(
                f"{signal}_{shorter}d > {signal}_{longer}d"
                for signal in COUNTED
                for shorter, longer in pairwise(windows)
            ),
        ),
        no_rows(
            "nobody is active on more days than were observed",
            f"active_day_count_{long}d > observed_day_count_{long}d",
        ),
        no_rows_of_any(
            "no feature is less than it can be",
            {
                name: f"{name} < {each.minimum}"
                for name, each in bounds.items()
                if each.minimum is not None and name not in limited
            },
        ),
        no_rows_of_any(
            "no feature is infinite or not a number",
            {name: f"(isnan({name}) or abs({name}) = double('inf'))" for name in bounds},
        ),
        no_rows_of_any(
            "no feature is missing that never is",
            {name: f"{name} is null" for name in bounds if not bounds[name].is_nullable},
        ),
        gxe.UnexpectedRowsExpectation(
            description="every user with features is a known user",
            unexpected_rows_query=(
                "select f.user_id from {batch} as f"
                f" left anti join {schema}.dim_users as u on f.user_id = u.user_id"
            ),
        ),
        *like_before(previous),
    ]


def snapshots(
    columns: Sequence[str], previous: Previous | None, unknown: float, schema: str
) -> list[Expectation]:
    """The features, and a label that agrees with the days to the churn."""
    label = next(name for name in columns if name.startswith("is_churned_next_"))
    horizon = int(label.removeprefix("is_churned_next_").removesuffix("d"))
    return [
        *features(columns, previous, unknown, schema),
        gxe.ExpectColumnValuesToBeBetween(
            column="days_to_churn", min_value=0, max_value=horizon - 1
        ),
        no_rows(
            "exactly the users who churn have days to it",
            f"coalesce({label}, false) != (days_to_churn is not null)",
        ),
        gxe.UnexpectedRowsExpectation(
            description="nobody has a snapshot after having churned",
            unexpected_rows_query=(
                "select s.user_id from {batch} as s"
                f" inner join {schema}.dim_users as u on s.user_id = u.user_id"
                " where date(u.churned_at) < s.as_of_date"
            ),
        ),
    ]


def windows_of(columns: Sequence[str]) -> list[int]:
    """The windows of the features in days, rising, from the names of the columns."""
    found = (re.fullmatch(r"active_day_count_(\d+)d", name) for name in columns)
    return sorted(int(match.group(1)) for match in found if match)


def like_before(previous: Previous | None) -> list[Expectation]:
    """Warnings where the table is far from what it was one build ago: other data, or a fault."""
    if previous is None:
        return []
    n = previous.row_count
    bound = max(SHIFT, ERRORS * sqrt(2 / n))
    return [
        gxe.ExpectTableRowCountToBeBetween(
            description="half to twice as many rows as in the previous build",
            min_value=n // 2,
            max_value=2 * n,
            severity="warning",
        ),
        *(
            gxe.ExpectColumnMeanToBeBetween(
                description=f"the mean of {name} is like that of the previous build",
                column=name,
                min_value=previous.means[name] - bound * previous.deviations[name],
                max_value=previous.means[name] + bound * previous.deviations[name],
                severity="warning",
            )
            for name in previous.means
            if previous.deviations[name]
        ),
    ]


def not_null(*columns: str) -> list[Expectation]:
    """None of these is ever missing."""
    return [gxe.ExpectColumnValuesToNotBeNull(column=column) for column in columns]


def mostly_known(unknown: float, *columns: str, severity: str = "critical") -> list[Expectation]:
    """Of none of these is more than a share missing: a wrong value is one row, not a run.

    Of a few users one wrong row is a large share: events are judged, users warned of.
    """
    return [
        gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=1 - unknown, severity=severity)
        for column in columns
    ]


def no_rows(
    meaning: str, condition: str, *, share: float = 0.0, among: str = "true"
) -> Expectation:
    """No row meets an SQL condition, or no more than a share of those `among` which it counts.

    The condition becomes a column (see `rules_of`), so that all of a table's rules and ranges are
    counted in one pass; Great Expectations would run a query for each.
    """
    return gxe.ExpectColumnValuesToBeInSet(
        description=meaning,
        column=f"rule: {meaning}",
        value_set=[False],
        mostly=1 - share,
        # Rows without a value do not count.
        meta={"rule": f"if({among}, coalesce({condition}, false), null)"},
    )


def no_rows_of_any(meaning: str, conditions: Mapping[str, str]) -> Expectation:
    """No row meets any of the conditions, which are by the column that each is about."""
    found = no_rows(meaning, " or ".join(conditions.values()))
    found.meta["columns"] = dict(conditions)
    return found


def rules_of(expectations: Sequence[Expectation]) -> dict[str, str]:
    """The columns that the rules of a suite need, and the SQL conditions they hold."""
    return {each.column: each.meta["rule"] for each in expectations if "rule" in (each.meta or {})}


SUITES = {
    "stg_sparkify__events": staged_events,
    "fct_user_days": user_days,
    "fct_user_snapshots": snapshots,
    "fct_user_features": features,
}
LAYERS = {"stg_": "staging", "fct_user_days": "core"}


def layer_of(table: str) -> str:
    """The folder under models that the table comes from."""
    return next((layer for start, layer in LAYERS.items() if table.startswith(start)), "features")
