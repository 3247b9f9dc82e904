"""What the report is made of, made up: frames as `sparkify.report.data.collect` reads them."""

import datetime as dt

import numpy as np
import pandas as pd

from ml.calibration import reliability
from ml.economics import Offer, contact_profit, profit_curve
from ml.evaluation import log_loss_gain, performance
from ml.leaky import HONEST, PUBLIC
from sparkify.features import label_of
from sparkify.report.data import About, Model, ReportData

OFFER = Offer()
START = dt.date(2018, 10, 1)
AS_OF = dt.date(2018, 12, 3)
FEATURES = (
    "thumbs_down_count_7d",
    "song_count_per_day_28d",
    "days_since_last_active",
    "advert_per_hour_28d",
    "session_count_trend_7d_28d",
)
DRAWS = {"draws": 200, "seed": 0}


def report_data(
    *, users: int = 60, has_model: bool = True, has_churn: bool = True, hostile: str = ""
) -> ReportData:
    """A report on so many active users.

    hostile: a text that stands wherever a log could bring one: users, reasons, pages, checks.
    """
    generator = np.random.default_rng(7)
    scored = has_model and has_churn
    return ReportData(
        about=About(
            first_date=START,
            last_date=AS_OF - dt.timedelta(days=1),
            as_of_date=AS_OF,
            event_count=1_000 * users,
            user_count=2 * users,
            churned_count=users // 4 if has_churn else 0,
            active_count=users,
            is_simulated=True,
            user_share=1.0,
            horizon_days=14,
            churn_definition="cancelled: Cancellation Confirmation",
            ran_at=dt.datetime(2018, 12, 3, 6),
            offer=OFFER,
            command="sparkify --target thrift",
        ),
        targets=targets(users if scored else 0, generator, hostile=hostile),
        no_scores="" if scored else "No model sparkify-churn has been trained yet.",
        model=model(generator, hostile=hostile) if scored else None,
        differences=differences(hostile) if has_churn else pd.DataFrame(columns=["feature"]),
        run_up=run_up() if has_churn else pd.DataFrame(columns=["label"]),
        survival=survival(has_churn) if users > 1 else pd.DataFrame(columns=["cohort"]),
        cohorts=cohorts(6 if users > 1 else 0),
        activity=activity(users),
        rows=pd.DataFrame(
            {
                "outcome": ["accepted", "anonymous", f"malformed_json{hostile}", "duplicates"],
                "row_count": [1_000 * users, 3 * users, users, 0],
            }
        ),
        nulled=pd.DataFrame(
            {"field": [f"song_length_s{hostile}"], "reason": ["negative"], "row_count": [3]}
        ),
        drift=drift(hostile) if scored else pd.DataFrame(columns=["feature", "label"]),
        outcomes=outcomes() if scored else pd.DataFrame(),
        checks=checks(hostile),
        labels={name: label_of(name) for name in FEATURES},
        changes=(f"120 events more, 60,000 in all.{hostile}",),
    )


def targets(users: int, generator: np.random.Generator, *, hostile: str = "") -> pd.DataFrame:
    """fct_retention_targets; every second user has the hostile text in the name."""
    p = generator.beta(1, 9, users)
    table = pd.DataFrame(
        {
            "user_id": [f"{hostile}{each}" if each % 2 else str(each) for each in range(users)],
            "as_of_date": AS_OF,
            "probability": p,
            "is_paid": [each % 3 == 0 for each in range(users)],
            "expected_value": contact_profit(p, OFFER),
            "reason_1": f"gave 16 thumbs down in 7 days; a typical user gives 0{hostile}",
            "reason_2": [None if each % 2 else f"{hostile}lives in CA" for each in range(users)],
            "reason_3": None,
            "assumptions": OFFER.assumptions,
        }
    ).sort_values(["expected_value", "user_id"], ascending=[False, True], ignore_index=True)
    return table.assign(
        is_worth_contacting=table["expected_value"] > 0, priority=range(1, users + 1)
    )


def model(generator: np.random.Generator, *, hostile: str = "") -> Model:
    """A model of some skill, and one of none, tested on 300 users at three dates."""
    count = 900
    risk = generator.normal(-2, 1, count)
    y = (generator.random(count) < 1 / (1 + np.exp(-risk))).astype(int)
    told = {
        "random_forest": 1 / (1 + np.exp(-risk)),
        "logistic_regression": 1 / (1 + np.exp(-generator.normal(-2, 0.5, count))),
        "base_rate": np.full(count, y.mean()),
    }
    rows = pd.concat(
        [
            pd.DataFrame({"candidate": name, "user": np.arange(count) % 300, "y": y, "p": p})
            for name, p in told.items()
        ]
    ).assign(flagged=lambda table: table["p"] > 0.3)
    metrics = performance(rows, **DRAWS)
    gains = [
        log_loss_gain(rows, candidate=name, reference="base_rate", **DRAWS)
        for name in ("random_forest", "logistic_regression")
    ]
    deployed = rows[rows["candidate"] == "random_forest"]
    honest = metrics[metrics["candidate"] == "random_forest"]
    honest = honest[honest["metric"].isin(["roc_auc", "f1", "f1_weighted", "pr_auc", "log_loss"])]
    public = honest.assign(
        value=honest["value"] + 0.1, ci_high=honest["ci_high"] + 0.1, protocol=PUBLIC
    )
    return Model(
        run_id="5f3",
        version=3,
        candidate="random_forest",
        trained_at=dt.datetime(2018, 12, 3, 5),
        decision=f"It is better than version 2.{hostile}",
        is_proven=True,
        skill=gains[0],
        shift="",
        later="",
        in_use=3,
        misfit="",
        warnings=(f"Columns that are not used: state.{hostile}",),
        metrics=metrics,
        gains=pd.DataFrame([vars(gain) for gain in gains]),
        calibration=reliability(deployed, **DRAWS),
        profit=profit_curve(deployed, OFFER, **DRAWS),
        y=deployed["y"].to_numpy(float),
        p=deployed["p"].to_numpy(),
        dates=3,
        protocols=pd.concat([public, honest.assign(protocol=HONEST)]).sort_values("metric"),
    )


