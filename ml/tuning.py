"""The learners, the grids that are searched, and the search itself."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from pyspark.ml import Estimator, Model, Pipeline
from pyspark.ml.classification import (
    FMClassifier,
    GBTClassifier,
    LinearSVC,
    LogisticRegression,
    MultilayerPerceptronClassifier,
    NaiveBayes,
    RandomForestClassifier,
)
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import UnivariateFeatureSelector, VectorSlicer
from pyspark.ml.param import Param
from pyspark.ml.tuning import CrossValidator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.preprocessing import FEATURES, PREFIX, SCALED
from ml.protocol import FOLD, LABEL

Point = dict[str, float | int | str]


@dataclass(frozen=True)
class Shape:
    """How many rows a learner is given, and how many numbers a row."""

    rows: int
    width: int


@dataclass(frozen=True)
class Learner:
    """A kind of classifier: how to make one for a shape and a seed, and the grid to search."""

    name: str
    make: Callable[[Shape, int], Estimator]
    grid: dict[str, tuple]
    scaled: bool = False

    def points(self) -> list[Point]:
        """Every combination of the grid's values."""
        combinations = product(*self.grid.values())
        return [dict(zip(self.grid, values, strict=True)) for values in combinations]


@dataclass(frozen=True)
class Tuned:
    """A learner with its best point: fitted on all rows, and on all but each fold.

    fold_models[fold][i] was fitted with points[i]; `best` is an index of points.
    """

    learner: Learner
    points: list[Point]
    best: int
    model: Model
    fold_models: list[list[Model]]


def columns(name: str) -> dict[str, str]:
    """The columns that the learner `name` adds to a table."""
    return {
        "rawPredictionCol": f"{PREFIX}raw_{name}",
        "probabilityCol": f"{PREFIX}probability_{name}",
        "predictionCol": f"{PREFIX}class_{name}",
    }


def tune(
    prepared: DataFrame,
    learner: Learner,
    *,
    sample: DataFrame,
    points: list[Point],
    folds: int,
    shape: Shape,
    seed: int,
) -> Tuned:
    """Choose among `points` by log loss over the user folds of `sample`; fit the best on all rows.

    `prepared` has ml__features (or ml__scaled), ml__label and ml__fold; `sample` is all of it, or
    the rows of some users. The models of the folds are kept: they are the out-of-fold models that
    the stack needs.
    """
    estimator, grid = grid_of(learner, points, shape=shape, seed=seed)
    if len(points) == 1:
        # Nothing to choose: only the models of the folds, and no evaluation of them.
        fold_models = [
            [estimator.fit(sample.filter(F.col(FOLD) != fold), grid[0])] for fold in range(folds)
        ]
        return Tuned(learner, points, 0, estimator.fit(prepared, grid[0]), fold_models)
    search = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(
            metricName="logLoss",
            labelCol=LABEL,
            predictionCol=columns(learner.name)["predictionCol"],
            probabilityCol=columns(learner.name)["probabilityCol"],
        ),
        numFolds=folds,
        foldCol=FOLD,
        collectSubModels=True,
        # Its own threads would share one set of Spark properties: see ml/threads.py.
        parallelism=1,
    )
    found = search.fit(sample)
    best = min(range(len(points)), key=found.avgMetrics.__getitem__)
    model = found.bestModel if sample is prepared else estimator.fit(prepared, grid[best])
    return Tuned(learner, points, best, model, found.subModels)


def grid_of(
    learner: Learner, points: list[Point], *, shape: Shape, seed: int
) -> tuple[Estimator, list[dict[Param, object]]]:
    """The learner's estimator, and `points` as the param maps that its `fit` takes."""
    estimator = learner.make(shape, seed)
    head = estimator.getStages()[0] if isinstance(estimator, Pipeline) else estimator
    return estimator, [{head.getParam(k): v for k, v in point.items()} for point in points]


def _logistic_regression(shape: Shape, seed: int) -> Estimator:
    return LogisticRegression(
        featuresCol=FEATURES,
        labelCol=LABEL,
        maxIter=50,
        tol=1e-4,
        **columns("logistic_regression"),
    )


