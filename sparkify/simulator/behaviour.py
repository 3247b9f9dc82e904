"""What one user lives through: satisfaction, sessions, pages, and perhaps a cancellation.

Satisfaction is latent: mostly what the service did to a user in the last weeks (adverts, errors,
bad songs; friends, playlists), about a mean of the user's own, with an Ornstein-Uhlenbeck process
of moods that nothing explains. It moves how often they come, what they click and the hazard of
cancelling, each with noise of its own, so that the events tell much of it and never all. The
figures are calibrated on a real log of 225 users: `python -m benchmarks.simulator` compares.
"""

from dataclasses import dataclass, fields

import numpy as np

from sparkify.simulator.people import (
    DAY_S,
    FREE,
    IMPACT,
    PAGE_NAMES,
    PAGES,
    PAID,
    RATE_SLOPE,
    Profile,
    Traits,
    draw_profile,
    draw_traits,
)
from sparkify.simulator.worlds import World

# Satisfaction.
WANDER_SD = 0.1  # around a user's own mean
KEEP = np.exp(-1 / 30)  # of that distance, from one day to the next
STEP_SD = WANDER_SD * np.sqrt(1 - KEEP**2)
KEEP_LIVED = np.exp(-1 / 24)  # of what was lived through, from one day to the next

# Cancelling.
NOVELTY_DAYS = 30.0
NODES = 7  # of the Gauss-Hermite quadrature over what the days ahead may bring
CANCEL_S = 60  # from the last ordinary page to the confirmation

# Coming. A habit more than a matter of satisfaction, but a change of mood shows.
ACTIVE_MEAN_SLOPE, ACTIVE_MOOD_SLOPE = 0.1, 0.5
WEEKDAY_LOG_ODDS = np.log([1.1, 1.15, 1.15, 1.1, 1.0, 0.75, 0.75])
SECOND_SESSION = 0.2
SESSIONS = 1.1  # on a day with any: a long one leaves no room for a second
SESSION_GAP_S = 1800
PAUSE_START, PAUSE_SLOPE, PAUSE_DAYS = 0.003, 0.8, 7.0
HOUR_WEIGHTS = [
    10,
    9,
    8,
    7,
    6,
    6,
    6,
    6,
    7,
    8,
    9,
    10,
    12,
    14,
    16,
    17,
    17,
    16,
    15,
    14,
    13,
    12,
    11,
    10,
]
HOUR_CUMULATIVE = np.cumsum(HOUR_WEIGHTS) / np.sum(HOUR_WEIGHTS)

# Listening.
SONGS_SHAPE = 0.9
LEVEL_SONGS = np.array([0.7, 1.1])  # free users listen less
SONG_S = 250
BREAK_S = 3600  # mean length of a silence

LEVEL_SEES = np.array(
    [[page[3] is None or page[3] == level for page in PAGES.values()] for level in (FREE, PAID)]
)
# By level: the page that offers to change it, and how often a visit ends in a submitted form.
SUBMITS = {FREE: (PAGE_NAMES.index("Upgrade"), 0.26), PAID: (PAGE_NAMES.index("Downgrade"), 0.034)}


@dataclass(frozen=True)
class Session:
    """What happens in a session, song by song; times come later."""

    start_s: int
    levels: np.ndarray  # int8, of the opening and of each song
    breaks_s: np.ndarray  # int64, seconds of silence after each song
    follows: np.ndarray  # bool, song x page: which pages follow which song
    submit_after: int  # the song after which the level changes, or -1


@dataclass(frozen=True)
class Life:
    """A user's sessions, cancellation and latent truth.

    `wander`, `lived` and `level` begin a day before `first_day`; they are as of the end of a day.
    """

    world: World
    profile: Profile
    traits: Traits
    first_day: int  # the first day at risk, counted from the start of the period
    start_s: int  # of the period
    sessions: list[Session]
    cancelled_s: int | None
    hazard: np.ndarray  # daily, from first_day to the end or the day of the cancellation
    wander: np.ndarray  # distance of satisfaction from its mean
    lived: np.ndarray  # what remains in it of what was lived through
    level: np.ndarray

    def is_first(self, session: Session) -> bool:
        """Whether the user registers at the start of this session."""
        return self.profile.is_new and session.start_s == self.profile.registered_s

    def has_left_before(self, day: int) -> bool:
        return self.cancelled_s is not None and self.first_day + len(self.hazard) <= day


@dataclass
class _Mood:
    wander: float
    lived: float
    level: int
    busy_until_s: int
    pause_until: int


