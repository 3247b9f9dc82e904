"""What the feature tables have to hold, in plain Python from the lines of a log.

Nothing here is shared with the models: the definitions are those that the descriptions of the
columns give, and the comments of the vars. `definitions` are those vars, by name. Days are counted
from 1970-01-01 (UTC), as `ts` counts milliseconds.
"""

import datetime as dt
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

Definitions = Mapping[str, Any]
Row = dict[str, Any]
Key = tuple[str, dt.date]

DAY_MS = 86_400_000
EPOCH = dt.date(1970, 1, 1)
BLANKS = " \t\r\n"
WIDE = "\0\v\f\x85\xa0\xad\u1680\u180e\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
WIDE += "".join(map(chr, range(0x2000, 0x2010)))
NOTHING = ("nan", "nat", "na", "n/a", "#n/a", "<na>", "none", "null", "undefined")
MISSING = {"NaN", "NaT", "\\N"} | {
    write(word) for word in NOTHING for write in (str.lower, str.upper, str.capitalize)
}
BETWEEN_OBJECTS = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")

# The fields of an event by the key that the log writes.
KEYS = {
    "user_id": "userId",
    "session_id": "sessionId",
    "item_in_session": "itemInSession",
    "ts": "ts",
    "page": "page",
    "auth": "auth",
    "level": "level",
    "method": "method",
    "status": "status",
    "artist": "artist",
    "song": "song",
    "song_length_s": "length",
    "gender": "gender",
    "registered_at": "registration",
    "location": "location",
    "user_agent": "userAgent",
}
FIELDS_OF_KEYS = {key: field for field, key in KEYS.items()}
FIELDS_OF_LOWER_KEYS = {key.lower(): field for field, key in KEYS.items()}
# What tells rows apart is one value, neither true nor false, and a number only where it is exact.
NAMES = ("user_id", "session_id", "page")
NO_NAMES = ("true", "false", '"infinity"', '"-infinity"', "infinity", "-infinity", "+infinity")
NO_NAMES += ("inf", "-inf", "[object object]")
FLOAT = re.compile(r"[+-]?\d+(\.\d*[eE][+-]?|[eE]\+)\d+", re.ASCII)
EXACT_BELOW = 2**53
# Six digits at most, as spreadsheets and printers of floats write long numbers.
SHOWN = re.compile(r"[+-]?\d(\.\d{0,5})?[eE]\+\d+", re.ASCII)
SHOWN_BELOW = 10**11
NESTED = re.compile(r'\{("[^"]*":.*)?\}|\[((["{\[0-9-]|true|false|null).*)?\]', re.DOTALL)
OF_SONGS = ("artist", "song", "song_length_s")

# What a user agent names, the more special first: an iPhone is "like Mac OS X", and a Windows Phone
# like both.
PLATFORMS = {
    "Windows": "Windows",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Macintosh": "Mac",
    "Linux": "Linux",
}

# The page that each counted signal is an event on; the last ones count in the longest window only.
PAGES = {
    "song": "NextSong",
    "thumbs_up": "Thumbs Up",
    "thumbs_down": "Thumbs Down",
    "advert": "Roll Advert",
}
LONG_PAGES = {
    "add_to_playlist": "Add to Playlist",
    "add_friend": "Add Friend",
    "home": "Home",
    "error": "Error",
    "help": "Help",
    "settings": "Settings",
    "downgrade_page": "Downgrade",
    "upgrade_page": "Upgrade",
    "submit_downgrade": "Submit Downgrade",
    "submit_upgrade": "Submit Upgrade",
}
DECAYED = ("thumbs_up", "thumbs_down", "advert", "add_to_playlist", "add_friend", "error")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM "
    "NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR VI"
)