def _random_forest(shape: Shape, seed: int) -> Estimator:
    return RandomForestClassifier(
        featuresCol=FEATURES,
        labelCol=LABEL,
        numTrees=_by_size(shape, small=40, large=60),
        minInstancesPerNode=5,
        seed=seed,
        **columns("random_forest"),
    )


def _gradient_boosted_trees(shape: Shape, seed: int) -> Estimator:
    names = columns("gradient_boosted_trees")
    trees = GBTClassifier(
        featuresCol=FEATURES,
        labelCol=LABEL,
        predictionCol=names["predictionCol"],
        maxIter=_by_size(shape, small=15, large=40),
        maxDepth=2,
        minInstancesPerNode=10,
        subsamplingRate=0.8,
        featureSubsetStrategy="0.5",
        seed=seed,
    )
    # These two are missing from the constructor.
    return trees.setProbabilityCol(names["probabilityCol"]).setRawPredictionCol(
        names["rawPredictionCol"]
    )


def _by_size(shape: Shape, *, small: int, large: int) -> int:
    """Fewer trees on few rows: more would learn noise, and each costs several jobs."""
    return small if shape.rows < 20_000 else large


def _linear_svm(shape: Shape, seed: int) -> Estimator:
    """The SVM has no probability: a logistic regression on its margin (Platt, 1999) gives one."""
    margin = f"{PREFIX}svm_margin"
    svm = LinearSVC(
        featuresCol=FEATURES,
        labelCol=LABEL,
        rawPredictionCol=f"{PREFIX}svm_raw",
        predictionCol=f"{PREFIX}svm_class",
        maxIter=60,
    )
    return Pipeline(
        stages=[
            svm,
            VectorSlicer(inputCol=f"{PREFIX}svm_raw", outputCol=margin, indices=[1]),
            LogisticRegression(featuresCol=margin, labelCol=LABEL, **columns("linear_svm")),
        ]
    )


def _naive_bayes(shape: Shape, seed: int) -> Estimator:
    """It counts what correlated features say twice (Langley & Sage, 1994): some are left out.

    How many is all there is to tune: MLlib's smoothing is of counts, not of Gaussians.
    """
    kept = f"{PREFIX}selected"
    selector = UnivariateFeatureSelector(
        featuresCol=FEATURES, labelCol=LABEL, outputCol=kept, selectionMode="numTopFeatures"
    )
    selector.setFeatureType("continuous").setLabelType("categorical")
    bayes = NaiveBayes(
        featuresCol=kept, labelCol=LABEL, modelType="gaussian", **columns("naive_bayes")
    )
    return Pipeline(stages=[selector, bayes])


def _multilayer_perceptron(shape: Shape, seed: int) -> Estimator:
    return MultilayerPerceptronClassifier(
        featuresCol=SCALED,
        labelCol=LABEL,
        layers=[shape.width, 4, 2],
        seed=seed,
        **columns("multilayer_perceptron"),
    )


def _factorization_machine(shape: Shape, seed: int) -> Estimator:
    return FMClassifier(
        featuresCol=SCALED,
        labelCol=LABEL,
        factorSize=2,
        stepSize=0.05,
        maxIter=60,
        seed=seed,
        **columns("factorization_machine"),
    )


LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (
        Learner(
            "logistic_regression",
            _logistic_regression,
            {"regParam": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)},
        ),
        Learner("random_forest", _random_forest, {"maxDepth": (4, 6)}),
        Learner("gradient_boosted_trees", _gradient_boosted_trees, {"stepSize": (0.05, 0.15)}),
        Learner("linear_svm", _linear_svm, {"regParam": (0.03, 0.3)}),
        Learner("naive_bayes", _naive_bayes, {"selectionThreshold": (4.0, 16.0)}),
        Learner("multilayer_perceptron", _multilayer_perceptron, {"maxIter": (5, 15)}, scaled=True),
        Learner(
            "factorization_machine", _factorization_machine, {"regParam": (0.1, 1.0)}, scaled=True
        ),
    )
}
FAST = ("logistic_regression", "random_forest", "gradient_boosted_trees")
