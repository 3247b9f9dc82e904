import datetime as dt
import json
import shutil
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from ml import calibration, card, economics, evaluation
from ml.artifacts import FRAMES
from ml.errors import FilesGone, NotTrainable, UnknownVersion
from ml.meaning import meaning, misfit
from ml.preprocessing import find_columns, typical_row
from ml.protocol import LABEL
from ml.registry import Registry, hashed, predicted
from ml.scoring import score
from ml.stacking import BASE_RATE, deployed, fit
from ml.training import TableSpec, TrainingResult, TrainOptions
from ml.tuning import LEARNERS
from ml.versions import columns_read, versions_table
from ml.wording import Wording

pytestmark = pytest.mark.long

SPEC = TableSpec(id="user_id", label="churned", name="snapshots", version=7)
OPTIONS = TrainOptions(models=("logistic_regression",), draws=200, seed=1)
SAMPLING = {"draws": 200, "seed": 1}


@pytest.fixture(scope="module")
def rows(spark):
    data = [(i, float(i % 3 == 0), i % 7 + 2 * (i % 3 == 0), i % 2 == 0) for i in range(60)]
    schema = f"user_id int, {LABEL} double, thumbs_down int, is_paid boolean"
    return spark.createDataFrame(data, schema).coalesce(1).cache()