class Event(NamedTuple):
    """An accepted event. Two that are alike in every field are one."""

    user_id: str
    session_id: str
    item_in_session: int | None
    ts: int
    page: str
    auth: str | None
    level: str | None
    method: str | None
    status: int | None
    artist: str | None
    song: str | None
    song_length_s: float | None
    gender: str | None
    registered_at: int | None
    location: str | None
    user_agent: str | None

    @property
    def day(self) -> int:
        return self.ts // DAY_MS

    @property
    def hour(self) -> int:
        return self.ts % DAY_MS // 3_600_000

    @property
    def state(self) -> str | None:
        return state_of(self.location)

    @property
    def platform(self) -> str | None:
        if self.user_agent is None:
            return None
        return next((name for word, name in PLATFORMS.items() if word in self.user_agent), "Other")


class Log(NamedTuple):
    """A log as read: rows read = events + duplicates + all that is rejected."""

    events: list[Event]
    duplicates: int
    rejected: Counter[str]
    nulled: Counter[tuple[str, str]]


# Reading


def read(files: Mapping[str, bytes], definitions: Definitions) -> Log:
    """The distinct events of `files`, contents by path, and what became of the other rows.

    `nulled` counts accepted rows, duplicates too, by field and reason.
    """
    events: dict[tuple, Event] = {}
    accepted, rejected, nulled = 0, Counter(), Counter()
    for row in rows_of(files):
        values = None if row is None else without_missing(row)
        reason = "malformed_json" if values is None else rejection(values, definitions)
        if reason:
            rejected[reason] += 1
            continue
        event, reasons = event_of(values, definitions)
        # Alike in every field are rows that say the same of what cannot be, too.
        impossible = frozenset((field, comparable(field, values)) for field, _ in reasons)
        events[event, impossible] = event
        accepted += 1
        nulled.update(reasons)
    return Log([*events.values()], accepted - len(events), rejected, nulled)


def rows_of(files: Mapping[str, bytes]) -> Iterator[Row | None]:
    """The raw fields of every row; None for a line that is not whole JSON objects."""
    for path, content in files.items():
        folder = fields_of(re.findall(r"([^/=]+)=([^/]*)/", path))
        for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            if line.strip(BLANKS.encode()):
                objects = objects_of(line)
                if objects is None:
                    yield None
                else:
                    yield from (folder | fields_of(pairs) for pairs in objects)


def objects_of(line: bytes) -> list[tuple] | None:
    """The objects of a line, each as pairs of key and value; None where it holds anything else."""
    # Objects become tuples and arrays lists; a number stays as it is written.
    decoder = json.JSONDecoder(
        object_pairs_hook=tuple,
        parse_int=str,
        parse_float=float_text,
        parse_constant=lambda word: None if word == "NaN" else f'"{word}"',
    )
    found, at = [], 0
    try:
        text = line.decode().strip(BLANKS)
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            found += value if isinstance(value, list) else [value]
            at = BETWEEN_OBJECTS.match(text, at).end()
        # Half a letter is none.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if found and all(isinstance(value, tuple) for value in found) else None


def float_text(written: str) -> str:
    """As it is written; what is not exact any more as a JVM prints it."""
    if abs(float(written)) < EXACT_BELOW:
        return written
    return f"{float(written):.16E}".replace("E+", "E")


def fields_of(pairs: Iterable[tuple[str, Any]]) -> Row:
    """The known fields: the last of equal keys, the exact spelling before any other, null last."""
    exact, other = {}, {}
    for key, value in pairs:
        if key in FIELDS_OF_KEYS:
            exact[FIELDS_OF_KEYS[key]] = value
        elif key.lower() in FIELDS_OF_LOWER_KEYS and value is not None:
            other[FIELDS_OF_LOWER_KEYS[key.lower()]] = value
    return other | {field: value for field, value in exact.items() if value is not None}


def without_missing(row: Row) -> dict[str, str]:
    """The values that are there, as text without blanks around."""
    values = {field: text_of(value) for field, value in row.items() if value is not None}
    for field in values.keys() & {"user_id", "session_id", "page", "auth", "level"}:
        values[field] = values[field].strip(BLANKS + WIDE)
    on_song = values.get("page") == "NextSong"
    return {
        field: text
        for field, text in values.items()
        if text
        and (text not in MISSING or (on_song and field in ("artist", "song")))
        and not (field in NAMES and is_no_name(text))
    }


