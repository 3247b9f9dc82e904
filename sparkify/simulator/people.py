"""Who a user is: what a row says of them, and what stays the same about them."""

from dataclasses import dataclass

import numpy as np

from sparkify.simulator.catalogue import FIRST_NAMES, LAST_NAMES, LOCATIONS, USER_AGENTS
from sparkify.simulator.worlds import World

DAY_S = 86_400
FREE, PAID = 0, 1

LATE_REGISTRATIONS = 0.0065
STARTS_PAID = 0.19

# What differs between users: satisfaction, the hazard of cancelling, coming, listening.
MEAN_SD = 0.1
HAZARD = 0.0020  # daily, at satisfaction 0
ACTIVE_INTERCEPT, ACTIVE_USER_SD = -1.25, 1.4
WEEKEND_SD = 0.4
HOUR_SHIFT_SD = 2.5
SONGS_LOG_MEAN, SONGS_USER_SD = np.log(74.0), 0.4
BREAK_RATE, BREAK_USER_SD = 0.0004, 1.5  # silences per song, spread

# Pages that may follow a song: rate per song, spread between users (sd of the log), slope on
# satisfaction, level that sees it, and what one of them does to satisfaction.
PAGES = {
    "Thumbs Up": (0.0530, 0.18, 0.12, None, 0.004),
    "Thumbs Down": (0.0083, 0.1, -0.80, None, -0.1),
    "Add to Playlist": (0.0285, 0.0, 0.02, None, 0.015),
    "Add Friend": (0.0142, 0.1, 0.1, None, 0.03),
    "Roll Advert": (0.080, 0.35, -0.15, FREE, -0.03),
    "Error": (0.0011, 0.0, -0.1, None, -0.2),
    "Home": (0.0222, 0.05, 0.0, None, 0.0),
    "Help": (0.0064, 0.0, -0.1, None, 0.0),
    "Settings": (0.0066, 0.1, -0.1, None, 0.0),
    "About": (0.0021, 0.2, 0.0, None, 0.0),
    "Downgrade": (0.0108, 0.1, -0.50, PAID, 0.0),
    "Upgrade": (0.0105, 0.3, 0.0, FREE, 0.0),
    "Logout": (0.0141, 0.05, 0.0, None, 0.0),
}
PAGE_NAMES = tuple(PAGES)
RATE, RATE_SD, RATE_SLOPE, IMPACT = (
    np.array([page[column] for page in PAGES.values()]) for column in (0, 1, 2, 4)
)


@dataclass(frozen=True)
class Profile:
    """Who the user is; what a row says of them."""

    user_id: str
    first_name: str
    last_name: str
    gender: str
    location: str
    user_agent: str
    registered_s: int
    is_new: bool  # registers in the period
    starts_paid: bool


@dataclass(frozen=True)
class Traits:
    """What stays the same about a user."""

    mean: float  # of satisfaction
    base: float  # daily hazard at satisfaction 0, long after registration
    log_odds: float  # of coming on a weekday at satisfaction 0
    weekend: float  # what a weekend adds to them
    songs: float  # mean of a session
    breaks: float  # silences per song
    hour_shift: float
    rates: np.ndarray  # per song and page, at satisfaction 0


def draw_profile(
    rng: np.random.Generator, world: World, *, index: int, start_s: int, days: int
) -> Profile:
    """Draw a user of a log of so many days; start_s is its first second since 1970, UTC."""
    gender = "M" if rng.random() < 0.54 else "F"
    is_new = bool(rng.random() < world.new_users)
    if is_new:
        registered_s = start_s + int(rng.random() * 0.9 * days * DAY_S)
    elif rng.random() < LATE_REGISTRATIONS:
        registered_s = start_s + int(rng.random() * 0.3 * days * DAY_S)
    else:
        registered_s = start_s - int(rng.gamma(1.2, 38.0) * DAY_S) - 3600
    cities = np.cumsum(1 / (np.arange(len(LOCATIONS)) + 5.0))
    agents = np.cumsum(1 / (np.arange(len(USER_AGENTS)) + 3.0))
    return Profile(
        user_id=str(index + 1),
        first_name=FIRST_NAMES[gender][int(rng.random() * len(FIRST_NAMES[gender]))],
        last_name=LAST_NAMES[int(rng.random() * len(LAST_NAMES))],
        gender=gender,
        location=LOCATIONS[int(np.searchsorted(cities, rng.random() * cities[-1]))],
        user_agent=USER_AGENTS[int(np.searchsorted(agents, rng.random() * agents[-1]))],
        registered_s=registered_s,
        is_new=is_new,
        starts_paid=bool(not is_new and rng.random() < STARTS_PAID),
    )


def draw_traits(rng: np.random.Generator, world: World) -> Traits:
    """Draw what makes one user differ from another, independent of who the user is."""
    eagerness = rng.standard_normal()
    return Traits(
        mean=MEAN_SD * rng.standard_normal(),
        base=HAZARD * np.exp(world.eager * eagerness),
        log_odds=ACTIVE_INTERCEPT + ACTIVE_USER_SD * eagerness,
        weekend=WEEKEND_SD * rng.standard_normal(),
        songs=np.exp(SONGS_LOG_MEAN + SONGS_USER_SD * rng.standard_normal()),
        breaks=BREAK_RATE * np.exp(BREAK_USER_SD * rng.standard_normal()),
        hour_shift=HOUR_SHIFT_SD * rng.standard_normal(),
        rates=RATE * np.exp(RATE_SD * rng.standard_normal(len(RATE))),
    )
