"""The learners, the grids that are searched, and the search itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, product
from operator import itemgetter

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
from pyspark.ml.feature import UnivariateFeatureSelector, VectorSlicer
from pyspark.ml.param import Param
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.parallel import in_threads
from ml.preprocessing import CORE, FEATURES, PREFIX, SCALED, Columns
from ml.protocol import FOLD, LABEL

Point = dict[str, float | int | str]
# The key of a point that says which columns are learned from, and its values.
COLUMNS = "columns"
VECTORS = {"core": CORE, "all": FEATURES}
# Rows. Below the first deeper trees, or more of them, predict no better.
FEW, MANY = 3_000, 20_000


@dataclass(frozen=True)
class Shape:
    """How many rows a learner is given, and how many numbers a row."""

    rows: int
    width: int


@dataclass(frozen=True)
class Learner:
    """A kind of classifier: how to make one for a shape and a seed, and the grid to search.

    The grid goes from the simplest model on: the search ends with the first point that is worse,
    for each choice of columns apart.
    jobs: about how many Spark jobs a fit takes on few rows. simplest_below: on fewer rows than this
    the first point is the only one tried.
    """

    name: str
    make: Callable[[Shape, int], Estimator]
    grid: dict[str, tuple]
    jobs: int
    scaled: bool = False
    simplest_below: int = 0

    def points(self, columns: Columns) -> list[Point]:
        """Every combination of the grid's values; without a core there is no choice of columns."""
        grid = {key: values for key, values in self.grid.items() if key != COLUMNS or columns.core}
        return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]

    def worth_trying(self, points: list[Point], shape: Shape) -> list[list[Point]]:
        """Those of `points` that may matter on so many rows, a line for each choice of columns."""
        if shape.rows < self.simplest_below:
            return [points[:1]]
        return [list(line) for _, line in groupby(points, key=lambda point: point.get(COLUMNS))]


@dataclass(frozen=True)
class Fit:
    """A model to be fitted: a learner at a point, on all users or all but those of a fold."""

    learner: Learner
    point: Point
    fold: int | None = None


@dataclass(frozen=True)
class Tuned:
    """A learner with its best point, fitted on all rows."""

    learner: Learner
    point: Point
    model: Model


def columns(name: str) -> dict[str, str]:
    """The columns that the learner `name` adds to a table."""
    return {
        "rawPredictionCol": f"{PREFIX}raw_{name}",
        "probabilityCol": f"{PREFIX}probability_{name}",
        "predictionCol": f"{PREFIX}class_{name}",
    }


def fit_models(
    prepared: DataFrame,
    fits: Sequence[Fit],
    *,
    shape: Shape,
    seed: int,
    parallelism: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Model]:
    """The models of `fits` in their order, the longest begun first; progress: see `in_threads`.

    `prepared` has ml__features (or ml__scaled), ml__label and ml__fold.
    """

    def fit(each: Fit) -> Model:
        estimator, grid = grid_of(each.learner, [each.point], shape=shape, seed=seed)
        rows = prepared if each.fold is None else prepared.filter(F.col(FOLD) != each.fold)
        return estimator.fit(rows, grid[0])

    order = sorted(range(len(fits)), key=lambda i: -fits[i].learner.jobs)
    tasks = [partial(fit, fits[i]) for i in order]
    models = in_threads(prepared.sparkSession, tasks, parallelism=parallelism, progress=progress)
    return [model for _, model in sorted(zip(order, models, strict=True), key=itemgetter(0))]


def grid_of(
    learner: Learner, points: list[Point], *, shape: Shape, seed: int
) -> tuple[Estimator, list[dict[Param, object]]]:
    """The learner's estimator, and `points` as the param maps that its `fit` takes."""
    estimator = learner.make(shape, seed)
    head = estimator.getStages()[0] if isinstance(estimator, Pipeline) else estimator
    maps = []
    for point in points:
        params = {head.getParam(k): v for k, v in point.items() if k != COLUMNS}
        if COLUMNS in point:
            params[head.getParam("featuresCol")] = VECTORS[point[COLUMNS]]
        maps.append(params)
    return estimator, maps


def _logistic_regression(shape: Shape, seed: int) -> Estimator:
    return LogisticRegression(
        featuresCol=FEATURES,
        labelCol=LABEL,
        maxIter=50,
        tol=1e-3,
        **columns("logistic_regression"),
    )


def _random_forest(shape: Shape, seed: int) -> Estimator:
    return RandomForestClassifier(
        featuresCol=FEATURES,
        labelCol=LABEL,
        numTrees=60 if shape.rows >= MANY else 40,
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
        # More trees on few rows would learn noise, and each costs several jobs.
        maxIter=40 if shape.rows >= MANY else 15 if shape.rows >= FEW else 5,
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


# The simplest first.
LEARNERS: dict[str, Learner] = {
    learner.name: learner
    for learner in (
        Learner(
            "logistic_regression",
            _logistic_regression,
            {COLUMNS: tuple(VECTORS), "regParam": (0.5, 0.1, 0.02, 0.003)},
            jobs=15,
        ),
        Learner("linear_svm", _linear_svm, {"regParam": (0.3, 0.03)}, jobs=60),
        Learner("naive_bayes", _naive_bayes, {"selectionThreshold": (4.0, 16.0)}, jobs=5),
        Learner("random_forest", _random_forest, {"maxDepth": (4, 6)}, jobs=10, simplest_below=FEW),
        Learner(
            "gradient_boosted_trees",
            _gradient_boosted_trees,
            {"stepSize": (0.15, 0.05)},
            jobs=30,
            simplest_below=FEW,
        ),
        Learner(
            "multilayer_perceptron",
            _multilayer_perceptron,
            {"maxIter": (5, 15)},
            jobs=15,
            scaled=True,
        ),
        Learner(
            "factorization_machine",
            _factorization_machine,
            {"regParam": (1.0, 0.1)},
            jobs=60,
            scaled=True,
        ),
    )
}
FAST = ("logistic_regression", "random_forest", "gradient_boosted_trees")