def is_no_name(text: str) -> bool:
    is_shown = SHOWN.fullmatch(text) and "E" in text
    below = SHOWN_BELOW if is_shown else EXACT_BELOW
    inexact = FLOAT.fullmatch(text) and abs(float(text)) >= below
    return bool(text.lower() in NO_NAMES or NESTED.fullmatch(text) or inexact)


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value.strip(BLANKS)
    return json.dumps(value)


def rejection(values: dict[str, str], definitions: Definitions) -> str | None:
    """The first rule that a row breaks."""
    if values.get("auth", "").lower() in [each.lower() for each in definitions["anonymous_auths"]]:
        return "anonymous"
    if "user_id" not in values:
        return "missing_user_id"
    if event_time(values, definitions) is None:
        return "invalid_ts"
    if "page" not in values:
        return "missing_page"
    if "session_id" not in values:
        return "missing_session_id"
    return None


def event_of(values: dict[str, str], definitions: Definitions) -> tuple[Event, Counter]:
    """The event of an accepted row, and (field, reason) of what cannot be and is null."""
    reasons = Counter()

    def kept(field: str, value: Any, reason: str | None) -> Any:
        if field in values and reason:
            reasons[field, reason] += 1
            return None
        return value

    def named(field: str, known: tuple[str, ...], text: str) -> str | None:
        return kept(field, text, None if text in known else "unknown_value")

    item, status = (whole_number(values.get(field, "")) for field in ("item_in_session", "status"))
    registered_at = registration(values, definitions)
    song = {field: values.get(field) for field in OF_SONGS}
    if values["page"] == "NextSong":
        text = values.get("song_length_s", "")
        song["song_length_s"] = kept("song_length_s", decimal_of(text), wrong_length(text))
    else:
        song = {field: kept(field, None, "not_a_song") for field in OF_SONGS}
    length = song["song_length_s"]
    location = values.get("location")
    if location and state_of(location) is None:
        reasons["state", "unknown_value"] += 1
    event = Event(
        user_id=id_of(values["user_id"]),
        session_id=id_of(values["session_id"]),
        item_in_session=kept("item_in_session", item, wrong_whole(item, 0, 2**31 - 1)),
        ts=event_time(values, definitions),
        page=values["page"],
        auth=values.get("auth"),
        level=named("level", ("free", "paid"), values.get("level", "").lower()) or None,
        method=named("method", ("GET", "PUT"), values.get("method", "").upper()) or None,
        status=kept("status", status, wrong_whole(status, 100, 599)),
        artist=song["artist"],
        song=song["song"],
        song_length_s=None if length is None else float(length),
        gender=named("gender", ("F", "M"), values.get("gender", "").upper()) or None,
        registered_at=kept(
            "registered_at", registered_at, "invalid_time" if registered_at is None else None
        ),
        location=location,
        user_agent=values.get("user_agent"),
    )
    return event, reasons


def comparable(field: str, values: dict[str, str]) -> float | str:
    """A number by its value, a name as it is, any other word in lower case."""
    text = values.get(field, "")
    if field in ("artist", "song"):
        return text
    number = decimal_of(text)
    return text.lower() if number is None else float(number)


def decimal_of(text: str) -> Decimal | None:
    number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII)
    return Decimal(text) if number else None


def whole_number(text: str) -> int | None:
    """The number that 101, 101.0, 3., 1.2E7 or 1e+16 denote; 5e3 is a name, not a number."""
    number = decimal_of(text)
    if number is None or number != number.to_integral_value():
        return None
    return None if re.search(r"[eE]\d", text) and "." not in text else int(number)


def id_of(text: str) -> str:
    """The number, if it is written as a float and is no code, as 007 is."""
    is_other = re.fullmatch(r"[+-]?\d+", text) or re.match(r"[+-]?0\d", text)
    number = None if is_other else whole_number(text)
    return text if number is None else str(number)


def event_time(values: dict[str, str], definitions: Definitions) -> int | None:
    first, last = definitions["first_valid_date"], definitions["last_valid_date"]
    return valid_time(values.get("ts", ""), first, last)


