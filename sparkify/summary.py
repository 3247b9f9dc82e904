"""What a run says at its end."""

import os
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.text import Text

from sparkify.datasets import user_share
from sparkify.formatting import money, percentage, plural, share_in_words
from sparkify.ledger import LEDGER, RUN_ID
from sparkify.report.words import point
from sparkify.settings import Settings
from sparkify.terminal import is_quiet, line, styled, table, warn

UNPROVEN = (
    "The model is unproven: the 95 % interval of its gain over the base rate is not above 0, so "
    "its probabilities may tell no more than that rate does."
)


def told_of_data(spark: SparkSession, settings: Settings, *, tests: int, expectations: int) -> dict:
    """Rows in, rejected, users, and the checks that passed, as JSON has it."""
    rejected = spark.table(settings.table("stg_sparkify__rejected_events"))
    reasons = rejected.groupBy("rejection_reason").count().orderBy(F.desc("count")).collect()
    events = spark.sql(
        "select count(*) as kept, coalesce(sum(copy_count), 0) as accepted,"
        " min(event_date) as first, max(event_date) as last"
        f" from {settings.table('stg_sparkify__events')}"
    ).first()
    users = spark.sql(
        "select count(*) as all, count_if(is_churned) as churned"
        f" from {settings.table('dim_users')}"
    ).first()
    # Counted before and apart from what was made of them; a line may hold several rows.
    lines = spark.sql(
        "select sum(line_count) as count, count(*) as files"
        f" from {settings.table('base_sparkify__line_counts')}"
    ).first()
    rows = spark.sql(
        "select count_if(not is_line_start) as more,"
        " count_if(rejection_reason = 'other_user') as of_others"
        f" from {settings.table('base_sparkify__rows')}"
    ).first()
    nulled = spark.sql(
        "select sum(row_count) as count, field, reason"
        f" from {settings.table('stg_sparkify__nulled_values')}"
        " group by field, reason order by count desc, field, reason"
    ).collect()
    warned = spark.table(settings.table(LEDGER)).where(
        f"run_id = '{os.environ[RUN_ID]}' and status = 'warn' and tool != 'ml'"
    )
    return {
        "files": lines["files"],
        "lines": lines["count"],
        "rows_read": lines["count"] + rows["more"],
        "events": events["kept"],
        "first_date": str(events["first"]),
        "last_date": str(events["last"]),
        "duplicates": events["accepted"] - events["kept"],
        "rejected": {row["rejection_reason"]: row["count"] for row in reasons},
        "rows_of_other_users": rows["of_others"],
        "user_share": user_share(spark, settings),
        "set_to_null": [row.asDict() for row in nulled],
        "users": users["all"],
        "churned_users": users["churned"],
        "dbt_tests_passed": tests,
        "expectations_passed": expectations,
        "checks_warned": warned.count(),
    }


def show_data(settings: Settings, data: dict) -> None:
    """Print what `told_of_data` found; that checks warned also where nothing else is printed."""
    why = ", ".join(f"{count:,} {reason}" for reason, count in data["rejected"].items())
    tests, expectations = data["dbt_tests_passed"], data["expectations_passed"]
    share, warned = share_in_words(data["user_share"]), data.get("checks_warned", 0)
    if warned and is_quiet():
        warn(f"{plural(warned, 'data check')} warned: `{settings.command} checks` names them")
    table(
        "Data",
        {"": "left", " ": "right", "  ": "left"},
        [
            (
                "rows read",
                f"{data['rows_read']:,}",
                f"{plural(data['lines'], 'line')} in {plural(data['files'], 'file')}",
            ),
            ("events", f"{data['events']:,}", f"{data['first_date']} to {data['last_date']}"),
            ("duplicates", f"{data['duplicates']:,}", ""),
            ("rejected", f"{sum(data['rejected'].values()):,}", why),
            *(
                [("left out", f"{data['rows_of_other_users']:,}", "of other users")]
                if share
                else []
            ),
            *(
                ("set to null", f"{each['count']:,}", f"{each['field']}: {each['reason']}")
                for each in data["set_to_null"]
            ),
            (
                "users",
                f"{data['users']:,}",
                f"{data['churned_users']:,} of whom churned" + (f"; {share}" if share else ""),
            ),
            (
                "data checks passed",
                f"{tests + expectations:,}",
                f"{plural(tests, 'dbt test')}, {plural(expectations, 'expectation')}",
            ),
            *(
                [("data checks warned", f"{warned:,}", f"`{settings.command} checks` names them")]
                if warned
                else []
            ),
        ],
    )


