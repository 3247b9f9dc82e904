import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from ml.bootstrap import interval
from ml.calibration import design_effect, equal_bins, expected_calibration_error, reliability
from ml.evaluation import best_threshold, log_loss_gain, performance
from ml.stacking import BASE_RATE


def predicted(candidate, y, p, *, threshold=0.5, user=None):
    users = [f"u{i}" for i in range(len(y))] if user is None else user
    p = np.asarray(p, float)
    return pd.DataFrame(
        {"user": users, "candidate": candidate, "y": y, "p": p, "flagged": p >= threshold}
    )


def noisy(rows=400, seed=3):
    """Rows of a model with some skill, with many ties, four rows a user."""
    generator = np.random.default_rng(seed)
    p = generator.integers(1, 20, rows) / 40
    y = (generator.random(rows) < p).astype(int)
    user = np.repeat(np.arange(rows // 4), 4)
    base = predicted(BASE_RATE, y, np.full(rows, 0.2), threshold=1, user=user)
    return pd.concat([predicted("model", y, p, threshold=0.3, user=user), base])


def table(predictions, **options):
    found = performance(predictions, **{"draws": 50, "seed": 1} | options)
    return found.set_index(["candidate", "metric"])


def test_metrics_equal_those_of_scikit_learn_ties_included():
    predictions = noisy()
    value = table(predictions).loc["model", "value"]
    part = predictions[predictions["candidate"] == "model"]
    y, p, flagged = part["y"], part["p"], part["flagged"]

    assert value["log_loss"] == pytest.approx(sk.log_loss(y, p))
    assert value["brier"] == pytest.approx(sk.brier_score_loss(y, p))
    assert value["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert value["pr_auc"] == pytest.approx(sk.average_precision_score(y, p))
    assert value["f1"] == pytest.approx(sk.f1_score(y, flagged))
    assert value["f1_weighted"] == pytest.approx(sk.f1_score(y, flagged, average="weighted"))
    assert value["mcc"] == pytest.approx(sk.matthews_corrcoef(y, flagged))
    assert value["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, flagged))


def test_top_decile_lift_is_the_share_found_in_the_first_tenth():
    y = [1, 1] + [0] * 16 + [1, 1]
    p = np.linspace(0.9, 0.1, 20)
    both = pd.concat([predicted("model", y, p), predicted(BASE_RATE, y, [0.2] * 20)])
    lift = table(both).loc[:, "value"].xs("top_decile_lift", level="metric")

    assert lift["model"] == pytest.approx(1 / 0.2)
    assert lift[BASE_RATE] == pytest.approx(1)


def test_the_base_rate_scores_what_no_skill_scores():
    rows = table(noisy()).loc[BASE_RATE]
    share = noisy().query("candidate == 'base_rate'")["y"].mean()

    for metric in (
        "log_loss",
        "brier",
        "ece",
        "roc_auc",
        "f1_weighted",
        "mcc",
        "balanced_accuracy",
    ):
        assert rows.loc[metric, "value"] == pytest.approx(rows.loc[metric, "no_skill"]), metric
    assert rows.loc["pr_auc", "no_skill"] == pytest.approx(share)
    assert rows.loc["top_decile_lift", "no_skill"] == 1
    # Nobody is flagged; who flags everybody has the better F1, and that is what is to be beaten.
    assert rows.loc["f1", "value"] == 0
    assert rows.loc["f1", "no_skill"] == pytest.approx(2 * share / (1 + share))


def test_saying_that_nobody_churns_scores_two_thirds_on_the_weighted_f1_of_the_mini_set():
    y = [1] * 52 + [0] * 173
    rows = table(predicted(BASE_RATE, y, [52 / 225] * 225)).loc[BASE_RATE]

    assert rows.loc["f1_weighted", "no_skill"] == pytest.approx(0.67, abs=0.005)


def test_each_metric_lies_in_its_interval_and_counts_rows_users_and_churners():
    found = table(noisy(), draws=300).loc["model"]
    ranked = found.drop(index="ece")

    assert (ranked["ci_low"] < ranked["value"]).all()
    assert (ranked["value"] < ranked["ci_high"]).all()
    assert set(found["row_count"]) == {400}
    assert set(found["user_count"]) == {100}
    part = noisy().query("candidate == 'model'")
    assert set(found["churner_count"]) == {part.loc[part["y"] == 1, "user"].nunique()}


def test_intervals_resample_users_so_that_repeated_rows_add_no_certainty():
    once = noisy().groupby("candidate").head(200)
    once = once.assign(user=once.groupby("candidate").cumcount())
    four_times = pd.concat([once] * 4).sort_values("candidate", kind="stable")
    narrow, wide = table(four_times, draws=400), table(once, draws=400)
    width = [x.loc[("model", "log_loss"), ["ci_high", "ci_low"]] for x in (narrow, wide)]

    assert width[0]["ci_high"] - width[0]["ci_low"] == pytest.approx(
        width[1]["ci_high"] - width[1]["ci_low"]
    )


def test_the_same_seed_gives_the_same_intervals_whatever_the_chunk(monkeypatch):
    whole = table(noisy())
    monkeypatch.setattr("ml.bootstrap.CHUNK", 4_000)

    pd.testing.assert_frame_equal(whole, table(noisy()))


def test_a_paired_gain_is_narrower_than_the_losses_it_compares():
    predictions = noisy()
    worse = predictions[predictions["candidate"] == "model"].assign(
        candidate="worse", p=lambda rows: rows["p"] * 0.9
    )
    both = pd.concat([predictions, worse])
    gain = log_loss_gain(both, candidate="model", reference="worse", draws=500, seed=1)
    loss = table(both)["value"].xs("log_loss", level="metric")
    interval = table(both, draws=500).loc[("model", "log_loss")]

    assert gain.value == pytest.approx(loss["worse"] - loss["model"])
    assert gain.ci_low < gain.value < gain.ci_high
    assert gain.ci_high - gain.ci_low < interval["ci_high"] - interval["ci_low"]


def test_a_candidate_gains_nothing_over_itself():
    gain = log_loss_gain(noisy(), candidate="model", reference="model", draws=50, seed=1)

    assert (gain.value, gain.ci_low, gain.ci_high, gain.standard_error) == (0, 0, 0, 0)


def test_the_best_threshold_has_the_best_f1_of_all():
    part = noisy().query("candidate == 'model'")
    y, p = part["y"].to_numpy(), part["p"].to_numpy()
    threshold = best_threshold(y, p)

    assert sk.f1_score(y, p >= threshold) == max(sk.f1_score(y, p >= t) for t in np.unique(p))


def test_equal_probabilities_share_a_bin_and_bins_are_about_equal():
    p = np.array([0.1] * 50 + list(np.linspace(0.2, 0.9, 50)))
    bins = equal_bins(p, bins=10)

    assert len(set(bins[:50])) == 1
    assert set(np.bincount(bins[50:])[5:]) == {10}


def test_calibration_error_is_the_gap_between_expected_and_seen():
    y = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    p = np.array([0.1] * 4 + [0.9] * 4)
    error = expected_calibration_error(y, p, np.ones((1, 8)))

    assert error[0] == pytest.approx((abs(0.25 - 0.1) + abs(0.75 - 0.9)) / 2)


def curve_of(part, bins=5):
    return reliability(part, draws=200, seed=1, bins=bins).set_index("bin")


def test_the_reliability_curve_bounds_the_observed_share():
    curve = curve_of(noisy().query("candidate == 'model'"))

    assert list(curve.index) == [0, 1, 2, 3, 4, 5]
    assert curve.loc[1:, "row_count"].sum() == curve.loc[0, "row_count"] == 400
    assert (curve["ci_low"] <= curve["observed_share"]).all()
    assert (curve["observed_share"] <= curve["ci_high"]).all()
    assert curve["ci_low"].between(0, 1).all()
    assert curve.loc[1:, "mean_probability"].is_monotonic_increasing


def test_the_expected_churners_stand_beside_those_counted_with_an_interval():
    part = noisy().query("candidate == 'model'")
    overall = curve_of(part).loc[0]

    assert overall["expected_churners"] == pytest.approx(part["p"].sum())
    assert overall["observed_churners"] == pytest.approx(part["y"].sum())
    assert overall["churners_low"] < part["p"].sum() < overall["churners_high"]
    twice = curve_of(part.assign(p=part["p"] * 2)).loc[0]
    assert twice["expected_churners"] > twice["churners_high"]


def test_a_bin_without_churners_still_has_an_interval():
    part = predicted("model", [0] * 30 + [0, 1] * 15, [0.01] * 30 + [0.5] * 30)
    lowest = curve_of(part, bins=2).loc[1]

    assert lowest["observed_share"] == lowest["ci_low"] == 0
    assert 0.05 < lowest["ci_high"] < 0.2


def test_repeated_rows_of_a_user_do_not_narrow_a_bin():
    once = noisy().query("candidate == 'model'").assign(user=range(400))
    four_times = pd.concat([once] * 4)
    narrow, wide = (curve_of(part).loc[1:] for part in (four_times, once))

    assert (narrow["ci_high"] - narrow["ci_low"]).tolist() == pytest.approx(
        (wide["ci_high"] - wide["ci_low"]).tolist()
    )
    assert design_effect(np.zeros(1600), four_times["user"], four_times["y"] - 0.2) == 4


def test_limits_stay_within_the_bounds_of_their_metric_even_beside_them():
    draws = np.random.default_rng(0).normal(0.98, 0.05, (500, 1))
    at_the_top = interval(np.array([1.0]), draws.clip(0, 1), rarer=5, floor=0.0, ceiling=1.0)
    near_zero = interval(np.array([0.01]), 1 - draws, rarer=5, floor=0.0)

    assert 0 < at_the_top[0] < 0.98 < at_the_top[1] < 1
    assert 0 < near_zero[0] < 0.01 < near_zero[1]


def test_few_churners_widen_an_interval_and_a_metric_without_variance_has_no_width():
    draws = np.random.default_rng(0).normal(size=(500, 2)) * [1, 0]
    widths = [np.subtract(*interval(np.zeros(2), draws, rarer=n)[::-1]) for n in (3, 20, 500)]

    assert widths[0][0] > widths[1][0] > widths[2][0]
    assert [width[1] for width in widths] == [0, 0, 0]
