"""What `sparkify explain` does."""

import pandas as pd
from pyspark.sql import functions as F

from sparkify.datasets import FEATURES, feature_table
from sparkify.errors import BadInput
from sparkify.formatting import percentage
from sparkify.identity import cleaned_id, stored_id
from sparkify.registered import champion_of, require_model
from sparkify.settings import Settings
from sparkify.stages import open_stage
from sparkify.summary import UNPROVEN
from sparkify.terminal import line, stage, table

# What a sum may differ by whose parts were added in another order.
SAME = 1e-9


def explain_user(settings: Settings, user: str) -> None:
    """Print why a user's score is what it is, family by family.

    Raises:
        BadInput: there is no model, or the user is not among those to be scored.
        NotTrainable: there is no champion, or it does not fit the table.
    """
    from ml.errors import NotTrainable
    from ml.evaluation import Gain
    from ml.explaining import explain
    from ml.promotion import is_proven

    require_model(settings, settings.model)
    spark = open_stage(settings)
    features = feature_table(spark, settings, FEATURES)
    user = cleaned_id(user)
    # By the id of the log, or as a list has it that was made with a SPARKIFY_USER_KEY.
    rows = features.rows.where(F.col(features.spec.id).isin(user, stored_id(user)))
    if rows.isEmpty():
        raise BadInput(
            f"user {user} is not among the active users of {features.spec.name}: "
            "unknown, gone, or inactive; `sparkify targets --everybody` lists who is"
        )
    with stage("Explaining the score"):
        champion, reason = champion_of(settings, features)
        if champion is None:
            raise NotTrainable(reason)
        found = explain(rows, champion, id=features.spec.id, time=features.spec.time).toPandas()
    show_explanation(found.sort_values("contribution", ascending=False), user=user, model=champion)
    if not is_proven(Gain(**champion.metadata["skill"])):
        line(UNPROVEN)
    table_name = settings.table("fct_churn_scores")
    if not spark.catalog.tableExists(table_name):
        return
    explained = found.iloc[0]
    stored = (
        spark.table(table_name)
        .where(F.col("user_id").isin(user, stored_id(user)))
        .where(F.col("as_of_date") == explained["as_of_date"])
        .first()
    )
    if stored and abs(stored.probability - explained["probability"]) > SAME:
        line(
            f"The contact list has {percentage(stored.probability)}, by version "
            f"{stored.model_version}: `{settings.command} score` makes it anew."
        )


def show_explanation(found: pd.DataFrame, *, user: str, model) -> None:
    """The reasons, and the families in the order of what they add, each with what tells most."""
    first = found.iloc[0]
    average = model.average_risk
    for reason in first["reasons"]:
        line(f"User {user}: {reason}", wrap=False)
    table(
        f"User {user} as of {first['as_of_date']}: {percentage(first['probability'])}; "
        + (f"the average is {percentage(average)}, " if average is not None else "")
        + f"a typical user has {percentage(first['typical_probability'])}",
        {"": "left", "log-odds": "right", "because": "left"},
        [
            (row.family, f"{row.contribution:+.3f}", list(row.details)[:4])
            for row in found.itertuples()
        ],
        note=f"({model.name} version {model.version})",
    )
