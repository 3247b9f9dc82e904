from functools import partial
from threading import Barrier

import pytest

from ml.parallel import in_threads


def test_results_come_in_the_order_of_the_tasks(spark):
    tasks = [lambda i=i: spark.range(i).count() for i in range(6)]

    told = []

    def progress(done: int, of: int) -> None:
        told.append((done, of))

    assert in_threads(spark, tasks, parallelism=3, progress=progress) == [0, 1, 2, 3, 4, 5]
    assert sorted(told) == [(done, 6) for done in range(1, 7)]


def test_threads_share_no_spark_properties(spark):
    """Spark keeps the id of the running query among them: shared, one query ends another's."""
    together = Barrier(2, timeout=60)

    def note(name):
        spark.sparkContext.setLocalProperty("ml.test", name)
        together.wait()
        return spark.sparkContext.getLocalProperty("ml.test")

    assert in_threads(spark, [partial(note, name) for name in "ab"], parallelism=2) == ["a", "b"]


def test_the_error_of_a_task_is_raised(spark):
    def fail():
        raise ValueError("cause")

    with pytest.raises(ValueError, match="cause"):
        in_threads(spark, [fail, lambda: None], parallelism=2)
