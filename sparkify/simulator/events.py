"""A life as rows of the log: which page, when, in which session."""

from dataclasses import dataclass

import numpy as np

from sparkify.simulator.behaviour import CANCEL_S, Life, Session
from sparkify.simulator.catalogue import songs
from sparkify.simulator.people import DAY_S, FREE, PAGE_NAMES, PAID

# Every kind of row: page, auth, method, status.
KINDS = (
    ("NextSong", "Logged In", "PUT", 200),
    ("Thumbs Up", "Logged In", "PUT", 307),
    ("Thumbs Down", "Logged In", "PUT", 307),
    ("Add to Playlist", "Logged In", "PUT", 200),
    ("Add Friend", "Logged In", "PUT", 307),
    ("Roll Advert", "Logged In", "GET", 200),
    ("Error", "Logged In", "GET", 404),
    ("Home", "Logged In", "GET", 200),
    ("Help", "Logged In", "GET", 200),
    ("Settings", "Logged In", "GET", 200),
    ("About", "Logged In", "GET", 200),
    ("Downgrade", "Logged In", "GET", 200),
    ("Upgrade", "Logged In", "GET", 200),
    ("Logout", "Logged In", "PUT", 307),
    ("Save Settings", "Logged In", "PUT", 307),
    ("Submit Upgrade", "Logged In", "PUT", 307),
    ("Submit Downgrade", "Logged In", "PUT", 307),
    ("Cancel", "Logged In", "PUT", 307),
    ("Cancellation Confirmation", "Cancelled", "GET", 200),
    ("Home", "Logged Out", "GET", 200),
    ("About", "Logged Out", "GET", 200),
    ("Help", "Logged Out", "GET", 200),
    ("Error", "Logged Out", "GET", 404),
    ("Login", "Logged Out", "PUT", 307),
    ("Home", "Guest", "GET", 200),
    ("About", "Guest", "GET", 200),
    ("Register", "Guest", "GET", 200),
    ("Submit Registration", "Guest", "PUT", 307),
)
ANONYMOUS = np.array([auth in ("Logged Out", "Guest") for _, auth, _, _ in KINDS])
_CODES = {(page, auth): code for code, (page, auth, _, _) in enumerate(KINDS)}
_PAGE_CODES = [_CODES[page, "Logged In"] for page in PAGE_NAMES]
_REDIRECTS = np.array([KINDS[code][3] == 307 for code in _PAGE_CODES])
_SONG, _HOME, _SAVE, _CANCEL = (
    _CODES[page, "Logged In"] for page in ("NextSong", "Home", "Save Settings", "Cancel")
)
_CONFIRMED = _CODES["Cancellation Confirmation", "Cancelled"]
_FORMS = [_CODES[f"Submit {change}", "Logged In"] for change in ("Upgrade", "Downgrade")]
_OUT_HOME, _OUT_ABOUT, _OUT_HELP, _OUT_ERROR, _LOGIN = (
    _CODES[page, "Logged Out"] for page in ("Home", "About", "Help", "Error", "Login")
)
_GUEST_HOME, _GUEST_ABOUT, _REGISTER, _REGISTERED = (
    _CODES[page, "Guest"] for page in ("Home", "About", "Register", "Submit Registration")
)

# Session ids given out in a whole period, per user.
SESSION_IDS = 10.3

# A page and how many seconds it comes after the one before.
Step = tuple[int, int]


@dataclass(frozen=True)
class Rows:
    """Columns of a user's rows, in the order of time."""

    ts_s: np.ndarray  # int64
    session_id: np.ndarray  # int64
    kind: np.ndarray  # int8, index into KINDS
    level: np.ndarray  # int8
    item: np.ndarray  # int32, counts within the session
    song: np.ndarray  # int32, -1 where none plays


def rows_of(
    rng: np.random.Generator, life: Life, *, users: int, index: int, start_s: int, end_s: int
) -> Rows:
    """Lay out a life as rows with start_s <= ts < end_s, the cancellation last."""
    begins = np.array([session.start_s for session in life.sessions], np.int64)
    ids = _session_ids(begins, users=users, index=index, start_s=start_s, end_s=end_s)
    last_s = end_s if life.cancelled_s is None else life.cancelled_s - CANCEL_S
    untils = np.minimum(np.append(begins, last_s)[1:], last_s)
    pieces = []
    for session, session_id, until in zip(life.sessions, ids, untils, strict=True):
        rows = _session_rows(rng, session, int(session_id), is_first=life.is_first(session))
        kept = (rows.ts_s >= start_s) & (rows.ts_s < until)
        pieces.append({name: column[kept] for name, column in vars(rows).items()})
    if life.cancelled_s is not None:
        level = life.sessions[-1].levels[0]
        pieces.append(_cancellation(rng, pieces[-1], life.cancelled_s, int(ids[-1]), level))
    if not pieces:
        return _no_rows()
    return Rows(**{name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]})


