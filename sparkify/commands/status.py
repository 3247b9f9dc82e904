"""What `sparkify status` does: whether to train again, why, and what changed in a week."""

import datetime as dt
from collections.abc import Sequence

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkify import ledger
from sparkify.datasets import FEATURES, SNAPSHOTS, feature_table, user_share
from sparkify.formatting import plural, share_in_words
from sparkify.registered import challenger_of, champion_of, registry
from sparkify.scores import came_true, judged_scores, scored_dates, why_stale
from sparkify.settings import Settings
from sparkify.stages import open_stage
from sparkify.terminal import line, styled

# So many features that drift are named; the others are counted.
NAMED = 3
# So many of the last dates whose scores came true, or not, are looked at.
JUDGED = 3
# A log loss without skill below it is of dates on which everybody did the same.
ALIKE = 1e-6


def show_status(settings: Settings) -> None:
    """Print whether to train again and what that rests on, in about ten lines.

    Raises:
        BadInput: there are no tables yet.
    """
    spark = open_stage(settings)
    features = feature_table(spark, settings, FEATURES)
    as_of = features.rows.agg(F.max(features.spec.time)).first()[0]
    models = registry(settings, settings.model)
    versions, reigns = models.versions(), models.champions()
    # What a trial with other vars learned says nothing of these tables.
    of_these = [each for each in versions if each.means(features.spec.definitions)]
    champion = next((each for each in versions if each.alias == "champion"), None)
    fits, why = champion_of(settings, features)
    misfit = "" if fits else why
    tried = challenger_of(settings, features) if misfit else None
    outcomes = known_outcomes(spark, settings)
    dates = list(outcomes)
    # Of whatever version: one that is replaced weekly never sees its own scores come true.
    # Scores for another horizon are not added to those for this one.
    of_horizon = f"not is_shadow and horizon_days == {features.spec.horizon_days}"
    judged = judged_scores(spark, settings).query(of_horizon).tail(JUDGED)
    found = {
        "Tables hold": share_in_words(user_share(spark, settings)),
        "Train again": advice(
            of_these or versions,
            misfit,
            tried=tried and tried.version,
            outcomes=outcomes,
            judged=judged,
            champion=None if misfit else champion,
            reigns=reigns,
            made_by=features.spec.made_by,
            refused=ledger.refusal(spark, settings),
        ),
        "In use": in_use(champion, reigns, fits=not misfit) if champion else "no model",
        "Last training": f"version {versions[0].version}: {versions[0].decision}"
        if versions and versions[0] != champion
        else "",
        "Outcomes known": f"of {plural(len(dates), 'date')}, to {dates[-1]}"
        if dates
        else "of no date yet",
        "Scores": scores(spark, settings, as_of=as_of, champion=None if misfit else champion),
        "Came true": came_true(judged),
        "Drift": "" if misfit else drift(spark, settings, as_of=as_of),
        "Checks": checks(spark, settings),
    }
    line()
    for name, said in found.items():
        if said:
            line(styled(f"{name:<16}", "bold"), said)


def in_use(champion, reigns: list, *, fits: bool = True) -> str:
    """The version in use, since when and why; or that it does not fit the tables.

    reigns: the changes of champion, the oldest first, as far as they came about here.
    """
    if not fits:
        return f"no model; version {champion.version}, the champion, does not fit the tables"
    reign = reigns[-1]
    unproven = "" if champion.is_proven else "; it is unproven"
    if reign.version != champion.version:
        elsewhere = "which MLflow was told elsewhere, not by `sparkify`"
        return f"version {champion.version}, {elsewhere}{unproven}"
    if reign.how == "fits again":
        since = f"version {champion.version} since {reign.at[:10]}"
        return f"{since}: it fits the tables again{unproven}"
    # What was decided when it was trained is not why it is in use, if somebody chose it later.
    why = champion.decision if reign.how == "trained" else f"{reign.how} by hand{unproven}"
    return f"version {champion.version} since {reign.at[:10]}: {why}"


def advice(
    versions: list,
    misfit: str,
    *,
    outcomes: dict[dt.date, tuple[int, int]],
    judged: pd.DataFrame,
    champion=None,
    reigns: Sequence = (),
    made_by: str = "",
    tried: int | None = None,
    refused: str = "",
) -> str:
    """Yes or no, and why, in a sentence.

    versions: those that mean what the tables do, the newest first. misfit: why there is no champion
    to use, if so; tried: the version that fits the tables and waits as the challenger then. One
    that does not beat the base rate comes out again from the same outcomes. champion: the version
    in use, which may have learned less than the newest; reigns: the changes of it. made_by: the
    code that makes the tables. refused: why the last training since the build was, if so: it would
    be again. outcomes: see `known_outcomes`.
    """
    if refused:
        return f"no. {misfit or refused}"
    if not outcomes:
        return f"no. The outcome of no date is known yet, so there is nothing to learn. {misfit}"
    in_vain = tried is not None and tried == versions[0].version and versions[0].skill.value <= 0
    if misfit and not in_vain:
        return f"yes. {misfit}"
    learned = versions[0].learned_until
    new = [date for date in outcomes if learned and date > learned]
    if changed := changed_since(versions[0], outcomes):
        return f"yes. {changed}"
    if made_by and versions[0].made_by not in ("", made_by):
        return "yes. Other code, or of other users, has made the tables since the last training."
    if new:
        return (
            f"yes. The outcome of {plural(len(new), 'date')} is known since the "
            f"last training, to {new[-1]}."
        )
    if misfit:
        return (
            f"no. The last training knew every outcome that is known, and more are needed. {misfit}"
        )
    # Where nobody left, to expect nobody to is right, and no model is as sure of it.
    judged = judged[judged["no_skill"].astype(float) > ALIKE]
    late = behind(champion, reigns, outcomes)
    if len(judged) and (judged["log_loss"] > judged["no_skill"]).all():
        return (
            "no, though the last scores came true no better than giving all users the share who "
            f"left: the last training knew every outcome that is known.{late}"
        )
    return f"no. The last training knew every outcome that is known.{late}"


