"""The tables that models learn from and score: the project's two, or one of the user's own."""

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from ml.table_spec import TableSpec
from sparkify import own_table
from sparkify.errors import BadInput
from sparkify.features import core_of, wording_of
from sparkify.settings import Settings
from sparkify.versions import definition_of, history, readable

SNAPSHOTS = "fct_user_snapshots"
FEATURES = "fct_user_features"
DEFINITIONS = "dim_definitions"
# The vars that say what churn is: a definition is followed by its pages, or its days.
OF_CHURN = {"churn_definition", "churn_pages", "downgrade_pages", "inactive_days"}
USER_SHARE = "user_share"
# By which definition the snapshots were made when these were written down.
MADE_BY = "snapshots_made_by"
# What is known of a version that was built by other definitions than the present one.
AS_OF_THEN = "definitions"
# Followed by the horizon, as 14d.
LABEL = "is_churned_next_"
# What the public solutions learn from: sums over a user's whole history, the end included.
WHOLE_HISTORY = """
    select
        d.user_id,
        count(*) as active_day_count,
        sum(d.song_count) as song_count,
        sum(d.session_count) as session_count,
        sum(d.thumbs_up_count) as thumbs_up_count,
        sum(d.thumbs_down_count) as thumbs_down_count,
        sum(d.add_to_playlist_count) as add_to_playlist_count,
        sum(d.add_friend_count) as add_friend_count,
        sum(d.advert_count) as advert_count,
        sum(d.error_count) as error_count,
        sum(d.help_count) as help_count,
        sum(d.home_count) as home_count,
        sum(d.settings_count) as settings_count,
        sum(d.downgrade_page_count) as downgrade_page_count,
        cast(sum(d.listening_s) as double) as listening_s,
        sum(d.song_count) / sum(d.session_count) as song_per_session,
        sum(d.thumbs_down_count) / sum(d.event_count) as thumbs_down_share,
        sum(d.thumbs_up_count) / sum(d.event_count) as thumbs_up_share,
        sum(d.advert_count) / sum(d.event_count) as advert_share,
        max(u.level) as level,
        max(u.gender) as gender,
        max(datediff(u.last_seen_at, u.registered_at)) as lifetime_days,
        max((unix_seconds(u.last_seen_at) - unix_seconds(u.first_seen_at)) / 86400)
            as observed_days,
        max(u.is_churned) as is_churned
    from {user_days} as d
    inner join {users} as u on d.user_id = u.user_id
    group by d.user_id
"""


@dataclass(frozen=True)
class Dataset:
    """Rows to learn from or to score, and what their columns mean."""

    rows: DataFrame
    spec: TableSpec


def feature_table(
    spark: SparkSession, settings: Settings, name: str, *, version: int | None = None
) -> Dataset:
    """One of the project's two feature tables, as it is now or was at a Delta version.

    Raises:
        BadInput: it has not been built, or has no such version.
    """
    name = settings.table(name)
    if not spark.catalog.tableExists(name):
        raise BadInput(f"there is no table {name} yet; run `sparkify build --events PATH`")
    rows = spark.table(name)
    if settings.table_format == "delta":
        known = history(spark, name)
        kept = readable(known)
        if version not in (None, *kept):
            raise BadInput(
                f"{name} has no version {version}; it has {min(kept)} to {max(kept)}, of which "
                f'`sparkify sql "describe history {name}"` tells more'
            )
        version = max(kept) if version is None else version
        is_as_now = definition_of(known, version) == definition_of(known, max(kept))
        rows = spark.sql(f"select * from {name} version as of {version}")
    elif version is not None:
        raise BadInput(f"{name} has no versions: plain Parquet keeps no history")
    else:
        is_as_now = True
    label = next((c for c in rows.columns if c.startswith(LABEL)), None)
    # Which users are kept is no part of what the rows mean.
    built = definitions(spark, settings)
    is_whole = float(built.pop(USER_SHARE, 1)) == 1
    made_by = built.pop(MADE_BY, "")
    # With the share it changes too, and then tells nothing of the code.
    made_by = made_by if is_whole else ""
    if not is_as_now:
        built, made_by = {AS_OF_THEN: f"those of version {version}"}, ""
    if label:
        # The column knows it of an earlier version too.
        built["horizon_days"] = label.removeprefix(LABEL).removesuffix("d")
    spec = TableSpec(
        id="user_id",
        label=label,
        time="as_of_date",
        exclude=("days_to_churn", "input_version"),
        horizon_days=int(built.get("horizon_days", 14)),
        definitions=built,
        made_by=made_by,
        name=name,
        version=version,
        wording=wording_of(rows.columns),
        core=core_of(rows.columns),
    )
    return Dataset(rows, spec)


