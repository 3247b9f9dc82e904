"""What must hold of the tables before a model may learn from them.

dbt's tests ask whether the tables follow from the events; these ask whether their content makes
sense: ranges, sets, keys and relations between columns.
"""

from itertools import pairwise

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

PLATFORMS = ["Android", "Linux", "Mac", "Other", "Windows", "iPad", "iPhone"]
COUNTED = ["active_day_count", "song_count", "session_count", "listening_s", "advert_count"]


def staged_events() -> list[Expectation]:
    """One row per accepted, distinct event."""
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        *not_null("event_id", "user_id", "session_id", "event_at", "event_date", "page"),
        gxe.ExpectColumnValuesToBeInSet(column="level", value_set=["free", "paid"]),
        gxe.ExpectColumnValuesToBeInSet(column="method", value_set=["GET", "PUT"]),
        gxe.ExpectColumnValuesToBeInSet(column="platform", value_set=PLATFORMS),
        gxe.ExpectColumnValuesToBeBetween(column="status", min_value=100, max_value=599),
        gxe.ExpectColumnValuesToBeBetween(column="item_in_session", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(
            column="song_length_s", min_value=0, strict_min=True, max_value=4 * 3600
        ),
        no_rows(
            "a song has an artist, a title and a length",
            "page = 'NextSong' and (artist is null or song is null or song_length_s is null)",
        ),
        no_rows(
            "only songs have an artist, a title and a length",
            "page != 'NextSong' and coalesce(artist, song, song_length_s) is not null",
        ),
    ]


def features(windows: tuple[int, ...] = (7, 14, 28)) -> list[Expectation]:
    """One row per (user_id, as_of_date); both feature tables share these."""
    long = windows[-1]
    shares = [
        f"active_day_share_{long}d",
        f"paid_event_share_{long}d",
        f"weekend_song_share_{long}d",
        f"night_song_share_{long}d",
        f"distinct_artist_per_song_{long}d",
        f"distinct_song_per_song_{long}d",
    ]
    return [
        *not_null("user_id", "as_of_date", "is_paid", "days_since_last_active"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["user_id", "as_of_date"]),
        *(gxe.ExpectColumnValuesToBeBetween(column=c, min_value=0, max_value=1) for c in shares),
        *(
            gxe.ExpectColumnValuesToBeBetween(
                column=f"active_day_count_{days}d", min_value=0, max_value=days
            )
            for days in windows
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="days_since_last_active", min_value=1, max_value=long
        ),
        gxe.ExpectColumnValuesToBeBetween(column="tenure_days", min_value=0),
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
        no_rows(
            "no ratio is infinite or not a number",
            " or ".join(f"isnan({c}) or abs({c}) = double('inf')" for c in ratios(long)),
        ),
    ]


def snapshots(windows: tuple[int, ...] = (7, 14, 28), horizon_days: int = 14) -> list[Expectation]:
    """The features, and a label that agrees with the days to the churn."""
    label = f"is_churned_next_{horizon_days}d"
    return [
        *features(windows),
        gxe.ExpectColumnValuesToBeBetween(
            column="days_to_churn", min_value=0, max_value=horizon_days - 1
        ),
        no_rows(
            "exactly the users who churn have days to it",
            f"coalesce({label}, false) != (days_to_churn is not null)",
        ),
    ]


def not_null(*columns: str) -> list[Expectation]:
    """None of these is ever missing."""
    return [gxe.ExpectColumnValuesToNotBeNull(column=column) for column in columns]


def no_rows(meaning: str, condition: str) -> Expectation:
    """No row meets an SQL condition; one query, however many columns it relates."""
    return gxe.UnexpectedRowsExpectation(
        description=meaning, unexpected_rows_query=f"select * from {{batch}} where {condition}"
    )


def ratios(long: int) -> list[str]:
    """The quotients among the features."""
    return [
        f"song_count_per_day_{long}d",
        f"advert_per_hour_{long}d",
        f"song_per_session_{long}d",
        f"error_per_session_{long}d",
        f"thumbs_down_per_song_{long}d",
        f"thumbs_up_per_song_{long}d",
    ]


SUITES = {
    "stg_sparkify__events": staged_events,
    "fct_user_snapshots": snapshots,
    "fct_user_features": features,
}
