"""Kaplan-Meier in SQL agrees with lifelines."""

import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.exceptions import StatError


@pytest.mark.usefixtures("finished_run")
def test_survival_agrees_with_lifelines(spark):
    users = spark.table("sparkify.dim_users").where("registered_at is not null").toPandas()
    days = {name: users[name].dt.normalize() for name in ("registered_at", "first_seen_at")}
    left = users["churned_at"].fillna(users["last_seen_at"].max()).dt.normalize()
    users["entry"] = (days["first_seen_at"] - days["registered_at"]).dt.days.clip(lower=0)
    users["exit"] = (left - days["registered_at"]).dt.days.clip(lower=0)
    users["registration_week"] = (
        users["registered_at"].dt.to_period("W-SUN").dt.start_time.dt.strftime("%Y-%m-%d")
    )
    users["all"] = "all"
    curves = spark.table("sparkify.fct_retention_cohorts").toPandas()
    compared, refused = 0, 0
    for (by, cohort), curve in curves.groupby(["cohort_by", "cohort"]):
        column = "first_level" if by == "level" else by
        members = users[users[column].astype(str) == cohort]
        # lifelines wants everybody to stay for some time: half a day changes no order of days.
        try:
            fitted = KaplanMeierFitter().fit(
                members["exit"] + 0.5, members["is_churned"], entry=members["entry"]
            )
        except StatError:  # it refuses a cohort of which, for a while, nobody is seen
            refused += 1
            continue
        expected = fitted.survival_function_at_times(curve["tenure_days"] + 0.5)
        pd.testing.assert_series_equal(
            curve["survival"], expected.set_axis(curve.index), check_names=False, rtol=1e-9
        )
        limits = fitted.confidence_interval_.reindex(curve["tenure_days"] + 0.5, method="ffill")
        inside = curve["ci_low"].notna().to_numpy()
        for column, limit in zip(("ci_low", "ci_high"), limits.to_numpy()[inside].T, strict=True):
            assert curve[column][inside].to_numpy() == pytest.approx(limit, rel=1e-9)
        compared += inside.sum()
    assert compared > 100
    assert refused < curves["cohort"].nunique() / 2