def backtest(skill, *, users=200, seed=0):
    """Predictions that lie between the base rate (skill 0) and the truth (skill 1)."""
    generator = np.random.default_rng(seed)
    y = (generator.random(users) < 0.2).astype(int)
    parts = [
        pd.DataFrame(
            {
                "user": np.arange(users),
                "time": None,
                "origin": "fold 0",
                "candidate": name,
                "y": y,
                "p": 0.2 + share * (y - 0.2),
                "flagged": False,
                "row": None,
            }
        )
        for name, share in ((BASE_RATE, 0), ("logistic_regression", skill))
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def make_result(rows):
    """A function that makes the result of a training whose model has the given skill."""
    everything = find_columns(rows, ignore=("user_id", LABEL))
    learner = LEARNERS["logistic_regression"]
    points = {learner.name: [{"regParam": 0.1}]}

    @cache
    def pipeline_of(columns):
        fitted = fit(
            rows,
            columns,
            keys=["user_id"],
            learners=[learner],
            points=points,
            folds=2,
            count=60,
            seed=1,
            parallelism=1,
        )
        return deployed(fitted, learner.name)

    def make(skill, *, columns=everything, **options):
        predictions = backtest(skill, **options)
        gain = evaluation.log_loss_gain(
            predictions, candidate=learner.name, reference=BASE_RATE, **SAMPLING
        )
        deployed = predictions[predictions["candidate"] == learner.name]
        chosen = pd.DataFrame({"candidate": [learner.name], "is_chosen": [True]})
        return TrainingResult(
            pipeline=pipeline_of(columns),
            candidate=learner.name,
            features=columns.features,
            backtest=predictions,
            metrics=evaluation.performance(predictions, **SAMPLING),
            calibration=calibration.reliability(deployed, **SAMPLING),
            policies=economics.policies(deployed, OPTIONS.offer, **SAMPLING),
            profit=economics.profit_curve(deployed, OPTIONS.offer, **SAMPLING),
            maximum_profit=economics.MaximumProfit(2.0, 0.3),
            choice=chosen,
            stack_gain=gain,
            skill=gain,
            meta_weights={"intercept": 0.0, learner.name: 1.0},
            points={learner.name: {"regParam": 0.1}},
            tuning=pd.DataFrame({"learner": [learner.name], "log_loss": [0.5]}),
            out_of_fold=pd.DataFrame({"user": [1]}),
            folds=3,
            threshold=0.3,
            typical=typical_row(rows, columns),
            families={"all": tuple(columns.names)},
            wording={columns.names[0]: Wording(family="all", reason="is {value}, not {typical}")},
            average_risk=0.05,
            warnings=("Few churners.",),
        )

    return make


@pytest.fixture()
def registry(tmp_path):
    return Registry(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"), "test-churn")


@pytest.fixture()
def log(registry, make_result, rows):
    """A function that registers a model of the given skill."""

    def register(skill, *, table=rows, spec=SPEC, **options):
        return registry.log(make_result(skill, **options), table, spec, OPTIONS)

    return register


def test_a_new_recipe_replaces_the_champion_only_if_it_is_clearly_better(log, rows):
    assert [log(skill).alias for skill in (0.3, 0.1, 0.6)] == ["champion", "challenger", "champion"]
    same = log(0.6)
    assert same.alias == "challenger"
    assert "It is not clearly better than version 3 on the same 200 rows" in same.decision


def test_a_champion_never_goes_without_a_successor(registry, log):
    log(0.3)
    unskilled = log(-0.2, users=90, seed=9)

    assert unskilled.alias == "challenger"
    assert "does not beat the base rate" in unskilled.decision
    assert registry.champion()[0].version == 1


def test_a_table_that_lost_a_column_puts_no_worse_model_in_use(registry, log, rows):
    log(0.6)
    export = rows.withColumn("thumbs_down", F.expr("'1,01'"))
    worse = log(0.1, table=export)
    assert worse.alias == "challenger"
    assert "It is clearly worse than version 1 was on the same 200 rows" in worse.decision
    assert "`thumbs_down` is string, expected int, and holds `1,01`" in worse.decision
    assert registry.champion_for(rows, keys=("user_id",), definitions={})[0].version == 1
    # Nor does one that was in use before come back.
    log(0.9)
    assert log(0.1, table=export).alias == "challenger"
    assert registry.champion()[0].version == 3
    assert history(registry)[-1] == (3, "trained")


def test_when_the_columns_are_back_the_recipe_that_read_them_is(registry, make_result, log, rows):
    """An export without a column puts another model in use, and no longer than it lasts."""
    log(0.6)
    without = rows.drop("thumbs_down")
    columns = find_columns(without, ignore=("user_id", LABEL))
    found = registry.log(make_result(0.5, seed=1, columns=columns), without, SPEC, OPTIONS)
    assert found.alias == "champion" and "`thumbs_down` is missing" in found.decision
    back = log(0.6, seed=2)
    assert back.alias == "champion"
    assert "version 1 on the same 60 rows" in back.decision
    told = "Version 2 was in use while the table lacked what version 1 reads."
    assert back.decision.endswith(told)


def test_a_recipe_without_the_columns_is_no_reason_to_have_them_back(
    registry, make_result, log, rows
):
    """Nor is it after the one that lacks them was chosen by hand, however many come after it."""
    log(0.6)
    without = rows.drop("thumbs_down")
    columns = find_columns(without, ignore=("user_id", LABEL))
    poor = make_result(0.5, seed=1, columns=columns)
    registry.log(poor, without, SPEC, OPTIONS)
    excluding = replace(SPEC, exclude=("thumbs_down",))
    assert "version 1" not in registry.log(poor, rows, excluding, OPTIONS).decision
    registry.promote(2)
    registry.log(make_result(0.5, seed=4, columns=columns), without, SPEC, OPTIONS)
    assert "version 1" not in log(0.6, seed=3).decision


def test_a_champion_that_lacks_a_column_that_no_code_makes_is_replaced(registry, log, rows):
    made = replace(SPEC, definitions={"active_days": "28"})
    log(0.6, spec=made)
    renamed = rows.withColumnRenamed("thumbs_down", "thumbs_down_count")
    other = log(0.1, table=renamed, spec=made)
    assert other.alias == "champion"
    assert "It replaces version 1. The table does not fit the model: `thumbs_down` is missing" in (
        other.decision
    )


def test_rows_of_another_log_are_predicted_by_the_champion_itself(registry, log, rows):
    """The users of the second backtest are named like those of the first, and others churn."""
    log(0.3)
    second = log(0.6, users=60, seed=9)
    model, _ = registry.champion()
    keys = pd.DataFrame({"user": ["3", "0", "nobody"], "time": pd.NaT})
    found = predicted(model, rows, SPEC, keys)
    scored = model.pipeline.transform(rows.where("user_id in (0, 3)")).orderBy("user_id").toPandas()

    assert "on the same 60 rows" in second.decision
    assert found[:2].tolist() == scored["ml__probability"].tolist()[::-1]
    assert np.isnan(found[2])


def test_dates_are_predicted_by_user_and_date(registry, log, rows):
    log(0.3)
    model, _ = registry.champion()
    days = [dt.date(2018, 10, 8), dt.date(2018, 10, 15)]
    dated = rows.crossJoin(rows.sparkSession.createDataFrame([(d,) for d in days], "day date"))
    dated = dated.withColumn(
        "thumbs_down", F.col("thumbs_down") - F.when(F.col("day") == days[1], 1).otherwise(0)
    )
    keys = pd.DataFrame(
        {"user": ["3", "3", "4"], "time": pd.to_datetime([days[1], days[0], days[1]])}
    )
    found = predicted(model, dated, replace(SPEC, time="day"), keys)

    assert len(set(found)) == 3
    one = model.pipeline.transform(dated.where("user_id = 3 and day = '2018-10-08'"))
    assert found[1] == one.first()["ml__probability"]


def test_a_hash_tells_rows_that_say_something_else_whatever_their_types(registry, log, rows):
    log(0.3)
    features = registry.champion()[0].features
    keys = pd.DataFrame({"user": ["3", "4", "nobody"], "time": pd.NaT})
    found = hashed(features, rows, SPEC, keys)
    as_text = rows.selectExpr(
        "user_id", "concat(thumbs_down, '.0 ') as thumbs_down", "upper(is_paid) as is_paid"
    )
    changed = rows.withColumn("is_paid", F.col("user_id") == 4)

    assert hashed(features, as_text, SPEC, keys)[:2].tolist() == found[:2].tolist()
    assert (hashed(features, changed, SPEC, keys)[:2] == found[:2]).tolist() == [True, True]
    assert hashed(features, rows.withColumn("thumbs_down", F.lit(9)), SPEC, keys)[0] != found[0]
    assert pd.isna(found[2]) and found[0] != found[1]


def test_a_store_without_a_champion_says_why(registry, log):
    assert registry.champion() == (None, "No model test-churn has been trained yet.")

    log(-0.2)
    model, why = registry.champion()
    assert model is None
    assert "Version 1: It does not beat the base rate" in why


def test_versions_keep_their_aliases_decisions_and_gains(registry, make_result, log):
    first, second, third = (log(skill) for skill in (0.3, 0.1, 0.6))
    listed = registry.versions()

    assert [version.version for version in listed] == [3, 2, 1]
    assert [version.alias for version in listed] == ["champion", None, None]
    assert [first.alias, second.alias, third.alias] == ["champion", "challenger", "champion"]
    assert listed[0] == third
    assert listed[0].skill == make_result(0.6).skill
    assert (listed[0].table, listed[0].table_version) == ("snapshots", 7)
    assert first.fingerprint == third.fingerprint


def test_a_loaded_champion_scores_as_the_model_that_was_logged(registry, make_result, rows):
    result = make_result(0.3)
    registry.log(result, rows, SPEC, OPTIONS)
    model, _ = registry.champion()
    scores = [
        score(rows, each, id="user_id", time=None).orderBy("user_id").collect()
        for each in (result, model)
    ]

    assert scores[0] == scores[1]
    assert (model.name, model.version) == ("test-churn", 1)
    assert model.features == result.features
    assert (model.wording, model.average_risk) == (result.wording, result.average_risk)
    assert any("is " in row["reason_1"] and ", not " in row["reason_1"] for row in scores[1])
    assert model.metadata["threshold"] == 0.3


def test_a_champion_that_means_something_else_is_not_used_and_is_replaced(registry, log, rows):
    week = {"horizon_days": "7", "churn_definition": "cancelled: Gone", "active_days": "28"}
    keys = ("user_id",)
    log(0.6, spec=replace(SPEC, definitions={"churn_definition": "cancelled: Gone"}))
    assert registry.champion_for(rows, keys=keys, definitions={})[0].version == 1
    found, why = registry.champion_for(rows, keys=keys, definitions=week)
    assert found is None
    assert why == (
        "The champion, test-churn version 1, is not used. The model is of horizon_days 14, and the "
        "table of 7. `sparkify train` makes one that fits."
    )
    log(-0.1, spec=replace(SPEC, horizon_days=7, definitions=week))
    found, why = registry.champion_for(rows, keys=keys, definitions=week)
    assert found is None
    assert "Version 2 fits. It does not beat the base rate: its gain is -" in why
    assert why.endswith("It takes more history to make one that does.")
    other = log(0.1, spec=replace(SPEC, horizon_days=7, definitions=week))
    assert "It replaces version 1. The model is of horizon_days 14, and the table of 7." in (
        other.decision
    )
    assert registry.champion_for(rows, keys=keys, definitions=week)[0].version == 3
    found, why = registry.champion_for(rows.drop("is_paid"), keys=keys, definitions=week)
    assert found is None
    assert "version 3, is not used. The table does not fit the model: `is_paid` is missing" in why


def test_beside_a_champion_that_does_not_fit_a_challenger_that_does_is_named(registry, log, rows):
    week = replace(SPEC, horizon_days=7)
    log(0.3)
    log(0.2, spec=week)
    assert log(0.1, spec=week).alias == "challenger"
    registry.promote(1)
    fit = {"keys": ("user_id",), "definitions": {"horizon_days": "7"}}
    _, why = registry.champion_for(rows, **fit)
    assert "Version 3 fits. It is not clearly better than version 2" in why
    assert why.endswith("`sparkify models --name test-churn promote 3` puts it into use.")
    registry.promote(3)
    assert registry.champion_for(rows, **fit)[0].version == 3


def history(registry):
    return [(reign.version, reign.how) for reign in registry.champions()]


def test_a_trial_of_other_definitions_does_not_end_the_reign_of_the_model_in_use(registry, log):
    """Whose place nobody takes without being compared with it."""
    week = replace(SPEC, horizon_days=7)
    log(0.3)
    assert log(0.2, spec=week).alias == "champion"
    worse = log(0.1)
    assert worse.alias == "challenger"
    assert "It is not clearly better than version 1 on the same 200 rows" in worse.decision
    assert worse.decision.endswith("Version 1 fits the table and is back.")
    assert registry.champion()[0].version == 1
    assert history(registry)[-2:] == [(2, "trained"), (1, "fits again")]
    assert log(0.1, spec=week).alias == "challenger"
    assert registry.champion()[0].version == 2
    assert log(0.6).alias == "champion"
    # One step back is to what means the same, over the trial.
    assert registry.roll_back().version == 1
    with pytest.raises(UnknownVersion, match="no earlier champion"):
        registry.roll_back()


def test_what_was_taken_out_of_use_by_hand_does_not_come_back_after_a_trial(registry, log):
    log(0.3)
    log(0.6)
    registry.roll_back()
    log(0.2, spec=replace(SPEC, horizon_days=7))
    assert "It is version 2 over again" in log(0.6).decision
    assert registry.champion()[0].version == 1


def test_one_step_back_from_a_trial_is_what_was_in_use_before_it(registry, log):
    log(0.3)
    log(0.2, spec=replace(SPEC, horizon_days=7))
    assert registry.roll_back().version == 1


def test_a_champion_that_somebody_deleted_leaves_its_place_to_the_one_before(registry, log):
    from mlflow import MlflowClient

    log(0.3)
    log(0.6)
    MlflowClient(registry.tracking_uri).delete_model_version("test-churn", "2")
    assert "It is not clearly better than version 1" in log(0.1).decision
    assert registry.champion()[0].version == 1


def test_of_two_trainings_at_a_time_the_later_replaces_only_whom_it_met(
    registry, log, make_result, rows
):
    log(0.1)
    late = registry.log(make_result(0.3), rows, SPEC, OPTIONS, keep=lambda *_: log(0.6) and None)
    assert (late.alias, registry.champion()[0].version) == ("challenger", 3)
    assert "another champion came into use during its training" in late.decision
    assert registry.card(late.version)[1]["decision"] == late.decision


def test_features_of_other_code_are_news_to_the_recipe_in_use(log):
    made = replace(SPEC, made_by="code")
    assert log(0.4, spec=made).alias == "champion"
    assert log(0.4, spec=made).alias == "challenger"
    anew = log(0.4, spec=replace(SPEC, made_by="other code"))
    assert anew.alias == "champion" and anew.made_by == "other code"
    assert "It is the recipe of version 1 on features of other code, and" in anew.decision
    # What an older version does not tell is no other code.
    assert log(0.3, spec=SPEC).alias == "challenger"


def test_a_challenger_that_fits_no_more_makes_place(registry, log, rows):
    log(0.6)
    log(0.3, spec=replace(SPEC, core=("thumbs_down",)))
    week = replace(SPEC, horizon_days=7)
    assert log(-0.1, spec=week).alias == "challenger"
    assert registry.challenger_for(rows, keys=["user_id"], definitions=meaning(asdict(week)))


def test_the_recipe_in_use_over_again_does_not_end_the_trial_of_another(registry, log, rows):
    log(0.6)
    assert log(0.3, spec=replace(SPEC, core=("thumbs_down",))).alias == "challenger"
    assert log(0.5).alias is None
    assert registry.challenger_for(rows, keys=["user_id"], definitions={}).version == 2
    # Nor does it end it with newer data, which take over.
    assert log(0.6, seed=8).alias == "champion"
    assert registry.challenger_for(rows, keys=["user_id"], definitions={}).version == 2


def test_a_cell_that_cannot_be_read_takes_nobody_out_of_use(registry, log, rows):
    """One who was compared before is compared still; only what is no number at all does not fit."""
    number, text = "thumbs_down", F.col("thumbs_down").cast("string")
    some = rows.withColumn(number, F.when(F.col("user_id") == 50, "unknown").otherwise(text))
    log(0.6)
    found = log(0.1, table=some)
    assert "It is not clearly better than version 1" in found.decision
    none = rows.withColumn(number, F.lit("unknown"))
    assert f"`{number}` is string, expected" in log(0.1, table=none).decision


def test_a_model_of_another_label_of_the_same_table_is_no_rival():
    other = meaning(asdict(replace(SPEC, label="upgraded")))
    said = misfit({"spec": asdict(SPEC)}, None, keys=SPEC.keys, definitions=other)
    assert said == "The model is of label churned, and the table of upgraded."


def test_the_run_holds_parameters_and_metrics_with_intervals(registry, make_result, rows):
    from mlflow import MlflowClient

    result = make_result(0.3)
    version = registry.log(result, rows, SPEC, OPTIONS)
    run = MlflowClient(registry.tracking_uri).get_run(version.run_id)
    auc = result.metrics.set_index(["candidate", "metric"]).loc[("logistic_regression", "roc_auc")]

    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "1"
    assert run.data.params["table.version"] == "7"
    assert run.data.params["fingerprint"] == version.fingerprint
    assert run.data.metrics["logistic_regression.roc_auc"] == auc["value"]
    assert run.data.metrics["logistic_regression.roc_auc.low"] == auc["ci_low"]
    folder = Path(registry.artifact_root) / version.run_id / "artifacts" / "model"
    assert json.loads((folder / "card.json").read_text())["warnings"] == ["Few churners."]


def test_another_setting_or_table_version_has_another_fingerprint(make_result):
    result = make_result(0.3)
    cards = [
        card.make_card(result, spec, options)
        for spec, options in (
            (SPEC, OPTIONS),
            (replace(SPEC, version=8), OPTIONS),
            (SPEC, replace(OPTIONS, seed=2)),
        )
    ]

    assert len({each["fingerprint"] for each in cards}) == 3


def test_other_code_has_another_fingerprint(make_result, tmp_path, monkeypatch):
    result = make_result(0.3)

    def fingerprint():
        return card.make_card(result, SPEC, OPTIONS)["fingerprint"]

    original = fingerprint()
    for source in Path(card.__file__).parent.glob("*.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(card, "__file__", str(tmp_path / "card.py"))
    assert fingerprint() == original
    with (tmp_path / "protocol.py").open("a") as source:
        source.write("\n")
    assert fingerprint() != original


def test_a_version_can_be_promoted_by_hand_and_rolled_back_step_by_step(registry, log):
    for skill in (0.3, 0.1, 0.6):
        log(skill)
    promoted = registry.promote(2)

    assert (promoted.version, promoted.alias) == (2, "champion")
    assert registry.champion()[0].version == 2
    assert registry.roll_back().version == 3
    assert registry.roll_back().version == 1
    with pytest.raises(UnknownVersion, match="no earlier champion"):
        registry.roll_back()
    history = [(reign.version, reign.how) for reign in registry.champions()]
    assert history == [
        (1, "trained"),
        (3, "trained"),
        (2, "promoted"),
        (3, "rolled back"),
        (1, "rolled back"),
    ]


def test_a_version_that_is_unknown_or_without_skill_is_not_promoted(registry, log):
    log(0.3)
    log(-0.2)

    with pytest.raises(UnknownVersion, match="no version 9; it has 1, 2"):
        registry.promote(9)
    with pytest.raises(NotTrainable, match="Version 2 .* does not beat the base rate"):
        registry.promote(2)
    assert registry.champion()[0].version == 1


def test_a_version_whose_files_are_gone_is_named_with_the_folder(registry, log):
    log(0.3)
    kept = Path(registry.artifact_root)
    kept.rename(kept.with_name("away"))
    fit = {"keys": ["user_id"], "definitions": {}}
    for ask in (registry.versions, registry.card, registry.champion, lambda: log(0.4)):
        with pytest.raises(FilesGone, match=f"version 1 of .* are gone from {kept}.*put them back"):
            ask()
    with pytest.raises(FilesGone):
        registry.champion_for(None, **fit)
    kept.with_name("away").rename(kept)
    assert registry.champion()[0].version == 1


def test_a_version_that_nobody_uses_may_lose_its_files(registry, log, rows):
    fit = {"keys": ["user_id"], "definitions": {}}
    for skill in (0.3, 0.1, 0.6, 0.2):
        log(skill)
    registry.roll_back()
    for each in registry.versions()[:3]:
        shutil.rmtree(Path(registry.artifact_root) / each.run_id)
    assert [each.version for each in registry.versions()] == [1] and registry.gone() == [2, 3, 4]
    assert registry.challenger_for(rows, **fit) is None
    assert registry.champion_for(rows, **fit)[0].version == 1
    with pytest.raises(UnknownVersion, match="no version 3; it has 1"):
        registry.promote(3)
    assert log(0.7).alias == "champion"


def test_the_listing_shows_alias_date_and_metrics_with_intervals(registry, make_result, rows):
    result = make_result(0.3)
    version = registry.log(result, rows, SPEC, OPTIONS)
    table = versions_table(registry.versions())
    own = result.metrics[result.metrics["candidate"] == result.candidate].set_index("metric")
    auc = own.loc["roc_auc"]

    assert table.loc[0, ["version", "alias", "recipe", "data"]].tolist() == [
        1,
        "champion",
        "logistic_regression on 2 columns, chosen among logistic_regression",
        "snapshots version 7",
    ]
    assert table.loc[0, "trained_at"] == version.trained_at.strftime("%Y-%m-%d %H:%M")
    shown = f"{auc['value']:.3f} ({auc['ci_low']:.3f} to {auc['ci_high']:.3f})"
    assert table.loc[0, "roc_auc"] == shown
    assert version.metrics["roc_auc"][3] == 0.5


def test_a_run_keeps_its_plots_and_tables(registry, make_result, rows):
    result = make_result(0.3)
    version = registry.log(result, rows, SPEC, OPTIONS)
    artifacts = Path(registry.artifact_root) / version.run_id / "artifacts"

    plots = {path.name: path.read_text() for path in (artifacts / "plots").iterdir()}
    assert set(plots) == {
        "reliability.svg",
        "roc.svg",
        "gain.svg",
        "lift.svg",
        "profit.svg",
    }
    assert all(text.startswith("<svg") and len(text) < 100_000 for text in plots.values())
    assert "share of users contacted" in plots["profit.svg"]
    assert {"tuning", "out_of_fold", "policies"} < set(FRAMES)
    for name in FRAMES:
        kept = pd.read_csv(artifacts / "model" / f"{name}.csv")
        pd.testing.assert_frame_equal(kept, getattr(result, name), check_dtype=False)


def test_a_training_that_ends_before_its_figures_are_kept_leaves_no_champion(
    registry, make_result, rows
):
    def ends(result, version):
        assert version.version == 1 and version.run_id
        raise KeyboardInterrupt

    result = make_result(0.5)
    with pytest.raises(KeyboardInterrupt):
        registry.log(result, rows, SPEC, OPTIONS, keep=ends)
    assert registry.champion()[0] is None
    assert registry.champions() == registry.versions() == []
    kept = []
    made = registry.log(result, rows, SPEC, OPTIONS, keep=lambda *both: kept.append(both))
    assert (made.version, made.alias) == (2, "champion")
    assert kept[0][0] is result and kept[0][1].run_id == made.run_id


def test_a_version_that_was_deleted_is_not_rolled_back_to(registry, make_result, rows):
    for _ in range(3):
        registry.promote(registry.log(make_result(0.5), rows, SPEC, OPTIONS).version)
    with registry._client() as client:
        client.delete_model_version(registry.name, "2")
    assert registry.roll_back().version == 1
    with pytest.raises(UnknownVersion, match="no earlier champion"):
        registry.roll_back()


def test_a_stack_reads_the_core_only_if_all_its_learners_do():
    card = {"core": ["a"], "features": [{"name": "a"}, {"name": "b"}], "candidate": "stack"}
    core, every = {"columns": "core"}, {"columns": "all"}
    assert columns_read(card | {"points": {"one": core, "two": core}}) == ["a"]
    assert columns_read(card | {"points": {"one": core, "two": every}}) == ["a", "b"]
    one = card | {"points": {"one": core, "two": every}, "candidate": "one"}
    assert columns_read(one) == ["a"]
    assert columns_read(one | {"points": {"one": {"regParam": 0.1}}}) == ["a", "b"]