def _session_rows(
    rng: np.random.Generator, session: Session, session_id: int, *, is_first: bool
) -> Rows:
    """An opening, then songs, each with the pages that follow it.

    In real logs a song starts when the one before has ended, to the second, whatever was clicked
    meanwhile; a redirect (status 307) comes one second after the page that caused it.
    """
    count = len(session.follows)
    song = np.searchsorted(songs().cumulative, rng.random(count)).astype(np.int32)
    opening = _opening(rng, is_free=session.levels[0] == FREE, is_first=is_first)
    if not opening and not count:
        opening = [(_HOME, 0)]
    steps = [(0, kind, after) for kind, after in _timed(opening)]
    slot_s = np.empty(count + 1, np.int64)
    slot_s[0] = steps[-1][2] + 1 + rng.exponential(60) if steps else 0
    slot_s[1:] = np.floor(songs().length_s[song]) + session.breaks_s
    places, pages = np.nonzero(session.follows)
    waits = np.where(_REDIRECTS[pages], 1, 1 + rng.exponential(22, len(pages)).astype(np.int64))
    place_before, after = -1, 0
    for place, page, wait in zip(places.tolist(), pages.tolist(), waits.tolist(), strict=True):
        start = wait if place != place_before else after + wait
        chain = _chain(rng, page, submits=place == session.submit_after)
        timed = _timed(chain, start)
        steps += [(place + 1, kind, at) for kind, at in timed]
        place_before, after = place, timed[-1][1]
        slot_s[place + 1] = max(slot_s[place + 1], after + 1)
    slot, kinds, offsets = np.array(steps, np.int64).reshape(-1, 3).T
    starts = session.start_s + np.concatenate([[0], np.cumsum(slot_s[:-1])])
    ts = np.concatenate([starts[1:], starts[slot] + offsets])
    order = np.argsort(ts, kind="stable")
    return Rows(
        ts_s=ts[order],
        session_id=np.full(len(ts), session_id),
        kind=np.concatenate([np.full(count, _SONG), kinds]).astype(np.int8)[order],
        level=np.concatenate([session.levels[1:], _step_levels(session, slot, kinds)])[order],
        item=np.arange(len(ts), dtype=np.int32),
        song=np.concatenate([song, np.full(len(slot), -1, np.int32)])[order],
    )


def _step_levels(session: Session, slot: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """A submitted form still has the old level; what follows it, the new one."""
    levels = session.levels[slot]
    for form in np.flatnonzero(np.isin(kinds, _FORMS)):
        follows = (slot == slot[form]) & (np.arange(len(slot)) > form)
        levels[follows] = FREE + PAID - levels[form]
    return levels


def _timed(chain: list[Step], start: int = 0) -> list[Step]:
    """Turn waits into seconds since the start of the slot."""
    timed, at = [], start
    for kind, wait in chain:
        at += wait
        timed.append((kind, at))
    return timed


def _chain(rng: np.random.Generator, page: int, *, submits: bool) -> list[Step]:
    """A page and what it leads to."""
    name = PAGE_NAMES[page]
    chain = [(_PAGE_CODES[page], 0)]
    if name == "Add Friend":
        chain += [(_PAGE_CODES[page], 1)] * int(rng.geometric(0.76) - 1)
    elif name == "Settings" and rng.random() < 0.2:
        chain += [(_SAVE, 1), (_HOME, _wait(rng, 20))]
    elif name in ("Upgrade", "Downgrade") and submits:
        chain += [(_CODES[f"Submit {name}", "Logged In"], 1), (_HOME, _wait(rng, 20))]
    elif name == "Logout" and rng.random() < 0.93:
        chain += _login(rng)
    return chain


def _login(rng: np.random.Generator) -> list[Step]:
    """From the logged-out home page, perhaps by way of others, back in."""
    chain = [(_OUT_HOME, _wait(rng, 40))]
    while rng.random() < 0.33:
        choice = np.searchsorted([0.62, 0.85, 0.99], rng.random())
        chain.append(((_OUT_HOME, _OUT_ABOUT, _OUT_HELP, _OUT_ERROR)[choice], _wait(rng, 30)))
    return [*chain, (_LOGIN, 1), (_HOME, _wait(rng, 30))]


def _opening(rng: np.random.Generator, *, is_free: bool, is_first: bool) -> list[Step]:
    """What comes before the first song."""
    if is_first:  # the registration stamp is that of the submitted form
        return [(_GUEST_HOME, 0), (_REGISTER, 0), (_REGISTERED, 0), (_HOME, 1)]
    draw = rng.random()
    if draw < 0.07:
        return _login(rng)
    if draw < 0.5:
        return [(_HOME, 0)]
    if draw < 0.51 and is_free:
        return [(_GUEST_HOME, 0), (_GUEST_ABOUT, 20), (_REGISTER, 30), (_LOGIN, 30), (_HOME, 5)]
    return []


def _wait(rng: np.random.Generator, mean_s: float) -> int:
    return 1 + int(rng.exponential(mean_s))


def _cancellation(
    rng: np.random.Generator,
    last: dict[str, np.ndarray],
    confirmed_s: int,
    session_id: int,
    level: int,
) -> dict[str, np.ndarray]:
    before = len(last["item"])
    item = int(last["item"][-1]) + 1 if before else 0
    asked_s = confirmed_s - 1 - int(rng.random() * (CANCEL_S - 5))
    return {
        "ts_s": np.array([asked_s, confirmed_s], np.int64),
        "session_id": np.full(2, session_id),
        "kind": np.array([_CANCEL, _CONFIRMED], np.int8),
        "level": np.full(2, last["level"][-1] if before else level, np.int8),
        "item": np.array([item, item + 1], np.int32),
        "song": np.full(2, -1, np.int32),
    }


def _no_rows() -> Rows:
    none = np.empty(0, np.int64)
    return Rows(none, none, none.astype(np.int8), none.astype(np.int8), none, none)


def _session_ids(
    begins: np.ndarray, *, users: int, index: int, start_s: int, end_s: int
) -> np.ndarray:
    """Ids grow with time and never repeat for a user, but other users have them too."""
    passed = np.clip((begins - start_s) / (end_s - start_s), 0, 1)
    ids = np.floor(users * (1 + (SESSION_IDS - 1) * passed)).astype(np.int64)
    ids[begins < start_s + DAY_S] = index + 1
    order = np.arange(len(ids))
    return np.maximum.accumulate(ids - order) + order
