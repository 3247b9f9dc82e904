"""A user's sessions as rows of the log: which page, when, in which session."""

from dataclasses import dataclass

import numpy as np

from sparkify.simulator.behaviour import CANCEL_PAUSE_S, FREE, PAGE_NAMES, Life
from sparkify.simulator.catalogue import songs

# Every kind of row: (page, auth, method, status).
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
_CODE = {(page, auth): code for code, (page, auth, _, _) in enumerate(KINDS)}
ANONYMOUS = np.array([auth in ("Logged Out", "Guest") for _, auth, _, _ in KINDS])
SONG, HOME, SAVE, LOGIN = (
    _CODE[page, auth]
    for page, auth in (
        ("NextSong", "Logged In"),
        ("Home", "Logged In"),
        ("Save Settings", "Logged In"),
        ("Login", "Logged Out"),
    )
)
PAGE_CODES = np.array([_CODE[page, "Logged In"] for page in PAGE_NAMES])
LOGGED_OUT = [_CODE[page, "Logged Out"] for page in ("Home", "About", "Help", "Error")]
GUEST_HOME, GUEST_ABOUT, REGISTER, REGISTERED = (
    _CODE[page, "Guest"] for page in ("Home", "About", "Register", "Submit Registration")
)
SESSIONS_PER_USER = 10.3  # session ids given out in the whole period


@dataclass(frozen=True)
class Rows:
    """Columns of a user's rows, in the order of time."""

    ts_s: np.ndarray  # int64
    session_id: np.ndarray  # int64
    kind: np.ndarray  # int8, index into KINDS
    level: np.ndarray  # int8
    item: np.ndarray  # int32
    song: np.ndarray  # int32, -1 where no song plays


