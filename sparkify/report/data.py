"""What the report says, read from the tables: small frames, and nothing that is drawn."""

import datetime as dt
import re
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from sparkify import ledger, scores
from sparkify.contacts import targets_of_now
from sparkify.datasets import FEATURES, SNAPSHOTS, USER_SHARE, definitions, feature_table
from sparkify.errors import BadInput
from sparkify.events import SIMULATION
from sparkify.features import label_of, wording_of
from sparkify.registered import PUBLIC, champion_of, decision_of, registry
from sparkify.report.words import plural
from sparkify.scores import scored_dates, why_no_scores, why_stale
from sparkify.settings import Settings

# Resampled users: enough for the two digits that a page shows.
DRAWS = 400
# Of the features that differ, so many are shown, and so many of them week by week.
SHOWN, FOLLOWED = 12, 3
WEEKS_BEFORE = 6
# What says how a user was observed, not what the user did.
ARTEFACTS = "background"
NOTHING_YET = "there are no tables yet; run `sparkify build --events PATH`"


@dataclass(frozen=True, kw_only=True)
class About:
    """What the figures are of. Dates are UTC; churned_count counts users of the whole period.

    user_share: which share of the users of the log the tables hold, above 0 to 1. command: what a
    command for these tables begins with, as in `Settings.command`.
    """

    first_date: dt.date
    last_date: dt.date
    as_of_date: dt.date
    event_count: int
    user_count: int
    churned_count: int
    active_count: int
    is_simulated: bool
    user_share: float
    horizon_days: int
    churn_definition: str
    ran_at: dt.datetime | None
    offer: object
    command: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """The version that made the scores, and what its backtest says: see `ml.training`.

    run_id: of its training, as the tables of what was learned have it.
    metrics: of every candidate; gains: how much less its log loss is than that of no skill, on the
    same rows (candidate, value, ci_low, ci_high); calibration, profit: of the one in use; y, p: its
    predictions; dates: on how many dates. shift: how far the users to be scored differed when it
    was trained. later: of a version that was trained after it. in_use: the champion, which may have
    been chosen since; misfit: why it cannot score the tables, as a sentence.
    protocols: see `ml.leaky.side_by_side`, empty where training did not measure it.
    """

    run_id: str
    version: int
    candidate: str
    trained_at: dt.datetime
    decision: str
    is_proven: bool
    skill: object
    warnings: tuple[str, ...]
    shift: str
    later: str
    in_use: int | None
    misfit: str
    metrics: pd.DataFrame
    gains: pd.DataFrame
    calibration: pd.DataFrame
    profit: pd.DataFrame
    y: np.ndarray
    p: np.ndarray
    dates: int
    protocols: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def role(self) -> str:
        """What the version is, in words."""
        return "in use" if self.in_use == self.version else "of these scores"


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything on the page. An empty frame, or None, is what there is nothing to say of.

    targets: fct_retention_targets of now, by priority. no_scores: why nobody is scored, as a
    sentence. differences: `ml.differences`, with label and is_telling. run_up: feature, label,
    weeks_before, mean, ci_low, ci_high, users, stays. survival, cohorts: fct_retention_cohorts by
    level and by week of registration. activity: fct_activity_rates. rows: what became of the rows
    read (outcome, row_count; left out: of users who are not kept), nulled: values set to null.
    drift: fct_feature_drift of the date scored. outcomes: scores that came true or not, by
    `sparkify.scores.judged_scores`, without those of challengers. checks: the last verdict of each
    since the last whole build; untested: what changed after them, as a sentence. labels: what
    features are called, by column.
    changes: sentences.
    """

    about: About
    targets: pd.DataFrame
    no_scores: str
    stale: str = ""
    untested: str = ""
    model: Model | None
    differences: pd.DataFrame
    run_up: pd.DataFrame
    survival: pd.DataFrame
    cohorts: pd.DataFrame
    activity: pd.DataFrame
    rows: pd.DataFrame
    nulled: pd.DataFrame
    drift: pd.DataFrame
    outcomes: pd.DataFrame
    checks: pd.DataFrame
    labels: dict[str, str]
    changes: tuple[str, ...]

    @property
    def why_no_model(self) -> str:
        """Why `model` is None, as a sentence."""
        return self.no_scores or "The model behind the scores is not in the registry of this home."


def collect(spark: SparkSession, settings: Settings) -> ReportData:
    """Read what the page needs.

    Raises:
        BadInput: there are no tables yet.
    """
    require_tables(spark, settings)
    read = partial(_read, spark, settings)
    targets = targets_of_now(spark, settings).orderBy("priority").toPandas()
    drift = read(
        "select feature, psi, psi_bound, is_drifted from {fct_feature_drift}"
        " where as_of_date = (select max(as_of_date) from {fct_user_features})"
        " order by is_drifted desc, psi / nullif(psi_bound, 0) desc, feature"
    )
    differences = differences_of(spark, settings)
    last, before = _checks(spark, settings)
    about = about_of(spark, settings, last)
    return ReportData(
        about=about,
        targets=targets,
        no_scores="" if len(targets) else why_no_scores(spark, settings),
        stale=why_stale(spark, settings) if len(targets) else "",
        untested=ledger.untested(spark, settings, last),
        model=model_of(spark, settings) if len(targets) else None,
        differences=differences,
        run_up=run_up_of(spark, settings, differences),
        survival=read(
            "select cohort, entered_at_tenure as first_day, tenure_days, survival, ci_low, ci_high,"
            " at_risk_count"
            " from {fct_retention_cohorts} where cohort_by = 'level' and survival is not null"
            " order by cohort, tenure_days"
        ),
        cohorts=read(
            "select cohort, min(entered_at_tenure) as first_day, max(tenure_days) as last_day,"
            " max(at_risk_count) as users, sum(churned_count) as churned,"
            " max_by(survival, tenure_days) as survival, max_by(ci_low, tenure_days) as ci_low,"
            " max_by(ci_high, tenure_days) as ci_high from {fct_retention_cohorts}"
            " where cohort_by = 'registration_week' and survival is not null"
            " group by cohort order by cohort"
        ),
        activity=_activity(spark, settings),
        rows=read(
            "select 'accepted' as outcome, count(*) as row_count from {stg_sparkify__events}"
            " union all select 'duplicates', coalesce(sum(copy_count - 1), 0)"
            " from {stg_sparkify__events}"
            " union all select rejection_reason, count(*) from {stg_sparkify__rejected_events}"
            " group by rejection_reason"
            " union all select 'left out', count(*) from {base_sparkify__rows}"
            " where rejection_reason = 'other_user' having count(*) > 0"
            " order by row_count desc, outcome"
        ),
        nulled=read(
            "select field, reason, sum(row_count) as row_count from {stg_sparkify__nulled_values}"
            " group by field, reason order by row_count desc, field, reason"
        ),
        # Of a model that is not used it says nothing.
        drift=drift.assign(label=drift["feature"].map(label_of)).head(len(targets) and len(drift)),
        outcomes=scores.judged_scores(spark, settings).query("not is_shadow"),
        checks=last,
        labels={name: label_of(name) for name in spark.table(settings.table(FEATURES)).columns},
        changes=changes(
            scored_dates(spark, settings),
            last,
            before,
            as_of=about.as_of_date,
        ),
    )


def require_tables(spark: SparkSession, settings: Settings) -> None:
    """Refuse a home in which nothing has been built.

    Raises:
        BadInput: there are no tables yet.
    """
    if not spark.catalog.tableExists(settings.table("fct_retention_targets")):
        raise BadInput(NOTHING_YET)


def _read(spark: SparkSession, settings: Settings, query: str) -> pd.DataFrame:
    """A query in which {table} is a table of the schema."""
    named = re.sub(r"{(\w+)}", lambda found: settings.table(found[1]), query)
    return spark.sql(named).toPandas()


def about_of(spark: SparkSession, settings: Settings, checks: pd.DataFrame | None = None) -> About:
    """What the log and the tables are; checks: as they stand in the ledger."""
    read = partial(_read, spark, settings)
    log = read(
        "select min(activity_date) as first, max(activity_date) as last,"
        " sum(event_count) as events from {fct_user_days}"
    ).iloc[0]
    users = read("select count(*) as known, count_if(is_churned) as churned from {dim_users}")
    active = read("select count(*) as active from {fct_user_features}")["active"]
    file = read("select min(source_file) as file from {base_sparkify__line_counts}")["file"]
    built = definitions(spark, settings)
    return About(
        first_date=log["first"],
        last_date=log["last"],
        as_of_date=log["last"] + dt.timedelta(days=1),
        event_count=int(log["events"]),
        user_count=int(users["known"].iloc[0]),
        churned_count=int(users["churned"].iloc[0]),
        active_count=int(active.iloc[0]),
        is_simulated=is_simulated(file.iloc[0]),
        user_share=float(built.get(USER_SHARE, 1)),
        horizon_days=int(built.get("horizon_days", settings.variables["horizon_days"])),
        churn_definition=built.get("churn_definition", ""),
        ran_at=ledger.tested_at(checks) if checks is not None else None,
        offer=settings.offer,
        command=settings.command,
    )


def is_simulated(file: str) -> bool:
    """Whether a file of the log lies in what `sparkify simulate` wrote."""
    path = _path_of(file)
    above = (*path.parents, *path.resolve().parents)
    return any((folder / SIMULATION).is_file() for folder in above)


def model_of(spark: SparkSession, settings: Settings) -> Model | None:
    """The version that made the present scores; None without any, or one that is not registered."""
    from ml.calibration import reliability
    from ml.economics import profit_curve
    from ml.evaluation import log_loss_gain
    from ml.stacking import BASE_RATE

    scored = _read(
        spark,
        settings,
        "select max_by(model_version, scored_at) as version from {fct_churn_scores}"
        " where (user_id, as_of_date) in (select user_id, as_of_date from {fct_retention_targets})",
    )["version"].iloc[0]
    models = registry(settings, settings.model)
    versions = models.versions()
    version = next((each for each in versions if each.version == scored), None)
    if version is None:
        return None
    where = f"where run_id = '{version.run_id}'"
    metrics = spark.sql(
        f"select * from {settings.table('fct_model_performance')} {where}"
    ).toPandas()
    backtest = settings.ml_table("backtest")
    # A table that an older version wrote gets the column with the next build.
    is_paid = "is_paid" if "is_paid" in spark.table(backtest).columns else "null"
    every = spark.sql(
        "select model as candidate, user_id as user, as_of_date, label as y, probability as p,"
        f" {is_paid} as is_paid"
        f" from {backtest} {where} order by model, as_of_date, user_id"
    ).toPandas()
    if len(version.learners) == 1:
        # Average and stack are that learner again.
        judged = [version.candidate, BASE_RATE]
        metrics, every = (t[t["candidate"].isin(judged)] for t in (metrics, every))
    rows = every[every["candidate"] == version.candidate]
    if rows.empty or metrics.empty:
        return None
    in_use = next((each.version for each in versions if each.alias == "champion"), None)
    fits, why = None, ""
    if in_use not in (None, scored):
        fits, why = champion_of(settings, feature_table(spark, settings, FEATURES))
    sampling = {"draws": DRAWS, "seed": 0}
    gains = [
        log_loss_gain(every, candidate=name, reference=BASE_RATE, **sampling)
        for name in every["candidate"].unique()
        if name != BASE_RATE
    ]
    return Model(
        run_id=version.run_id,
        version=version.version,
        candidate=version.candidate,
        trained_at=version.trained_at,
        decision=decision_of(version, models.champions()),
        is_proven=version.is_proven,
        skill=version.skill,
        warnings=version.warnings,
        shift=version.shift,
        later=_later(version, versions[0], in_use=in_use),
        in_use=in_use,
        misfit="" if fits else why,
        metrics=metrics,
        gains=pd.DataFrame(map(asdict, gains)),
        calibration=reliability(rows, **sampling),
        profit=profit_curve(rows, settings.offer, **sampling),
        y=rows["y"].to_numpy(float),
        p=rows["p"].to_numpy(),
        dates=rows["as_of_date"].nunique(),
        protocols=_protocols(settings, metrics, run_id=version.run_id, candidate=version.candidate),
    )


def _later(version, newest, *, in_use: int | None) -> str:
    """What became of the last training, where an earlier version is in use, as sentences."""
    if newest.version in (version.version, in_use):
        return ""
    return f"Version {newest.version}, trained later, is not in use. {newest.decision}"


def tuning_of(settings: Settings, run_id: str | None) -> pd.DataFrame:
    """What a run's tuning tried (learner, point, fold, log_loss, chosen, split); empty without."""
    if run_id is None:
        return pd.DataFrame(columns=["learner", "point", "fold", "log_loss", "chosen", "split"])
    return pd.read_csv(_artifact(settings, run_id, "model/tuning.csv"))