def registration(values: dict[str, str], definitions: Definitions) -> int | None:
    """Valid from 2005 on: long before the log, and before what begins a part of it."""
    first = min(definitions["first_valid_date"], "2005-01-01")
    return valid_time(values.get("registered_at", ""), first, definitions["last_valid_date"])


def valid_time(text: str, first: str, last: str) -> int | None:
    """Milliseconds since 1970, a fraction cut off; None where no number or outside all valid."""
    number = None if SHOWN.fullmatch(text) else decimal_of(text)
    if number is None or not day_of(first) * DAY_MS <= int(number) < day_of(last) * DAY_MS:
        return None
    return int(number)


def wrong_whole(number: int | None, lowest: int, highest: int) -> str | None:
    if number is None:
        return "not_a_whole_number"
    return None if lowest <= number <= highest else "out_of_range"


def wrong_length(text: str) -> str | None:
    number = decimal_of(text)
    if number is None:
        return "not_a_number"
    return None if 0 < number <= 14400 else "out_of_range"


def state_of(location: str | None) -> str | None:
    """MO of `Kansas City, MO-KS`, and of `MO`; a state of the USA, its district or a territory."""
    found = re.match(r"[A-Z]{2}(?![A-Za-z])", (location or "").rpartition(", ")[2])
    return found[0] if found and found[0] in STATES.split() else None


def day_of(date: str | dt.date) -> int:
    date = dt.date.fromisoformat(date) if isinstance(date, str) else date
    return (date - EPOCH).days


def date_of(day: int) -> dt.date:
    return EPOCH + dt.timedelta(days=day)


# Features and labels


def snapshots(events: Sequence[Event], definitions: Definitions) -> dict[Key, Row]:
    """`fct_user_snapshots` without its fingerprint, by user and date."""
    horizon = definitions["horizon_days"]
    last_day = max(event.day for event in events)
    lives = lives_of(events)
    rows = {}
    for as_of in snapshot_days(events, definitions):
        is_observed = as_of + horizon - 1 <= last_day
        for user, row in features(events, definitions, as_of).items():
            churned = churn_day(lives[user], definitions, last_day)
            is_churned = churned is not None and as_of <= churned < as_of + horizon
            rows[user, date_of(as_of)] = row | {
                f"is_churned_next_{horizon}d": is_churned if is_observed else None,
                "days_to_churn": churned - as_of if is_churned and is_observed else None,
            }
    return rows


def to_score(events: Sequence[Event], definitions: Definitions) -> dict[Key, Row]:
    """`fct_user_features`: as of the day after the last day of data."""
    as_of = max(event.day for event in events) + 1
    found = features(events, definitions, as_of)
    return {(user, date_of(as_of)): row for user, row in found.items()}


def snapshot_days(events: Sequence[Event], definitions: Definitions) -> list[int]:
    """Every snapshot_weekday with min_history_days of data before it, up to the scoring date."""
    days = [event.day for event in events]
    weekday = WEEKDAYS.index(definitions["snapshot_weekday"])
    possible = range(min(days) + definitions["min_history_days"], max(days) + 2)
    return [day for day in possible if date_of(day).weekday() == weekday]


def features(events: Sequence[Event], definitions: Definitions, as_of: int) -> dict[str, Row]:
    """The features of every user eligible on the day `as_of`, from earlier events alone."""
    first_day = min(event.day for event in events)
    past = lives_of(event for event in events if event.day < as_of)
    return {
        user: features_of(life, definitions["feature_windows"], as_of, first_day)
        for user, life in past.items()
        if life[-1].day >= as_of - definitions["active_days"]
        and churn_day(life, definitions, as_of - 1) is None
    }


