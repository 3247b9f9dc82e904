"""What one user lives through: satisfaction, sessions, pages, and perhaps a cancellation.

Satisfaction is the latent cause. It is an Ornstein-Uhlenbeck process about a mean of the user's own,
plus what the service lately did to them (adverts, errors, bad songs; friends, playlists). It moves how
often they come, what they click and the hazard of cancelling, each with noise of its own, so that the
events tell something of it and never all.
"""

from dataclasses import dataclass

import numpy as np

from sparkify.simulator.catalogue import FIRST_NAMES, LAST_NAMES, LOCATIONS, USER_AGENTS

DAY_S = 86_400

MEAN_SD = 0.33  # of satisfaction between users
WANDER_SD = 0.3  # of satisfaction around a user's mean
RELAXATION_DAYS = 30.0
LIVED_RELAXATION_DAYS = 10.0

HAZARD = 0.00215  # of cancelling, a day, at satisfaction 0
HAZARD_SLOPE = 1.0
NOVELTY, NOVELTY_DAYS = 1.5, 30.0  # new users leave more easily
HAZARD_EAGER = 0.9  # who comes more often meets more reasons, and chances, to leave

ACTIVE_INTERCEPT, ACTIVE_USER_SD = -1.08, 1.0
ACTIVE_MEAN_SLOPE, ACTIVE_MOOD_SLOPE = 0.1, 1.2
WEEKDAY_LOG_ODDS = np.log([1.1, 1.15, 1.15, 1.1, 1.0, 0.75, 0.75])
SECOND_SESSION = 0.2
PAUSE_START, PAUSE_SLOPE, PAUSE_DAYS = 0.007, 0.8, 7.0
SONGS_LOG_MEAN, SONGS_USER_SD, SONGS_SHAPE = np.log(67.0), 0.4, 0.9
BREAK_RATE, BREAK_USER_SD, BREAK_S = 0.0004, 1.5, 3600  # per song, spread, mean length
MEAN_SONG_S = 250

# Where the songs of a week start, by hour of the day (UTC).
HOUR_WEIGHTS = np.array(
    [10, 9, 8, 7, 6, 6, 6, 6, 7, 8, 9, 10, 12, 14, 16, 17, 17, 16, 15, 14, 13, 12, 11, 10], float
)
HOUR_CUMULATIVE = np.cumsum(HOUR_WEIGHTS) / HOUR_WEIGHTS.sum()
CANCEL_PAUSE_S = 60

# Pages that may follow a song: rate per song, spread between users (sd of the log), slope on
# satisfaction, level that sees it, and what one of them does to satisfaction.
FREE, PAID = 0, 1
PAGES = {
    "Thumbs Up": (0.0530, 0.18, 0.12, None, 0.004),
    "Thumbs Down": (0.0096, 0.1, -0.80, None, -0.1),
    "Add to Playlist": (0.0285, 0.0, 0.02, None, 0.015),
    "Add Friend": (0.0142, 0.1, 0.1, None, 0.03),
    "Roll Advert": (0.091, 0.15, -0.15, FREE, -0.03),
    "Error": (0.0011, 0.0, -0.1, None, -0.2),
    "Home": (0.0222, 0.05, 0.0, None, 0.0),
    "Help": (0.0064, 0.0, -0.1, None, 0.0),
    "Settings": (0.0066, 0.1, -0.1, None, 0.0),
    "About": (0.0021, 0.2, 0.0, None, 0.0),
    "Downgrade": (0.0108, 0.1, -0.50, PAID, 0.0),
    "Upgrade": (0.0115, 0.3, 0.0, FREE, 0.0),
    "Logout": (0.0141, 0.05, 0.0, None, 0.0),
}
PAGE_NAMES = tuple(PAGES)
RATE, RATE_SD, RATE_SLOPE, _, IMPACT = (
    np.array([-1 if page[i] is None else page[i] for page in PAGES.values()], float) for i in range(5)
)
LEVEL_SEES = np.array(
    [[page[3] is None or page[3] == level for page in PAGES.values()] for level in (FREE, PAID)]
)
SUBMIT_UPGRADE, SUBMIT_DOWNGRADE = 0.3, 0.034  # after a visit of the page
UPGRADE_PAGE, DOWNGRADE_PAGE = PAGE_NAMES.index("Upgrade"), PAGE_NAMES.index("Downgrade")


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
class Session:
    start_s: int
    level: np.ndarray  # one a song, and one for the opening
    breaks_s: np.ndarray  # one a song: seconds of silence after it
    follows: np.ndarray  # bool, song x page: which pages follow which song
    submits: int  # the song after which the level changes, or -1