def differences(hostile: str) -> pd.DataFrame:
    value = np.array([0.72, 0.3, 0.6, 0.55, 0.48])
    return pd.DataFrame(
        {
            "feature": FEATURES,
            "value": value,
            "ci_low": value - 0.1,
            "ci_high": value + 0.1,
            "q_value": [0.001, 0.01, 0.2, 0.5, 0.9],
            "leave_median": 2.0,
            "stay_median": 1.0,
            "label": [label_of(name) + hostile for name in FEATURES],
            "is_telling": [True, True, False, False, False],
            "leave_count": 40,
            "stay_count": 160,
        }
    )


def run_up() -> pd.DataFrame:
    weeks = np.arange(1, 7)
    mean = 3 / weeks
    return pd.DataFrame(
        {
            "feature": FEATURES[0],
            "label": label_of(FEATURES[0]),
            "weeks_before": weeks,
            "mean": mean,
            "ci_low": mean * 0.8,
            "ci_high": mean * 1.2,
            "users": 40,
            "stays": 0.4,
        }
    )


def survival(has_churn: bool = True) -> pd.DataFrame:
    """By level; where nobody leaves all stay, and there are no intervals."""
    days = np.arange(1, 100, 3)
    parts = [
        pd.DataFrame(
            {
                "cohort": level,
                "first_day": 1,
                "tenure_days": days,
                "survival": np.exp(-days / scale),
                "ci_low": np.exp(-days / scale) * 0.9,
                "ci_high": np.minimum(1, np.exp(-days / scale) * 1.1),
                "at_risk_count": 50,
            }
        )
        for level, scale in (("free", 90), ("paid", 200))
    ]
    found = pd.concat(parts, ignore_index=True)
    stay = {"survival": 1.0, "ci_low": np.nan, "ci_high": np.nan}
    return found if has_churn else found.assign(**stay)


def cohorts(weeks: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cohort": [str(START + dt.timedelta(weeks=each)) for each in range(weeks)],
            "first_day": 5,
            "last_day": 60,
            "users": 20,
            "churned": 4,
            "survival": 0.7,
            "ci_low": 0.5,
            "ci_high": 0.85,
        }
    )


def activity(users: int) -> pd.DataFrame:
    weeks = [(week, level) for week in range(9) for level in ("free", "paid")]
    table = pd.DataFrame(weeks, columns=["week", "level"]).assign(
        week_start=lambda table: [START + dt.timedelta(weeks=week) for week in table["week"]],
        observed_day_count=lambda table: table["week"].map(lambda week: 7 if week < 8 else 3),
        active_user_count=users,
        new_user_count=2,
        retained_user_count=max(0, users - 4),
        returned_user_count=2,
        lost_user_count=3,
        at_risk_user_count=users,
        churned_user_count=min(1, users),
    )
    return table.assign(churn_rate=table["churned_user_count"] / table["at_risk_user_count"])


def drift(hostile: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "feature": FEATURES,
            "psi": [0.8, 0.3, 0.1, 0.05, 0.01],
            "psi_bound": 0.2,
            "is_drifted": [True, True, False, False, False],
            "label": [label_of(name) + hostile for name in FEATURES],
        }
    )


def outcomes() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "as_of_date": [AS_OF - dt.timedelta(weeks=3)],
            "model_version": 2,
            "horizon_days": 14,
            "user_count": 58,
            "expected_churner_count": 6.2,
            "churner_count": 7.0,
            "log_loss": 0.31,
            "no_skill": 0.36,
        }
    )


def checks(hostile: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "checked_at": pd.Timestamp("2018-12-03 06:00"),
            "layer": ["staging", "core", "ml"],
            "table_name": ["stg_sparkify__events", "dim_users", "fct_user_features"],
            "check_name": ["holds events", "primary key", f"alike{hostile}"],
            "tool": ["dbt", "great_expectations", "ml"],
            "status": ["pass", "pass", "warn"],
            "failure_count": [0, 0, 2],
            "row_count": [60_000, 120, 60],
            "detail": [None, None, f"features that drift: {FEATURES[0]}{hostile}"],
        }
    )