def show_backtest(result, registered) -> None:
    """Each candidate's metrics beside what no skill would reach, with 95 % intervals."""
    shown = {"log_loss": "log loss", "roc_auc": "ROC AUC", "pr_auc": "PR AUC", "f1": "F1 (churn)"}
    metrics = result.metrics.set_index(["candidate", "metric"])
    counts = result.metrics.iloc[0]
    candidates = [name for name in result.metrics["candidate"].unique() if name != "base_rate"]
    # Of one learner, average and stack are that learner again.
    if len(result.points) == 1:
        candidates = list(result.points)
    rows = [
        (
            f"{name} ←" if name == result.candidate else name,
            *(interval(metrics.loc[(name, metric)]) for metric in shown),
        )
        for name in candidates
    ]
    no_skill = [f"{metrics.loc[(candidates[0], m), 'no_skill']:.3f}" for m in shown]
    table(
        f"Backtest: {plural(counts['row_count'], 'prediction')} of "
        f"{plural(counts['user_count'], 'user')}, {counts['churner_count']:,} of whom churned",
        {"": "left", **dict.fromkeys(shown.values(), "right")},
        [*rows, ("no skill", *no_skill)],
        note="[95 % interval]",
    )
    gains = [result.skill, result.stack_gain] if len(candidates) > 1 else [result.skill]
    for gain in gains:
        line(
            f"log loss of {gain.candidate} under {gain.reference}: {gain.value:+.4f} "
            f"[{gain.ci_low:+.4f}, {gain.ci_high:+.4f}]"
        )
    for sentence in (*result.warnings, registered.decision):
        line(sentence)


def told_of(result, registered) -> dict:
    """A training as JSON has it."""
    own = result.metrics[result.metrics["candidate"] == result.candidate]
    limits = ["value", "ci_low", "ci_high", "no_skill"]
    return {
        "name": registered.name,
        "version": registered.version,
        "candidate": result.candidate,
        "alias": registered.alias,
        "is_proven": registered.is_proven,
        "decision": registered.decision,
        "metrics": own.set_index("metric")[limits].to_dict("index"),
        "warnings": list(result.warnings),
    }


def show_training(result, registered) -> None:
    """The backtest, how its candidates came about, and what acting on it would have earned."""
    from ml.backtest import ALL_ROWS

    # Of the models that were tested; the one deployed is tuned once more on all rows.
    tuned = result.tuning[result.tuning["chosen"] & (result.tuning["split"] != ALL_ROWS)]
    table(
        "Tuning: log loss by fold of users, at the point chosen",
        {"": "left", "point": "left", "mean": "right", "folds": "left"},
        [
            (
                learner,
                " or ".join(point(each) for each in rows["point"].unique()),
                f"{rows['log_loss'].mean():.4f}",
                " ".join(f"{loss:.4f}" for loss in rows["log_loss"]),
            )
            for learner, rows in tuned.groupby("learner", sort=False)
        ],
    )
    show_backtest(result, registered)
    if result.shift and not any(result.shift.summary in each for each in result.warnings):
        line(result.shift.summary)
    weights = ", ".join(f"{name} {result.meta_weights[name]:.2f}" for name in result.points)
    if len(result.points) > 1:
        line(f"weights of the stack, on log-odds: {weights}")
    overall = result.calibration.iloc[0]
    line(
        f"expected {result.churner_unit}: {overall['expected_churners']:.0f}; counted: "
        f"{overall['observed_churners']:.0f} "
        f"[{overall['churners_low']:.0f}, {overall['churners_high']:.0f}], of "
        f"{plural(result.metrics['churner_count'].iloc[0], 'user')} who churned"
    )
    table(
        f"What contacting users would have earned, {result.offer.currency} per user"
        + ("" if result.backtest["time"].isna().all() else " and date"),
        {"": "left", "contacted": "right", "profit": "right"},
        [
            (
                row["policy"],
                percentage(row["share_contacted"]),
                interval(row.rename({"profit": "value"})),
            )
            for _, row in result.policies.iterrows()
        ],
        note=f"[95 % interval]; {result.offer.assumptions}",
    )


