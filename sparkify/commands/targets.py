"""What `sparkify targets` does: the contact list, on the terminal or as a file."""

from pathlib import Path

from sparkify import ledger
from sparkify.contacts import TARGETS, check_offer, targets_of_now
from sparkify.errors import BadInput
from sparkify.formatting import money, percentage, plural
from sparkify.registered import require_model, why_of_another
from sparkify.scores import why_no_scores, why_stale
from sparkify.session import open_session
from sparkify.settings import Settings
from sparkify.spreadsheet import check_writable, write_csv
from sparkify.summary import UNPROVEN
from sparkify.terminal import line, table

# So many are printed where nobody says how many.
PRINTED = 20


def list_targets(settings: Settings, *, top: int | None, everybody: bool, out: Path | None) -> None:
    """Print the `top` users whom an offer pays for most, and write them to a CSV file.

    Without `top` the file holds all of them, and a terminal shows the first, or everybody if asked.

    Raises:
        BadInput: nobody is scored yet, the vars are others than those of the list, or the file
            cannot be written.
    """
    if out:
        check_writable(out)
    spark = open_session(settings)
    name = settings.table(TARGETS)
    rows = None
    if spark.catalog.tableExists(name):
        rows = targets_of_now(spark, settings).orderBy("priority").toPandas()
    if rows is None or rows.empty:
        # What was refused is not advised.
        if not ledger.refusal(spark, settings):
            require_model(settings, settings.model)
        raise BadInput(why_no_scores(spark, settings))
    check_offer(spark, settings)
    chosen = rows if everybody else rows[rows["is_worth_contacting"]]
    written = chosen.head(top or len(chosen))
    shown = written if top or (everybody and not out) else written.head(PRINTED)
    currency, assumptions = rows["currency"].iloc[0], rows["assumptions"].iloc[0]
    if not shown.empty:
        table(
            f"{len(shown):,} of {plural(len(rows), 'active user')} "
            f"as of {rows['as_of_date'].iloc[0]}",
            {"user": "right", "probability": "right", currency: "right", "because of": "left"},
            [
                (
                    row.user_id,
                    percentage(row.probability),
                    f"{row.expected_value:,.2f}",
                    [reason for reason in (row.reason_1, row.reason_2, row.reason_3) if reason],
                )
                for row in shown.itertuples()
            ],
            note="by what an offer is expected to bring",
        )
    line()
    worth = rows[rows["is_worth_contacting"]]
    line(
        f"An offer is expected to pay for {len(worth):,} of {plural(len(rows), 'user')}, "
        f"{money(worth['expected_value'].sum(), currency)} in all (by the vars {assumptions})."
    )
    scored = (
        spark.table(settings.table("fct_churn_scores"))
        .join(spark.table(name), ["user_id", "as_of_date"], "semi")
        .selectExpr("max(model_version) as version", "bool_and(is_proven) as is_proven")
        .first()
    )
    if other := why_of_another(spark, settings, scored.version):
        line(other)
    elif stale := why_stale(spark, settings):
        line(stale)
    if len(chosen) > len(shown) and not out:
        line("--top N lists more of them, and --csv FILE holds all.")
    # What an older version scored does not tell.
    if scored.is_proven is False:
        line(UNPROVEN)
    if out:
        notes = write_csv(written, out)
        line(f"{plural(len(written), 'user')} in {out}", wrap=False)
        for note in notes:
            line(note)