def live(rng: np.random.Generator, world: World, *, index: int, start_s: int, days: int) -> Life:
    """Simulate one user, from a day before the first so that sessions run across the start."""
    profile = draw_profile(rng, world, index=index, start_s=start_s, days=days)
    traits = draw_traits(rng, world)
    first_day = (profile.registered_s - start_s) // DAY_S + 1 if profile.is_new else 0
    mood = _first_mood(rng, profile, start_s)
    sessions: list[Session] = []
    truth: list[tuple[float, float, float, float]] = []
    cancelled_s = None
    # A log holds no user who never came: by this day, whatever their habit, they do.
    debut = first_day + int(rng.random() * (days - first_day))
    for day in range(first_day - 1, days):
        day_s = start_s + day * DAY_S
        mood.wander = mood.wander * KEEP + STEP_SD * rng.standard_normal()
        mood.lived *= KEEP_LIVED
        satisfaction = traits.mean + mood.wander + mood.lived
        rates = traits.rates * np.exp(RATE_SLOPE * satisfaction)
        comes = _chance_to_come(traits, mood, weekday=_weekday(day_s), season=world.coming(day))
        age_days = (day_s - profile.registered_s) / DAY_S
        hazard = float(_hazard(world, traits.base, satisfaction, age_days))
        hazard *= world.hazard_factor(day, mood.level == PAID)
        if day >= first_day and rng.random() < -np.expm1(-hazard):
            cancelled_s = day_s + max(2 * CANCEL_S, _second_of_day(rng, traits.hour_shift))
            plan = _last_session(rng, traits, mood, cancelled_s=cancelled_s, day_s=day_s)
        elif profile.is_new and day == first_day - 1:
            plan = [(profile.registered_s, _song_count(rng, traits, mood))]
        else:
            is_unseen = not sessions or sessions[-1].start_s < start_s
            comes = 1.0 if day == debut and is_unseen else comes
            plan = _usual_sessions(rng, traits, mood, comes=comes, day=day, day_s=day_s)
        for begin_s, songs in plan:
            if begin_s >= mood.busy_until_s:
                sessions.append(_listen(rng, traits, mood, begin_s, songs=songs, rates=rates))
        truth.append((hazard, mood.wander, mood.lived, mood.level))
        if cancelled_s is not None:
            break
    hazards, wander, lived, level = np.array(truth).T
    return Life(
        world=world,
        profile=profile,
        traits=traits,
        first_day=first_day,
        start_s=start_s,
        sessions=sessions,
        cancelled_s=cancelled_s,
        hazard=hazards[1:],
        wander=wander,
        lived=lived,
        level=level,
    )


def churn_probability(lives: list[Life], *, day: int, horizon: int = 14) -> np.ndarray:
    """Return each life's probability of cancelling on `day` to `day + horizon - 1`.

    It follows from the state at the end of the day before. Satisfaction ahead is taken as Gaussian;
    its mean and variance go from day to day with what users of such a state live through. What a
    world does to all users is known ahead. All lives are of one world.
    """
    traits = Traits(
        **{
            field.name: np.array([getattr(life.traits, field.name) for life in lives])
            for field in fields(Traits)
        }
    )
    registered_s = np.array([life.profile.registered_s for life in lives])
    state = [(o.wander[i], o.lived[i], o.level[i]) for o in lives for i in [day - o.first_day]]
    wander, lived, is_paid = np.array(state).T
    wander_variance, lived_variance = np.zeros((2, len(lives)))
    luck, weights = np.polynomial.hermite_e.hermegauss(NODES)
    total = np.zeros((len(lives), NODES))
    world, start_s = lives[0].world, lives[0].start_s
    for ahead in range(day, day + horizon):
        day_s = start_s + DAY_S * ahead
        wander, wander_variance = wander * KEEP, wander_variance * KEEP**2 + STEP_SD**2
        lived, lived_variance = lived * KEEP_LIVED, lived_variance * KEEP_LIVED**2
        satisfaction = traits.mean + wander + lived
        hazard = _hazard(world, traits.base, satisfaction, (day_s - registered_s) / DAY_S)
        hazard *= world.hazard_factor(ahead, is_paid)
        spread = np.sqrt(wander_variance + lived_variance)
        total += hazard[:, None] * np.exp(-world.slope * spread[:, None] * luck)
        coming = {"weekday": _weekday(day_s), "season": world.coming(ahead)}
        gain, variance, is_paid = _day_ahead(traits, wander, lived, is_paid, **coming)
        lived, lived_variance = lived + gain, lived_variance + variance
    return (-np.expm1(-total) * weights).sum(axis=1) / weights.sum()