def check_one_build(spark: SparkSession, settings: Settings) -> None:
    """Refuse snapshots of another build than the one that said what their rows mean.

    Raises:
        BadInput: it says how to make both.
    """
    snapshots, meaning = settings.table(SNAPSHOTS), settings.table(DEFINITIONS)
    if made_by := definitions(spark, settings).get(MADE_BY):
        property = spark.sql(f"show tblproperties {snapshots} ('sparkify.definition')").first()
        if property["value"] != made_by:
            raise BadInput(
                f"{snapshots} and {meaning}, which says what its rows mean, are not of one build: "
                "the last was cut short, or of the snapshots alone; run `sparkify build --events "
                "PATH`"
            )


def definitions(spark: SparkSession, settings: Settings) -> dict[str, str]:
    """What the feature tables were last built with, by name; nothing before a build wrote it.

    Raises:
        BadInput: the vars of the call are others.
    """
    name = settings.table(DEFINITIONS)
    if not spark.catalog.tableExists(name):
        return {}
    built = {name: str(value) for name, value in spark.table(name).first().asDict().items()}
    given = {name: value for name, value in settings.overrides.items() if name in built}
    if OF_CHURN & settings.overrides.keys():
        given["churn_definition"] = churn_meaning(settings)
    if USER_SHARE in given:
        given[USER_SHARE] = float(given[USER_SHARE])
    for name, value in given.items():
        said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if said != built[name]:
            raise BadInput(
                f"the tables were built with {name} {built[name]}, and --vars says {said}; run "
                "`sparkify build --events PATH` with these vars, or leave them out"
            )
    return built


def as_built(settings: Settings, built: dict[str, str]) -> Settings:
    """The settings of a call, with the vars that tables were built with; built: `definitions`."""
    found: dict[str, object] = {
        name: int(built[name]) for name in ("horizon_days", "active_days") if name in built
    }
    if windows := built.get("feature_windows"):
        found["feature_windows"] = [int(days) for days in windows.split(", ")]
    if weekday := built.get("snapshot_weekday"):
        found["snapshot_weekday"] = weekday
    if meaning := built.get("churn_definition"):
        found["churn_definition"], said = meaning.split(": ", 1)
        if found["churn_definition"] == "inactive":
            found["inactive_days"] = int(said.removesuffix(" days"))
    # What is said though it is so already has dbt read the whole project anew.
    other = {name: value for name, value in found.items() if settings.variables[name] != value}
    return replace(settings, overrides={**other, **settings.overrides})


def churn_meaning(settings: Settings) -> str:
    """What churn means under the vars, in the words of the macro of this name."""
    chosen = settings.variables
    definition = chosen["churn_definition"]
    if definition == "inactive":
        return f"inactive: {chosen['inactive_days']} days"
    downgrades = [] if definition == "cancelled" else chosen["downgrade_pages"]
    return f"{definition}: {', '.join([*chosen['churn_pages'], *downgrades])}"


def user_share(spark: SparkSession, settings: Settings) -> float:
    """The share of the users of the log that the tables were last built with."""
    return float(definitions(spark, settings).get(USER_SHARE, 1))


def read_own_table(
    spark: SparkSession, settings: Settings, source: own_table.Source, *, id: str, **columns: object
) -> Dataset:
    """A table of the user's own, with its id as text; of a Delta table the version of now.

    Raises:
        BadInput: it cannot be read, or has no rows.
        TableMismatch: it has no column of that name.
    """
    source = own_table.pinned(spark, settings, source)
    rows = own_table.prepare(
        own_table.read(spark, settings, source), id=id, time=columns.get("time")
    )
    spec = TableSpec(id=id, name=source.given, version=source.version, **columns)
    return Dataset(rows, spec)


def whole_history(spark: SparkSession, settings: Settings) -> Dataset:
    """One row per user, with what the whole log says of the user."""
    user_days, users = settings.table("fct_user_days"), settings.table("dim_users")
    if not spark.catalog.tableExists(user_days):
        raise BadInput("there are no tables yet; run `sparkify build --events PATH`")
    rows = spark.sql(WHOLE_HISTORY.format(user_days=user_days, users=users))
    return Dataset(rows, TableSpec(id="user_id", label="is_churned", name="whole histories"))
