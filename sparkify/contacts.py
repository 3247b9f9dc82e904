"""The contact list of the tables, which several commands show."""

from pyspark.sql import DataFrame, SparkSession

from sparkify.datasets import FEATURES
from sparkify.errors import BadInput
from sparkify.settings import Settings

TARGETS = "fct_retention_targets"


def targets_of_now(spark: SparkSession, settings: Settings) -> DataFrame:
    """fct_retention_targets, as far as it is of users who are active on the date scored now.

    A build that did not reach the marts leaves the list of an earlier date.
    """
    features = spark.table(settings.table(FEATURES)).select("user_id", "as_of_date")
    return spark.table(settings.table(TARGETS)).join(features, ["user_id", "as_of_date"], "semi")


def check_offer(spark: SparkSession, settings: Settings) -> None:
    """Refuse to show sums of money beside other assumptions than those that they rest on.

    Raises:
        BadInput: the vars say something else than those by which the list was made.
    """
    name = settings.table(TARGETS)
    # A list that an older version made does not tell.
    if not spark.catalog.tableExists(name) or "assumptions" not in spark.table(name).columns:
        return
    made, given = spark.table(name).select("assumptions").first(), settings.offer.assumptions
    if made and made[0] != given:
        raise BadInput(
            f"the contact list was made by the vars {made[0]}, and they say {given} now; run "
            "`sparkify score` to make it anew, or take these vars back"
        )