def interval(row) -> Text:
    """A value and its interval."""
    limits = styled(f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]", "dim")
    return Text.assemble(f"{row['value']:.3f} ", limits)


def show_most_at_risk(spark: SparkSession, settings: Settings, *, count: int = 10) -> None:
    """The users to look at first."""
    rows = spark.sql(
        "select user_id, probability, reason_1, reason_2, reason_3, is_proven"
        f" from {settings.table('fct_churn_scores')}"
        f" where as_of_date = (select max(as_of_date) from {settings.table('fct_user_features')})"
        f" order by probability desc, user_id limit {count}"
    ).collect()
    table(
        "The user most at risk" if len(rows) == 1 else f"The {len(rows)} users most at risk",
        {"user": "right", "probability": "right", "because of": "left"},
        [
            (
                row["user_id"],
                percentage(row["probability"]),
                [reason for reason in row[2:5] if reason],
            )
            for row in rows
        ],
    )
    if any(row["is_proven"] is False for row in rows):
        line(UNPROVEN)


def show_targets(spark: SparkSession, settings: Settings) -> dict:
    """Whom an offer pays for, by the economics of the project's vars; returned too."""
    targets = settings.table("fct_retention_targets")
    found = spark.sql(
        "select count(*) as users, count_if(is_worth_contacting) as worth,"
        " coalesce(sum(if(is_worth_contacting, expected_value, 0)), 0) as value,"
        " first(currency) as currency, first(assumptions) as assumptions"
        f" from {targets}"
    ).first()
    line()
    if not found["users"]:
        line(f"No user is scored yet: {targets} is empty.")
        return found.asDict()
    line(
        f"An offer is expected to pay for {found['worth']:,} of {plural(found['users'], 'user')}, "
        f"{money(found['value'], found['currency'])} in all ({targets}; by the vars "
        f"{found['assumptions']})."
    )
    return found.asDict()


def show_next(settings: Settings, page: Path, *, seconds: float, has_scores: bool) -> None:
    """Where everything is, and what to try."""
    query = (
        f"select * from {settings.table('fct_retention_targets')} order by priority"
        if has_scores
        else f"select * from {settings.table('dim_users')} order by song_count desc"
    )
    steps = [f'{settings.command} sql "{query}"']
    if has_scores:
        steps.insert(0, f"{settings.command} targets --csv contact.csv    whom to contact, and why")
    docs = "dbt docs generate" + ("" if settings.target == "local" else f" -t {settings.target}")
    steps += [
        f"{settings.command} run --events PATH    your own events",
        f"{docs:<28}  the documentation of every table",
    ]
    # A server serves the tables of Delta.
    if settings.target == "local":
        steps.append("sparkify serve                dbt, JDBC and MLlib for several people at once")
    line()
    line(styled(f"Done in {seconds:.0f} s.", "bold"), f" Report: {page}", wrap=False)
    line("Next, with the environment active (. .venv/bin/activate):", wrap=False)
    for step in steps:
        line(f"  {step}", wrap=False)