def rows_of(
    rng: np.random.Generator, life: Life, *, users: int, index: int, start_s: int, end_s: int
) -> Rows:
    """Lay out a life as rows with start_s <= ts < end_s, the cancellation last."""
    pieces = [_session_rows(rng, session, life) for session in life.sessions]
    session_ids = _session_ids(
        np.array([s.start_s for s in life.sessions], np.int64),
        users=users,
        index=index,
        start_s=start_s,
        end_s=end_s,
    )
    last_s = end_s if life.cancelled_s is None else life.cancelled_s - CANCEL_PAUSE_S
    columns: list[tuple[np.ndarray, ...]] = []
    for i, (ts, kind, level, song) in enumerate(pieces):
        until = life.sessions[i + 1].start_s if i + 1 < len(pieces) else last_s
        item = np.arange(len(ts), dtype=np.int32)
        kept = (ts >= start_s) & (ts < min(until, last_s))
        columns.append(
            (
                ts[kept],
                np.full(int(kept.sum()), session_ids[i]),
                kind[kept],
                level[kept],
                item[kept],
                song[kept],
            )
        )
    if life.cancelled_s is not None:
        columns.append(_cancellation(rng, life, columns[-1], session_ids[-1]))
    if not columns:
        return Rows(*(np.empty(0, t) for t in ("i8", "i8", "i1", "i1", "i4", "i4")))
    return Rows(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _session_rows(rng: np.random.Generator, session, life: Life) -> tuple[np.ndarray, ...]:
    """Rows of one session: an opening, then songs, each with the pages that follow it.

    In real logs a song starts when the one before has ended to the second, whatever was clicked
    meanwhile; redirects (status 307) come one second after the page that caused them.
    """
    catalogue = songs()
    count = len(session.follows)
    song = np.searchsorted(catalogue.cumulative, rng.random(count)).astype(np.int32)
    slot_of, kinds, offsets = [], [], []
    opening = _opening(rng, session, life)
    opening_s = 0
    for kind, wait in opening:
        opening_s += wait
        slot_of.append(0)
        kinds.append(kind)
        offsets.append(opening_s)
    lengths = np.floor(catalogue.length_s[song]).astype(np.int64) + session.breaks_s
    slot_s = np.concatenate([[opening_s + 1 + int(rng.exponential(60))] if opening else [0], lengths])
    where, which = np.nonzero(session.follows)
    waits = 1 + rng.exponential(22, len(where)).astype(np.int64)
    redirects = PAGE_STATUS[which] == 307
    waits[redirects] = 1
    before = -1
    at = 0
    for place, page, wait in zip(where.tolist(), which.tolist(), waits.tolist(), strict=True):
        at = wait if place != before else at + wait
        before = place
        chain = _chain(rng, page, session, place)
        for kind, pause in chain:
            at += pause
            slot_of.append(place + 1)
            kinds.append(kind)
            offsets.append(at)
        if at >= slot_s[place + 1]:
            slot_s[place + 1] = at + 1
    starts = session.start_s + np.concatenate([[0], np.cumsum(slot_s[:-1])])
    slot = np.array(slot_of, np.int64)
    ts = np.concatenate([starts[1:], starts[slot] + np.array(offsets, np.int64)])
    kind = np.concatenate([np.full(count, SONG, np.int8), np.array(kinds, np.int8)])
    level = np.concatenate([session.level[1:], session.level[slot]])
    songs_of = np.concatenate([song, np.full(len(slot), -1, np.int32)])
    order = np.argsort(ts, kind="stable")
    return ts[order], kind[order], level[order], songs_of[order]


PAGE_STATUS = np.array([KINDS[code][3] for code in PAGE_CODES])
SETTINGS, LOGOUT, FRIEND = (
    PAGE_NAMES.index(page) for page in ("Settings", "Logout", "Add Friend")
)
UPGRADE, DOWNGRADE = PAGE_NAMES.index("Upgrade"), PAGE_NAMES.index("Downgrade")


def _chain(rng: np.random.Generator, page: int, session, place: int) -> list[tuple[int, int]]:
    """The page and what it leads to, as (kind, seconds after the one before)."""
    chain = [(int(PAGE_CODES[page]), 0)]
    if page == FRIEND:
        chain += [(chain[0][0], 1)] * int(rng.geometric(0.76) - 1)
    elif page == SETTINGS and rng.random() < 0.2:
        chain += [(SAVE, 1), (HOME, 1 + int(rng.exponential(20)))]
    elif page in (UPGRADE, DOWNGRADE) and session.submits == place:
        submit = "Submit Upgrade" if page == UPGRADE else "Submit Downgrade"
        chain += [(_CODE[submit, "Logged In"], 1), (HOME, 1 + int(rng.exponential(20)))]
    elif page == LOGOUT and rng.random() < 0.93:
        chain += _login(rng)
    return chain


def _login(rng: np.random.Generator) -> list[tuple[int, int]]:
    """From the logged-out home page, perhaps by way of others, back in."""
    chain = [(LOGGED_OUT[0], 1 + int(rng.exponential(40)))]
    while rng.random() < 0.33:
        code = LOGGED_OUT[int(np.searchsorted([0.62, 0.85, 0.99], rng.random()))]
        chain.append((code, 1 + int(rng.exponential(30))))
    return [*chain, (LOGIN, 1), (HOME, 1 + int(rng.exponential(30)))]


def _opening(rng: np.random.Generator, session, life: Life) -> list[tuple[int, int]]:
    if life.profile.is_new and session.start_s == life.profile.registered_s:
        # The registration stamp is that of the submitted form.
        return [(GUEST_HOME, 0), (REGISTER, 0), (REGISTERED, 0), (HOME, 1)]
    draw = rng.random()
    if draw < 0.07:
        return [(kind, wait if i else 0) for i, (kind, wait) in enumerate(_login(rng))]
    if draw < 0.5:
        return [(HOME, 0)]
    if draw < 0.51 and session.level[0] == FREE:
        return [(GUEST_HOME, 0), (GUEST_ABOUT, 20), (REGISTER, 30), (LOGIN, 30), (HOME, 5)]
    return []


def _cancellation(
    rng: np.random.Generator, life: Life, last: tuple[np.ndarray, ...], session_id: int
) -> tuple[np.ndarray, ...]:
    item = int(last[4][-1]) + 1 if len(last[4]) else 0
    level = last[3][-1] if len(last[3]) else FREE
    confirm_s = life.cancelled_s
    ts = np.array([confirm_s - 1 - int(rng.random() * (CANCEL_PAUSE_S - 5)), confirm_s], np.int64)
    kinds = [_CODE["Cancel", "Logged In"], _CODE["Cancellation Confirmation", "Cancelled"]]
    return (
        ts,
        np.full(2, session_id),
        np.array(kinds, np.int8),
        np.full(2, level, np.int8),
        np.array([item, item + 1], np.int32),
        np.full(2, -1, np.int32),
    )


def _session_ids(
    starts_s: np.ndarray, *, users: int, index: int, start_s: int, end_s: int
) -> np.ndarray:
    """Ids grow with time, are a user's own only together with the user, and never repeat for them."""
    passed = np.clip((starts_s - start_s) / (end_s - start_s), 0, 1)
    ids = np.floor(users * (1 + (SESSIONS_PER_USER - 1) * passed)).astype(np.int64)
    ids[starts_s < start_s + 86_400] = index + 1
    order = np.arange(len(ids))
    return np.maximum.accumulate(ids - order) + order