@dataclass(frozen=True)
class Life:
    """A user's days: first simulated day, sessions, the cancellation, and the latent truth."""

    profile: Profile
    first_day: int  # 0 or the day of registration
    sessions: list[Session]
    cancelled_s: int | None
    hazard: np.ndarray  # a day, from first_day to the last day before or of the cancellation
    mean: float
    base: float  # hazard at satisfaction 0, novelty apart
    age_days: float  # days from registration to the start of the period
    wander: np.ndarray  # at the end of each day: distance of the process from its mean
    lived: np.ndarray  # at the end of each day: what remains of what was lived through
    drift: np.ndarray  # at the end of each day: expected daily change of `lived`


def live(rng: np.random.Generator, *, index: int, start_s: int, days: int) -> Life:
    """Simulate one user from the day before the start (so that sessions run across the start)."""
    profile = _profile(rng, index=index, start_s=start_s, days=days)
    first_day = max(0, (profile.registered_s - start_s) // DAY_S) if profile.is_new else 0
    mean = MEAN_SD * rng.standard_normal()
    eagerness = rng.standard_normal()
    base = HAZARD * np.exp(HAZARD_EAGER * eagerness)
    songs_mean = np.exp(SONGS_LOG_MEAN + SONGS_USER_SD * rng.standard_normal())
    rates = RATE * np.exp(RATE_SD * rng.standard_normal(len(RATE)))
    break_rate = BREAK_RATE * np.exp(BREAK_USER_SD * rng.standard_normal())
    hour_shift = 2.5 * rng.standard_normal()
    weekend = 0.4 * rng.standard_normal()

    keep = np.exp(-1 / RELAXATION_DAYS)
    keep_lived = np.exp(-1 / LIVED_RELAXATION_DAYS)
    step_sd = WANDER_SD * np.sqrt(1 - keep**2)
    horizon = days - first_day + 1
    steps = step_sd * rng.standard_normal(horizon)
    chances = rng.random((horizon, 4))
    wander, lived = WANDER_SD * rng.standard_normal(), 0.0
    level = PAID if profile.starts_paid else FREE
    busy_until, pause_until = profile.registered_s, -1
    sessions: list[Session] = []
    truth: list[tuple[float, float, float, float]] = []
    cancelled_s = None
    for i in range(horizon):
        day = first_day - 1 + i
        day_s = start_s + day * DAY_S
        wander = wander * keep + steps[i]
        lived *= keep_lived
        satisfaction = mean + wander + lived
        age = (day_s - profile.registered_s) / DAY_S
        hazard = base * _novelty(age) * np.exp(-HAZARD_SLOPE * satisfaction)
        leaves = day >= first_day and chances[i, 0] < -np.expm1(-hazard)
        weekday = (day_s // DAY_S + 3) % 7
        log_odds = ACTIVE_INTERCEPT + ACTIVE_USER_SD * eagerness
        log_odds += ACTIVE_MEAN_SLOPE * mean + ACTIVE_MOOD_SLOPE * (satisfaction - mean)
        log_odds += WEEKDAY_LOG_ODDS[weekday]
        log_odds += weekend if weekday > 4 else 0.0
        active = 1 / (1 + np.exp(-log_odds))
        now_rates = rates * np.exp(RATE_SLOPE * satisfaction)
        drift = active * songs_mean * float((now_rates * LEVEL_SEES[level]) @ IMPACT)
        starts = []
        if leaves:
            cancelled_s = day_s + min(_second_of_day(rng, hour_shift), DAY_S - 2)
            cancelled_s = max(cancelled_s, min(day_s + DAY_S - 2, profile.registered_s + 600))
            if busy_until < cancelled_s - CANCEL_PAUSE_S:
                starts = [-1]
        elif chances[i, 1] < PAUSE_START * np.exp(-PAUSE_SLOPE * satisfaction):
            pause_until = day + rng.geometric(1 / PAUSE_DAYS)
        elif (chances[i, 2] < active and day >= pause_until) or (profile.is_new and i == 1):
            count = 1 + (chances[i, 3] < SECOND_SESSION)
            starts = sorted(day_s + _second_of_day(rng, hour_shift) for _ in range(count))
            if profile.is_new and i == 1:
                starts[0] = profile.registered_s
        for wanted in starts:
            songs = round(songs_mean * rng.standard_gamma(SONGS_SHAPE) / SONGS_SHAPE)
            if wanted == -1:
                songs = max(songs, 3)
                wanted = max(cancelled_s - songs * MEAN_SONG_S, day_s, busy_until)
                songs += 40  # the cancellation cuts what is too long
            elif wanted < busy_until:
                continue
            breaks_s = np.where(rng.random(songs) < break_rate, rng.exponential(BREAK_S, songs), 0.0)
            session, level = _session(
                rng, start_s=wanted, breaks_s=breaks_s.astype(np.int64), rates=now_rates, level=level
            )
            sessions.append(session)
            busy_until = wanted + int(songs * MEAN_SONG_S * 1.1 + breaks_s.sum()) + 1800
            lived += float(session.follows.sum(axis=0) @ IMPACT)
        truth.append((hazard, wander, lived, drift))
        if leaves:
            break
    hazards, wanders, liveds, drifts = np.array(truth).T
    return Life(
        profile, first_day, sessions, cancelled_s, hazards[1:], mean, base, (start_s - profile.registered_s) / DAY_S, wanders, liveds, drifts
    )


def churn_probability(lives: list[Life], *, day: int, horizon: int = 14, paths: int = 512) -> np.ndarray:
    """Return each life's probability of cancelling on day … day + horizon - 1.

    Given the latent state at the end of the day before, the future of the process is Gaussian: the
    integral over it uses the same `paths` for everybody, so only the states differ.
    """
    keep = np.exp(-1 / RELAXATION_DAYS)
    keep_lived = np.exp(-1 / LIVED_RELAXATION_DAYS)
    rng = np.random.default_rng(day)
    noise = np.zeros((horizon, paths))
    step_sd = WANDER_SD * np.sqrt(1 - keep**2)
    at = np.zeros(paths)
    for t in range(horizon):
        half = rng.standard_normal(paths // 2)
        at = at * keep + step_sd * np.concatenate([half, -half])
        noise[t] = np.exp(-HAZARD_SLOPE * at)
    ahead = np.arange(1, horizon + 1)
    state = np.array([(o.base, o.age_days + day, o.mean, o.wander[k], o.lived[k], o.drift[k]) for o in lives for k in [day - o.first_day]])
    base, age, mean, wander, lived, drift = state[:, :, None].transpose(1, 0, 2)
    lived_ahead = lived * keep_lived**ahead + drift * (keep_lived - keep_lived**ahead) / (1 - keep_lived)
    expected = mean + wander * keep**ahead + lived_ahead
    total = base * _novelty(age + ahead - 1) * np.exp(-HAZARD_SLOPE * expected) @ noise
    return -np.expm1(-total).mean(axis=1)


def _novelty(age_days: float | np.ndarray) -> float | np.ndarray:
    return 1 + NOVELTY * np.exp(-np.maximum(age_days, 0) / NOVELTY_DAYS)


def _profile(rng: np.random.Generator, *, index: int, start_s: int, days: int) -> Profile:
    gender = "M" if rng.random() < 0.54 else "F"
    is_new = bool(rng.random() < 0.04)
    if is_new:
        registered = start_s + int(rng.random() * (days - 5) * DAY_S)
    else:
        registered = start_s - int(rng.gamma(1.2, 38.0) * DAY_S) - 3600
    cities = 1 / (np.arange(len(LOCATIONS)) + 5.0)
    agents = 1 / (np.arange(len(USER_AGENTS)) + 3.0)
    return Profile(
        user_id=str(index + 1),
        first_name=FIRST_NAMES[gender][int(rng.random() * len(FIRST_NAMES[gender]))],
        last_name=LAST_NAMES[int(rng.random() * len(LAST_NAMES))],
        gender=gender,
        location=LOCATIONS[int(np.searchsorted(np.cumsum(cities), rng.random() * cities.sum()))],
        user_agent=USER_AGENTS[int(np.searchsorted(np.cumsum(agents), rng.random() * agents.sum()))],
        registered_s=registered,
        is_new=is_new,
        starts_paid=bool(not is_new and rng.random() < 0.19),
    )


def _second_of_day(rng: np.random.Generator, hour_shift: float) -> int:
    hour = np.searchsorted(HOUR_CUMULATIVE, rng.random()) + rng.random() + hour_shift
    return int(hour % 24 * 3600)


def _session(
    rng: np.random.Generator, *, start_s: int, breaks_s: np.ndarray, rates: np.ndarray, level: int
) -> tuple[Session, int]:
    """Draw which pages follow which song; a submitted upgrade or downgrade changes the rest."""
    songs = len(breaks_s)
    draws = rng.random((songs, len(rates)))
    follows = (draws < rates) & LEVEL_SEES[level]
    levels = np.full(songs + 1, level, np.int8)
    page, share = (UPGRADE_PAGE, SUBMIT_UPGRADE) if level == FREE else (DOWNGRADE_PAGE, SUBMIT_DOWNGRADE)
    submitted = np.flatnonzero(draws[:, page] < rates[page] * share)
    if not len(submitted):
        return Session(start_s, levels, breaks_s, follows, -1), level
    at = int(submitted[0])
    level = 1 - level
    levels[at + 2 :] = level
    follows[at + 1 :] = (draws[at + 1 :] < rates) & LEVEL_SEES[level]
    return Session(start_s, levels, breaks_s, follows, at), level
