"""How to train."""

from dataclasses import dataclass

from ml.economics import Offer
from ml.tuning import FAST, LEARNERS


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train. The defaults suit a table of a few hundred to some ten thousand users.

    models: names of `ml.tuning.LEARNERS`. folds: of users, for tuning and stacking. origins: how
    many of the last dates to predict in the backtest. min_churners: users with a positive row,
    in all. min_origin_churners: positive rows to learn from at an origin. draws: of the bootstrap.
    parallelism: fits at a time. offer: what contacting a user costs and brings.
    stable_only: leave out the columns by which rows to score differ from training rows.

    Raises:
        ValueError: an unknown learner, or a number too small to mean anything.
    """

    models: tuple[str, ...] = FAST
    folds: int = 3
    origins: int = 3
    min_churners: int = 20
    min_origin_churners: int = 15
    draws: int = 1000
    seed: int = 0
    parallelism: int = 2
    offer: Offer = Offer()
    stable_only: bool = False

    def __post_init__(self) -> None:
        unknown = ", ".join(name for name in self.models if name not in LEARNERS)
        if unknown or not self.models:
            wrong = f"there is no learner {unknown}" if unknown else "models is empty"
            raise ValueError(f"{wrong}; choose among {', '.join(LEARNERS)}.")
        for name, least in (("folds", 2), ("origins", 1), ("draws", 2), ("parallelism", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; give {least} or more.")