def _day_ahead(
    traits: Traits,
    wander: np.ndarray,
    lived: np.ndarray,
    is_paid: np.ndarray,
    *,
    weekday: int,
    season: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance of what a day adds to `lived`, and the chance of paying after it."""
    satisfaction = traits.mean + wander + lived
    mood = _Mood(wander=wander, lived=lived, level=FREE, busy_until_s=0, pause_until=0)
    comes = SESSIONS * _chance_to_come(traits, mood, weekday=weekday, season=season)
    comes /= 1 + PAUSE_DAYS * PAUSE_START * np.exp(-PAUSE_SLOPE * satisfaction)
    rates = np.minimum(1, traits.rates * np.exp(RATE_SLOPE * satisfaction[:, None]))
    mean, square, changes = 0.0, 0.0, {}
    for level, share in ((FREE, 1 - is_paid), (PAID, is_paid)):
        songs = traits.songs * LEVEL_SONGS[level]
        seen = rates * LEVEL_SEES[level]
        # Sums by row, not a matrix product: its last bits depend on the number of rows.
        gain = songs * (seen * IMPACT).sum(axis=1)
        noise = songs * (seen * IMPACT**2).sum(axis=1)
        mean += share * comes * gain
        square += share * comes * (noise + gain**2 * (1 + 1 / SONGS_SHAPE))
        page, submits = SUBMITS[level]
        changes[level] = share * -np.expm1(-comes * songs * rates[:, page] * submits)
    return mean, square - mean**2, is_paid + changes[FREE] - changes[PAID]


def _first_mood(rng: np.random.Generator, profile: Profile, start_s: int) -> _Mood:
    # A registration stamp later than the first events is a quirk of the log, not of the user.
    is_late = not profile.is_new and profile.registered_s > start_s
    return _Mood(
        wander=WANDER_SD * rng.standard_normal(),
        lived=0.0,
        level=PAID if profile.starts_paid else FREE,
        busy_until_s=start_s - DAY_S if is_late else profile.registered_s,
        pause_until=-1,
    )


def _hazard(
    world: World,
    base: float | np.ndarray,
    satisfaction: float | np.ndarray,
    age_days: float | np.ndarray,
) -> float | np.ndarray:
    novelty = 1 + world.novelty * np.exp(-np.maximum(age_days, 0) / NOVELTY_DAYS)
    return base * novelty * np.exp(-world.slope * satisfaction)


def _weekday(day_s: int) -> int:
    return (day_s // DAY_S + 3) % 7  # 1970 began on a Thursday


def _chance_to_come(traits: Traits, mood: _Mood, *, weekday: int, season: float) -> float:
    log_odds = traits.log_odds + WEEKDAY_LOG_ODDS[weekday] + (weekday > 4) * traits.weekend + season
    log_odds += ACTIVE_MEAN_SLOPE * traits.mean + ACTIVE_MOOD_SLOPE * (mood.wander + mood.lived)
    return 1 / (1 + np.exp(-log_odds))


def _usual_sessions(
    rng: np.random.Generator, traits: Traits, mood: _Mood, *, comes: float, day: int, day_s: int
) -> list[tuple[int, int]]:
    """Starts and song counts of a day's sessions, if it has any; perhaps a pause begins."""
    satisfaction = traits.mean + mood.wander + mood.lived
    if rng.random() < PAUSE_START * np.exp(-PAUSE_SLOPE * satisfaction):
        mood.pause_until = day + int(rng.geometric(1 / PAUSE_DAYS))
    if (day < mood.pause_until and comes < 1) or rng.random() >= comes:
        return []
    count = 1 + (rng.random() < SECOND_SESSION)
    starts = sorted(day_s + _second_of_day(rng, traits.hour_shift) for _ in range(count))
    return [(begin_s, _song_count(rng, traits, mood)) for begin_s in starts]


def _last_session(
    rng: np.random.Generator, traits: Traits, mood: _Mood, *, cancelled_s: int, day_s: int
) -> list[tuple[int, int]]:
    """The session that ends with the cancellation, unless one is running at that time."""
    if mood.busy_until_s >= cancelled_s - CANCEL_S:
        return []
    songs = max(3, _song_count(rng, traits, mood))
    begin_s = max(cancelled_s - songs * SONG_S, day_s, mood.busy_until_s)
    return [(begin_s, songs + 40)]  # too many: the cancellation cuts them


def _listen(
    rng: np.random.Generator,
    traits: Traits,
    mood: _Mood,
    begin_s: int,
    *,
    songs: int,
    rates: np.ndarray,
) -> Session:
    """Draw a session and let it act upon the mood.

    A submitted upgrade or downgrade changes the level of the rest, and of what comes after.
    """
    silent = rng.random(songs) < traits.breaks
    breaks_s = np.where(silent, rng.exponential(BREAK_S, songs), 0).astype(np.int64)
    draws = rng.random((songs, len(rates)))
    follows = (draws < rates) & LEVEL_SEES[mood.level]
    levels = np.full(songs + 1, mood.level, np.int8)
    page, share = SUBMITS[mood.level]
    submitted = np.flatnonzero(draws[:, page] < rates[page] * share)
    submit_after = int(submitted[0]) if len(submitted) else -1
    if submit_after >= 0:
        mood.level = PAID if mood.level == FREE else FREE
        levels[submit_after + 2 :] = mood.level
        rest = slice(submit_after + 1, None)
        follows[rest] = (draws[rest] < rates) & LEVEL_SEES[mood.level]
    mood.lived += float(follows.sum(axis=0) @ IMPACT)
    mood.busy_until_s = begin_s + int(1.1 * songs * SONG_S + breaks_s.sum()) + SESSION_GAP_S
    return Session(begin_s, levels, breaks_s, follows, submit_after)


def _song_count(rng: np.random.Generator, traits: Traits, mood: _Mood) -> int:
    return round(
        traits.songs * LEVEL_SONGS[mood.level] * rng.standard_gamma(SONGS_SHAPE) / SONGS_SHAPE
    )


def _second_of_day(rng: np.random.Generator, hour_shift: float) -> int:
    hour = np.searchsorted(HOUR_CUMULATIVE, rng.random()) + rng.random() + hour_shift
    return int(hour % 24 * 3600) % DAY_S