def _artifact(settings: Settings, run_id: str, name: str) -> Path:
    """Where a run of training keeps a file, if it left one."""
    from mlflow import MlflowClient

    run = MlflowClient(settings.tracking_uri).get_run(run_id)
    return _path_of(run.info.artifact_uri) / name


def _path_of(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def _protocols(
    settings: Settings, honest: pd.DataFrame, *, run_id: str, candidate: str
) -> pd.DataFrame:
    """The usual public way to judge beside this one; empty where training did not measure it."""
    from ml.leaky import side_by_side

    kept = _artifact(settings, run_id, PUBLIC)
    if not kept.exists():
        return pd.DataFrame()
    return side_by_side(pd.read_csv(kept), honest, candidate=candidate)


def differences_of(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """How users in their last weeks differ from users who stay: `ml.differences`, labelled.

    A user who leaves counts with the mean of the dates within the horizon before, one who stays
    with the mean of all dates whose outcome is known. What is more than chance comes first.
    """
    from ml.differences import differences

    table = feature_table(spark, settings, SNAPSHOTS)
    told = wording_of(table.rows.columns)
    kinds = dict(table.rows.dtypes)
    names = [
        name
        for name in told
        if told[name].family != ARTEFACTS and kinds[name] not in ("string", "date", "timestamp")
    ]
    means = ", ".join(f"avg(cast({name} as double)) as {name}" for name in names)
    table.rows.createOrReplaceTempView("report_snapshots")
    # Who left after the dates whose outcome is known, or just before them, did not stay.
    churned = f"select user_id from {settings.table('dim_users')} where is_churned"
    users = spark.sql(
        f"select max(leaves) as leaves, {means} from (select *,"
        f" max({table.spec.label}) over (partition by user_id) as leaves from report_snapshots"
        f" where {table.spec.label} is not null) where {table.spec.label} = leaves"
        f" and (leaves or user_id not in ({churned})) group by user_id"
    ).toPandas()
    found = differences(users.astype({"leaves": bool}), label="leaves")
    found = found.assign(
        label=found["feature"].map(label_of), is_telling=found["q_value"].astype(float) < 0.05
    )
    # What is known of few users may differ most, and by chance.
    return found.sort_values("is_telling", ascending=False, kind="stable", ignore_index=True)


def signal_of(feature: str) -> str:
    """What several columns say alike: a feature without its windows and how it is summed up."""
    return re.split(r"_(?:count|per|share|trend|to_date|\d+d)", feature)[0]


def run_up_of(spark: SparkSession, settings: Settings, differences: pd.DataFrame) -> pd.DataFrame:
    """The signals that differ most, in each of the last weeks before users leave."""
    from scipy.stats import t

    # A window of a week: those of two dates then do not overlap.
    weekly = differences[differences["feature"].astype(str).str.endswith("_7d")]
    names = weekly.loc[~weekly["feature"].map(signal_of).duplicated(), "feature"]
    names = names.head(FOLLOWED).tolist()
    columns = ["feature", "label", "weeks_before", "mean", "ci_low", "ci_high", "users", "stays"]
    if not names:
        return pd.DataFrame(columns=columns)
    means = ", ".join(f"avg(cast({name} as double)) as {name}" for name in names)
    days = "datediff(users.churned_at, rows.as_of_date)"
    rows = spark.sql(
        f"select rows.user_id, cast({days} / 7 as int) + 1 as weeks_before, {means}"
        f" from report_snapshots as rows inner join {settings.table('dim_users')} as users"
        f" on rows.user_id = users.user_id and coalesce({days} < {7 * WEEKS_BEFORE}, true)"
        " group by 1, 2"
    ).toPandas()
    found = []
    for name in names:
        stays = rows.loc[rows["weeks_before"].isna(), name].mean()
        for week, part in rows.dropna(subset=["weeks_before", name]).groupby("weeks_before"):
            mean, error, n = part[name].mean(), part[name].sem(), len(part)
            width = t.ppf(0.975, n - 1) * error if n > 1 else np.nan
            limits = (max(0.0, mean - width), mean + width)
            found.append((name, label_of(name), int(week), mean, *limits, n, stays))
    return pd.DataFrame(found, columns=columns)


def _activity(spark: SparkSession, settings: Settings) -> pd.DataFrame:
    """fct_activity_rates; empty in a home that was built before there was one."""
    if not spark.catalog.tableExists(settings.table("fct_activity_rates")):
        return pd.DataFrame()
    return _read(spark, settings, "select * from {fct_activity_rates} order by week_start, level")


def _checks(spark: SparkSession, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How the checks stand, and how they stood before the last build."""
    name = settings.table(ledger.LEDGER)
    if not spark.catalog.tableExists(name):
        empty = pd.DataFrame(columns=["checked_at", *ledger.KEY])
        return empty, empty
    runs = ledger.find_runs(spark, name).query("not is_bare").reset_index(drop=True)
    built = runs.index[runs["is_build"]]
    before = runs.iloc[built[0] + 1 if len(built) else 1 :]
    return ledger.standing(spark, name, runs), ledger.standing(spark, name, before)


def changes(
    scores: pd.DataFrame, last: pd.DataFrame, before: pd.DataFrame, *, as_of: dt.date
) -> tuple[str, ...]:
    """What is different from before the last build, as sentences; empty after the first one.

    scores: see `sparkify.scores.scored_dates`; last, before: the checks as they stand and as they
    stood. as_of: the date that is scored now.
    """
    if before.empty:
        return ()
    said = []
    if len(scores) and scores["as_of_date"].iloc[0] != as_of:
        then = scores.iloc[0]
        said.append(
            f"Nobody is scored as of {as_of}; as of {then['as_of_date']} "
            f"{_expected(then, 'was', 'were')} expected to leave."
        )
    elif len(scores) > 1:
        now, then = scores.iloc[0], scores.iloc[1]
        said.append(
            f"{_expected(now, 'is', 'are')} expected to leave; as of "
            f"{then['as_of_date']} it was {then['churners']:.0f} of {then['users']:,}."
        )
        if now["version"] != then["version"]:
            said.append(f"The scores are of model version {now['version']}, not {then['version']}.")
    both = before.merge(last, on=ledger.KEY, suffixes=("_before", "_now"))
    sizes = both.groupby("table_name")[["row_count_before", "row_count_now"]].max().dropna()
    for table, called in (("stg_sparkify__events", "event"), ("dim_users", "user")):
        if table in sizes.index:
            then, now = sizes.loc[table]
            if now != then:
                more = "more" if now > then else "fewer"
                said.append(f"{plural(abs(now - then), called)} {more}, {now:,.0f} in all.")
    was_bad, is_bad = (both[f"status_{when}"].isin(ledger.BAD) for when in ("before", "now"))
    if (worse := both[is_bad & ~was_bad]).size:
        said.append(f"No longer passed: {_named(worse)}.")
    if (better := both[was_bad & ~is_bad]).size:
        said.append(f"Passed again: {_named(better)}.")
    if not said and len(both):
        said.append("As many events and users, and the same verdicts of the checks.")
    return tuple(said)


def _expected(scores: pd.Series, one: str, many: str) -> str:
    """How many of the users of a date are expected to leave, and the verb for so many."""
    churners, users = round(scores["churners"]), scores["users"]
    verb = one if 1 in (churners, users) else many
    return f"{churners:,} of {plural(users, 'active user')} {verb}"


def _named(checks: pd.DataFrame) -> str:
    """Checks by what they are of: several tables have one of the same name."""
    of = checks["table_name"].map(lambda table: f" ({table})" if table else "")
    return ", ".join(checks["check_name"] + of)