def lives_of(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each user in order; one without a position is the first of its moment."""
    lives: dict[str, list[Event]] = {}
    for event in sorted(events, key=order_of):
        lives.setdefault(event.user_id, []).append(event)
    return lives


def order_of(event: Event) -> tuple[int, int]:
    return event.ts, -1 if event.item_in_session is None else event.item_in_session


def churn_day(life: list[Event], definitions: Definitions, last_day: int) -> int | None:
    """The first day on which the user churned, as known at the end of `last_day`."""
    if definitions["churn_definition"] == "inactive":
        days = sorted({event.day for event in life})
        silent = definitions["inactive_days"]
        gaps = pairwise([*days, last_day + 1])
        return next((day + silent for day, after in gaps if after - day > silent), None)
    pages = list(definitions["churn_pages"])
    if definitions["churn_definition"] == "cancelled_or_downgraded":
        pages += definitions["downgrade_pages"]
    return next((event.day for event in life if event.page in pages), None)


class Span(NamedTuple):
    """The events of a user in the `days` before a date."""

    days: int
    observed_days: int
    events: list[Event]
    active_day_count: int
    session_count: int
    listening_s: float
    pages: Counter[str]

    def count(self, signal: str) -> int:
        return self.pages[(PAGES | LONG_PAGES)[signal]]

    def per_song(self, count: int) -> float:
        return ratio(count, self.count("song"))

    def counts(self) -> dict[str, float]:
        return {
            "active_day_count": self.active_day_count,
            "song_count": self.count("song"),
            "session_count": self.session_count,
            "thumbs_up_count": self.count("thumbs_up"),
            "thumbs_down_count": self.count("thumbs_down"),
            "advert_count": self.count("advert"),
        }


def observed_from(life: list[Event], first_day: int) -> int:
    """The day from which on what a user does would be in the log, silent days included."""
    registered_at = last_known(life, "registered_at")
    since = life[0].day if registered_at is None else registered_at // DAY_MS
    return min(life[0].day, max(first_day, since))


def span_of(life: list[Event], days: int, as_of: int, first_day: int) -> Span:
    begun = {}
    for event in life:
        begun.setdefault(event.session_id, event.day)
    first = as_of - days
    events = [event for event in life if event.day >= first]
    lengths = [event.song_length_s for event in events if event.song_length_s is not None]
    return Span(
        days=days,
        observed_days=min(days, as_of - observed_from(life, first_day)),
        events=events,
        active_day_count=len({event.day for event in events}),
        session_count=sum(day >= first for day in begun.values()),
        listening_s=math.fsum(lengths),
        pages=Counter(event.page for event in events),
    )


def features_of(life: list[Event], windows: Sequence[int], as_of: int, first_day: int) -> Row:
    """All features of one user, `life` being what happened before `as_of`."""
    spans = [span_of(life, days, as_of, first_day) for days in windows]
    short, long = spans[0], spans[-1]
    ever = span_of(life, as_of - first_day, as_of, first_day)
    return (
        volume(spans)
        | rates(spans, ever)
        | decayed(life, as_of, long.days)
        | ratios(short)
        | ratios(long)
        | long_ratios(long, ever)
        | trends(short, long)
        | recency(life, as_of, long)
        | subscription(life, as_of, first_day, long)
        | habit(long)
        | {name: last_known(life, name) for name in ("gender", "platform", "state")}
    )


def volume(spans: list[Span]) -> Row:
    row = {}
    for span in spans:
        row |= {f"{name}_{span.days}d": value for name, value in span.counts().items()}
        row[f"listening_s_{span.days}d"] = span.listening_s
    long = spans[-1]
    return row | {f"{signal}_count_{long.days}d": long.count(signal) for signal in LONG_PAGES}


def rates(spans: list[Span], ever: Span) -> Row:
    long = spans[-1]
    return {f"song_count_per_day_{s.days}d": s.count("song") / s.observed_days for s in spans} | {
        f"session_count_per_day_{long.days}d": long.session_count / long.observed_days,
        f"active_day_share_{long.days}d": long.active_day_count / long.observed_days,
        "active_day_log_odds_to_date": math.log(ever.active_day_count + 1)
        - math.log(ever.observed_days - ever.active_day_count + 3),
        f"observed_day_count_{long.days}d": long.observed_days,
    }


def decayed(life: list[Event], as_of: int, days: int) -> Row:
    """Counts in which an event of the day before is 1, and one of `days` earlier 1/e."""
    return {
        f"{signal}_count_decayed_{days}d": math.fsum(
            math.exp((event.day - as_of + 1) / days) for event in life if event.page == page
        )
        for signal, page in (PAGES | LONG_PAGES).items()
        if signal in DECAYED
    }


def ratios(span: Span) -> Row:
    return {
        f"thumbs_up_per_song_{span.days}d": span.per_song(span.count("thumbs_up")),
        f"thumbs_down_per_song_{span.days}d": span.per_song(span.count("thumbs_down")),
        f"advert_per_hour_{span.days}d": ratio(span.count("advert"), span.listening_s / 3600),
        f"song_per_session_{span.days}d": ratio(span.count("song"), span.session_count),
    }


def long_ratios(long: Span, ever: Span) -> Row:
    artists, songs = (
        len({getattr(event, field) for event in long.events} - {None})
        for field in ("artist", "song")
    )
    return {
        "thumbs_up_per_song_to_date": ever.per_song(ever.count("thumbs_up")),
        "thumbs_down_per_song_to_date": ever.per_song(ever.count("thumbs_down")),
        f"add_to_playlist_per_song_{long.days}d": long.per_song(long.count("add_to_playlist")),
        f"add_friend_per_song_{long.days}d": long.per_song(long.count("add_friend")),
        f"error_per_session_{long.days}d": ratio(long.count("error"), long.session_count),
        f"help_per_session_{long.days}d": ratio(long.count("help"), long.session_count),
        f"distinct_artist_per_song_{long.days}d": long.per_song(artists),
        f"distinct_song_per_song_{long.days}d": long.per_song(songs),
    }


def trends(short: Span, long: Span) -> Row:
    recent, usual = short.counts(), long.counts()
    return {
        f"{name}_trend_{short.days}d_{long.days}d": ratio(
            recent[name] / short.observed_days, usual[name] / long.observed_days, without=1.0
        )
        for name in recent
    }


def recency(life: list[Event], as_of: int, long: Span) -> Row:
    days = sorted({event.day for event in life})
    gaps = [day - before for before, day in pairwise(days) if day >= as_of - long.days]
    return {
        "days_since_last_active": as_of - days[-1],
        "days_since_last_thumbs_down": days_since(life, as_of, "Thumbs Down"),
        "days_since_last_error": days_since(life, as_of, "Error"),
        f"max_gap_days_{long.days}d": max(gaps, default=0),
    }


def subscription(life: list[Event], as_of: int, first_day: int, long: Span) -> Row:
    level, registered_at = (last_known(life, field) for field in ("level", "registered_at"))
    registered_day = None if registered_at is None else registered_at // DAY_MS
    tenure = None if registered_day is None else max(0, as_of - registered_day)
    paid = sum(event.level == "paid" for event in long.events)
    return {
        "is_paid": None if level is None else level == "paid",
        "tenure_days": tenure,
        "tenure_days_log": None if tenure is None else math.log(1 + tenure),
        "is_left_truncated": registered_day is not None and registered_day < first_day,
        f"paid_event_share_{long.days}d": ratio(paid, len(long.events)),
        "days_since_last_level_change": days_since(
            life, as_of, "Submit Upgrade", "Submit Downgrade"
        ),
    }


def habit(long: Span) -> Row:
    songs = [event for event in long.events if event.page == "NextSong"]
    return {
        f"weekend_song_share_{long.days}d": long.per_song(
            sum(date_of(event.day).weekday() >= 5 for event in songs)
        ),
        f"night_song_share_{long.days}d": long.per_song(sum(event.hour < 6 for event in songs)),
    }


def days_since(life: list[Event], as_of: int, *pages: str) -> int | None:
    return next((as_of - event.day for event in reversed(life) if event.page in pages), None)


def last_known(life: list[Event], field: str) -> Any:
    values = (getattr(event, field) for event in reversed(life))
    return next((value for value in values if value is not None), None)


def ratio(part: float, whole: float, without: float = 0.0) -> float:
    return part / whole if whole else without
