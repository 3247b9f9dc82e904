"""What `sparkify models`, `sparkify explain` and `sparkify evaluate` do."""

import shlex

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify import pipeline
from sparkify.errors import BadInput
from sparkify.pipeline import FEATURES, OWN_MODEL, Table
from sparkify.settings import Settings
from sparkify.spreadsheet import check_writable
from sparkify.stages import open_stage
from sparkify.summary import interval
from sparkify.terminal import line, stage, styled, table

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

TOLD = ("recipe", "data", "roc_auc", "log_loss", "top_decile_lift")


def list_models(settings: Settings, *, name: str) -> None:
    """Print every version with its verdict, and how champions followed each other."""
    from ml.registry import versions_table

    registry = pipeline.registry(settings, name)
    versions = registry.versions()
    if not versions:
        raise BadInput(f"there is no model {name} yet; {how_to_train(settings, name)}")
    live = outcomes(settings, name)
    for version in versions_table(versions).to_dict("records"):
        alias = styled(f" {version['alias']}" if version["alias"] else "", "bold")
        line()
        line(f"version {version['version']}", alias, f"  {version['trained_at']}")
        version["came_true"] = live.get(version["version"], "")
        for field in (*TOLD, "came_true", "decision"):
            if version[field]:
                line(f"  {field.replace('_', ' '):<16}{version[field]}", wrap=False)
    for reign in registry.champions():
        named = f"version {reign.version}" if reign.version else "no champion:"
        line(f"{reign.at}  {named} {reign.how}", style="dim")


def outcomes(settings: Settings, name: str) -> dict[int, str]:
    """How the scores of each version that made some came true, in words; {} of another model."""
    from sparkify.status import came_true, judged_scores

    if name != settings.model:
        return {}
    judged = judged_scores(open_stage(settings), settings)
    told: dict[int, list[str]] = {}
    for (version, is_shadow), rows in judged.groupby(["model_version", "is_shadow"]):
        said = came_true(rows) + (", in shadow as the challenger" if is_shadow else "")
        told.setdefault(version, []).append(said)
    return {version: "; ".join(said) for version, said in told.items()}


def how_to_train(settings: Settings, name: str) -> str:
    """What makes a model of this name, whether there are tables yet or not."""
    if name == OWN_MODEL:
        return "run `sparkify train --parquet PATH --id COLUMN --label COLUMN`"
    given = "" if name == settings.model else f" --name {shlex.quote(name)}"
    return f"run `sparkify build --events PATH`, then `sparkify train{given}`"


def promote(settings: Settings, version: int, *, name: str) -> None:
    """Make a version champion."""
    made = pipeline.registry(settings, name).promote(version)
    line(f"{name} version {made.version} ({made.candidate}) is the champion.{mark(made)}")


def roll_back(settings: Settings, *, name: str) -> None:
    """Make the previous champion champion again."""
    made = pipeline.registry(settings, name).roll_back()
    line(f"{name} version {made.version} ({made.candidate}) is the champion again.{mark(made)}")


def write_card(settings: Settings, version: int | None, *, name: str) -> None:
    """Write the model card of a version, the champion without one, as HTML."""
    from sparkify.report.card import render_card

    found, card = pipeline.registry(settings, name).card(version)
    path = settings.home / "report" / f"{name}-{found.version}.html"
    check_writable(path)
    path.write_text(render_card(found, card), encoding="utf-8")
    line(f"Model card: {path}", wrap=False)


def mark(version) -> str:
    """What has to stand beside a version that may be no better than the base rate."""
    return "" if version.is_proven else " It is unproven: its gain over the base rate covers 0."


def explain_user(settings: Settings, user: str) -> None:
    """Print why a user's score is what it is, family by family.

    Raises:
        BadInput: the user is not among those to be scored.
        NotTrainable: there is no champion, or it does not fit the table.
    """
    from ml.errors import NotTrainable
    from ml.explaining import explain

    spark = open_stage(settings)
    features = pipeline.feature_table(spark, settings, FEATURES)
    rows = features.rows.where(F.col(features.id) == user)
    if rows.isEmpty():
        raise BadInput(
            f"user {user} is not among the active users of {features.name}: "
            "unknown, gone, or inactive; `sparkify targets --everybody` lists who is"
        )
    with stage("Explaining the score"):
        champion, reason = pipeline.champion_of(settings, features)
        if champion is None:
            raise NotTrainable(reason)
        found = explain(rows, champion, id=features.id, time=features.time).toPandas()
    show_explanation(found.sort_values("contribution", ascending=False), user=user, model=champion)