def behind(champion, reigns: Sequence, outcomes: dict[dt.date, tuple[int, int]]) -> str:
    """That the version in use has not learned from the newest outcomes, or nothing to say."""
    known = champion and champion.learned_until
    later = [date for date in outcomes if known and date > known]
    if not later:
        return ""
    by_hand = reigns and reigns[-1].how in ("promoted", "rolled back")
    why = "was chosen by hand" if by_hand else "what was trained since is not clearly better"
    return (
        f" Version {champion.version}, in use, knows nothing of {plural(len(later), 'date')} of "
        f"these, and {why}."
    )


def changed_since(version, outcomes: dict[dt.date, tuple[int, int]]) -> str:
    """That late events changed the outcomes which a version learned from, or nothing to say."""
    if not (version.learned and version.learned_until):
        return ""
    known = [found for date, found in outcomes.items() if date <= version.learned_until]
    rows, churners = map(sum, zip(*known, strict=True)) if known else (0, 0)
    if (rows, churners) == version.learned:
        return ""
    return (
        f"The history that the last training learned from has changed: {plural(rows, 'row')} with "
        f"{plural(churners, 'churner')}, and {version.learned[0]:,} with {version.learned[1]:,} "
        "then."
    )


def known_outcomes(spark: SparkSession, settings: Settings) -> dict[dt.date, tuple[int, int]]:
    """The dates of history whose label is observed, the earliest first: rows, and churners'."""
    snapshots = feature_table(spark, settings, SNAPSHOTS)
    label, time = snapshots.spec.label, snapshots.spec.time
    counted = (
        snapshots.rows.where(f"{label} is not null")
        .groupBy(time)
        .agg(F.count(F.lit(1)), F.count_if(F.expr(f"cast({label} as boolean)")))
        .orderBy(time)
    )
    return {date: (rows, churners) for date, rows, churners in counted.collect()}


def scores(spark: SparkSession, settings: Settings, *, as_of: dt.date | None, champion=None) -> str:
    """Users scored and churners expected, now and the time before.

    as_of: of the users to be scored now, None if there are none. champion: the version in use,
    which may have been chosen since; None where none fits.
    """
    table = settings.table("fct_churn_scores")
    if not spark.catalog.tableExists(table):
        return ""
    rows = [*scored_dates(spark, settings).itertuples()]
    told = [
        f"{plural(row.users, 'user')} as of {row.as_of_date}, {row.churners:.0f} to churn"
        for row in rows
    ]
    if as_of and (not rows or rows[0].as_of_date != as_of):
        return "; before, ".join([f"none as of {as_of}", *told[:1]])
    if rows and champion and rows[0].version != champion.version:
        told[0] += f", by version {rows[0].version}: `{settings.command} score` makes them anew"
    elif rows and champion and why_stale(spark, settings):
        told[0] += (
            f", of other features than those of now: `{settings.command} score` makes them anew"
        )
    return "; before, ".join(told)


def drift(spark: SparkSession, settings: Settings, *, as_of: dt.date | None) -> str:
    """The features of the users scored as of a date that drift, and how many did before."""
    table = settings.table("fct_feature_drift")
    if not as_of or not spark.catalog.tableExists(table):
        return ""
    rows = spark.sql(
        "select as_of_date, count(*) as features,"
        f" sort_array(collect_list(if(is_drifted, feature, null))) as drifted from {table}"
        f" where as_of_date <= date'{as_of}' and as_of_date >"
        f" (select min(activity_date) from {settings.table('fct_user_days')})"
        " group by as_of_date order by as_of_date desc limit 2"
    ).collect()
    if not rows or rows[0].as_of_date != as_of:
        return ""
    last, *before = rows
    named = ", ".join(last.drifted[:NAMED]) + (" …" if len(last.drifted) > NAMED else "")
    said = f"{len(last.drifted)} of {plural(last.features, 'feature')}" + (
        f": {named}" if named else ""
    )
    return said + "".join(f"; before, {len(row.drifted)}" for row in before)


def checks(spark: SparkSession, settings: Settings) -> str:
    """How the checks stand."""
    table = settings.table(ledger.LEDGER)
    runs = ledger.find_runs(spark, table).query("not is_bare")
    if runs.empty:
        return ""
    found = ledger.standing(spark, table, runs)
    bad = int(found["status"].isin(ledger.BAD).sum())
    not_passed = f"{bad} did not pass (`{settings.command} checks`)" if bad else "all passed"
    said = f"{len(found)}, the last on {runs['began'].iloc[0]:%Y-%m-%d}: {not_passed}"
    later = ledger.untested(spark, settings, found)
    return f"{said}. {later}" if later else said
