"""Several Spark jobs at a time, from threads that do not disturb each other."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

Result = TypeVar("Result")


def in_threads(
    session: SparkSession,
    tasks: Sequence[Callable[[], Result]],
    *,
    parallelism: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Result]:
    """The results of `tasks` in their order, at most `parallelism` of them run at a time.

    progress: called with how many have ended, and of how many, after each.

    Each task gets a copy of its own of this thread's Spark properties. One wrapper around all
    tasks would hand every thread the same object, in which Spark notes the query that runs: the
    end of one query then takes the note of the other away, which fails now and then. The error of
    the first task that fails is raised; tasks that have not begun are not run.
    """
    ended = count(1)
    with ThreadPoolExecutor(parallelism) as pool:
        futures = [pool.submit(inheritable_thread_target(session)(task)) for task in tasks]
        for future in futures:
            # What is cancelled has not ended.
            future.add_done_callback(
                lambda each: each.cancelled() or progress(next(ended), len(tasks))
            )
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