def show_explanation(found: pd.DataFrame, *, user: str, model) -> None:
    """The reasons, and the families in the order of what they add, each with what tells most."""
    first = found.iloc[0]
    average = model.average_risk
    for reason in first["reasons"]:
        line(f"User {user}: {reason}", wrap=False)
    table(
        f"User {user} as of {first['as_of_date']}: {first['probability']:.1%}; "
        + (f"the average is {average:.1%}, " if average is not None else "")
        + f"a typical user has {first['typical_probability']:.1%}",
        {"": "left", "log-odds": "right", "because": "left"},
        [
            (row.family, f"{row.contribution:+.3f}", list(row.details)[:4])
            for row in found.itertuples()
        ],
        note=f"({model.name} version {model.version})",
    )


def evaluate(settings: Settings, *, protocol: str) -> None:
    """Print how good models look the public way, or both ways side by side."""
    spark = open_stage(settings)
    if protocol == "honest":
        show_performance(latest_performance(spark, settings))
        return
    from ml.checks import TableSpec
    from ml.leaky import public_protocol, side_by_side

    rows = whole_history(spark, settings)
    with stage("Learning from whole histories, split at random"):
        public = public_protocol(rows.rows, TableSpec(id=rows.id, label=rows.label, name=rows.name))
    honest = latest_performance(spark, settings)
    both = side_by_side(public, honest, candidate=honest["model_candidate"].iloc[0])
    table(
        "The same users, judged in two ways",
        {
            "metric": "left",
            "protocol": "left",
            "model": "left",
            "value": "left",
            "no skill": "right",
        },
        [
            (
                row["metric"],
                row["protocol"],
                row["candidate"],
                interval(row),
                f"{row['no_skill']:.3f}",
            )
            for _, row in both.iterrows()
        ],
        note="[95 % interval]",
    )
    line()
    line(
        "The first learns from what users did up to their last day: how long a user was watched "
        "is itself the answer. By each metric it shows the best of "
        f"{public['candidate'].nunique() - 1} learners, chosen on the rows it is tested on."
    )
    line(
        "The second learns from what was known at a date and predicts what came after, as a team "
        "would have to."
    )


def show_performance(rows: pd.DataFrame) -> None:
    """Every metric of every candidate, the deployed one first and with its intervals."""
    from ml.stacking import BASE_RATE

    deployed = rows["model_candidate"].iloc[0]
    others = [name for name in rows["candidate"].unique() if name not in (deployed, BASE_RATE)]
    by_candidate = {name: part.set_index("metric") for name, part in rows.groupby("candidate")}
    own, counts = by_candidate[deployed], rows.iloc[0]
    table(
        f"Backtest: {counts['row_count']:,} predictions of {counts['user_count']:,} users, "
        f"{counts['churner_count']:,} of whom churned",
        {"": "left"} | dict.fromkeys([f"{deployed} ←", *others, "no skill"], "right"),
        [
            (
                metric.replace("_", " "),
                interval(own.loc[metric]),
                *(f"{by_candidate[name].loc[metric, 'value']:.3f}" for name in others),
                f"{own.loc[metric, 'no_skill']:.3f}",
            )
            for metric in own.index
        ],
        note="[95 % interval]",
    )


def whole_history(spark: SparkSession, settings: Settings) -> Table:
    """One row per user, with what the whole log says of the user."""
    user_days, users = settings.table("fct_user_days"), settings.table("dim_users")
    if not spark.catalog.tableExists(user_days):
        raise BadInput("there are no tables yet; run `sparkify build --events PATH`")
    return Table(
        rows=spark.sql(WHOLE_HISTORY.format(user_days=user_days, users=users)),
        name="whole histories",
        version=None,
        id="user_id",
        label="is_churned",
    )


def latest_performance(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """The metrics of the last training, and in model_candidate the candidate that it deployed.

    Raises:
        BadInput: nothing was trained yet, or the registry does not know what was.
    """
    name = settings.ml_table("model_performance")
    if not spark.catalog.tableExists(name) or spark.table(name).isEmpty():
        raise BadInput(f"no model was trained yet; {how_to_train(settings, settings.model)}")
    rows = spark.table(name).toPandas()
    rows = rows[rows["trained_at"] == rows["trained_at"].max()]
    run, model = rows[["run_id", "model_name"]].iloc[0]
    versions = pipeline.registry(settings, model).versions()
    deployed = next((each.candidate for each in versions if each.run_id == run), None)
    if deployed is None:
        raise BadInput(f"the registry has no {model} of the last run {run}; run `sparkify train`")
    return rows.assign(model_candidate=deployed)
