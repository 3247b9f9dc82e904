"""Worlds to simulate: what makes users cancel, and what else moves the log."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class World:
    """How the hazard of cancelling comes about, and who is in the log.

    new_users: the share of users who register in the period. slope: of the log hazard on
    dissatisfaction. eager: of the log hazard on the eagerness to come, in deviations of it: who
    comes more often meets more reasons and chances to leave. novelty: how much more easily a user
    leaves on the day of registration; 1.5 is 2.5 times. price_rise: how many times as easily who
    pays leaves on `price_rise_day` and, ever less so, after it. season: swing of the log-odds of
    coming on a day, `season_hazard` of the log hazard, which is high when few come.
    """

    new_users: float = 0.04
    slope: float = 0.6
    eager: float = 0.5
    novelty: float = 1.5
    price_rise: float = 1.0
    price_rise_day: int = 28
    season: float = 0.0
    season_hazard: float = 0.0

    def coming(self, day: int) -> float:
        """What the season adds to the log-odds of coming on a day of the period."""
        return self.season * np.sin(2 * np.pi * day / SEASON_DAYS)

    def hazard_factor(self, day: int, is_paid: float | np.ndarray) -> float | np.ndarray:
        """What multiplies the hazard of a day; is_paid: 0 or 1, or the probability of paying."""
        past = day - self.price_rise_day
        shock = (self.price_rise - 1) * np.exp(-past / PRICE_RISE_DAYS) if past >= 0 else 0.0
        season = np.exp(-self.season_hazard * np.sin(2 * np.pi * day / SEASON_DAYS))
        return (1 + shock * is_paid) * season


SEASON_DAYS = 42
PRICE_RISE_DAYS = 14.0  # after which a share 1/e of the anger is left
WORLDS = {
    "usual": World(),
    # Nothing that a user lives through is why they cancel: it comes without warning.
    "abrupt": World(slope=0.0),
    "price_rise": World(price_rise=3.0),
    "seasonal": World(season=0.7, season_hazard=0.2),
    "new_users": World(new_users=1.0),
    # Everybody cancels as easily as everybody else, on every day.
    "no_signal": World(slope=0.0, eager=0.0, novelty=0.0),
}
