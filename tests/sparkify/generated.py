"""Logs of many short lives in which happens what seldom happens, made up from a seed.

A log is files by path. `plain_log` keeps to what the log documents itself as; `hostile_log` adds
the same rows in other writing, values that cannot be, and rows that have to be rejected.
"""

import datetime as dt
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

Fields = dict[str, Any]
Written = dict[str, str]

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
FIRST = dt.date(2018, 10, 1)
DAY_COUNT = 63
START_MS = (FIRST - dt.date(1970, 1, 1)).days * DAY_MS

ODD_USERS = (
    *("007", "7", "v1.0", "1.5", "5e3", "12345678", "10000000000000000", "o'hara", 'the "one"'),
    *("back\\slash", "} {", "Zoë 李", "a b", "-", "0", "null", "None", "2018-10-01", "%s; --"),
)
PAGES = {
    **{"NextSong": 60, "Thumbs Up": 6, "Thumbs Down": 4, "Home": 5, "Roll Advert": 5, "Error": 2},
    **{"Add to Playlist": 3, "Add Friend": 3, "Help": 2, "Settings": 2, "Save Settings": 1},
    **{"Downgrade": 2, "Upgrade": 2, "Submit Downgrade": 1, "Submit Upgrade": 1, "Logout": 2},
    **{"About": 1, "Login": 1, "Cancel": 0.5, "nextsong": 0.5, "A page of 2019": 0.5},
    **{"Submit Registration": 0.5, "Thumbs  Up": 0.2, "Errors": 0.2},
}
TEXTS = (
    *("Björk", "AC/DC", "Guns N' Roses", 'The "Who"', "back\\slash", "a} {b", '}{"page":"Home"}'),
    *("李宗盛", "🎵", "Sigur Rós", "sigur rós", "[1, 2]", "null", "it's; drop table"),
    *(
        "line\nbreak",
        "tab\there",
        "100%",
        "$1",
        "${x}",
        "{{ jinja }}",
        "2 + 2 = 5",
        "e\u0301",
        "\u00e9",
    ),
)
AGENTS = (
    '"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/36.0"',
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.9; rv:31.0) Gecko/20100101 Firefox/31.0",
    '"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2"',
    '"Mozilla/5.0 (iPad; CPU OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2"',
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (Linux; Android 4.4.2; SM-G900P) AppleWebKit/537.36",
    "Mozilla/5.0 (Windows Phone 8.1; ARM; like iPhone OS 7_0 Mac OS X) AppleWebKit/537.51.2",
    "curl/7.58.0",
    None,
)
LOCATIONS = (
    *("Kansas City, MO-KS", "Bakersfield, CA", "New York-Newark-Jersey City, NY-NJ-PA"),
    *("Sacramento--Roseville--Arden-Arcade, CA", "St. Cloud, MN", "A, B, TX", None),
)
LEVELS = ("free", "paid")


SONG_KEYS = ("artist", "song", "length")
NOTHING = ("null", '""', '"  "', '"NaN"', "NaN", '"None"', '"nan"', '"<NA>"')
# What tells nobody apart, among it numbers that are not exact.
NO_NAMES = ("true", "Infinity", "{}", '{"id": 7}', '["7"]', "[7]")
NO_NAMES += ("1e+16", "9007199254740993.0", '"1.0E16"')
WHOLE = ("ts", "itemInSession", "status", "registration")
# What cannot be, or is not worth a value, as JSON; among it what only looks so.
IMPOSSIBLE = {
    "itemInSession": ("-1", "2147483648", "1.5", '"x"', '"1e"', "1e+30", "true", *NOTHING),
    "status": ("99", "200.00000000001", "600", '"OK"', "200.5", "-200", "100", "599", *NOTHING),
    "level": ('"premium"', '"Free"', '" PAID\\t"', "1", *NOTHING),
    "method": ('"DELETE"', '"get"', '" put"', *NOTHING),
    "gender": ('"X"', '"male"', '"f"', '" m "', *NOTHING),
    "registration": ('"soon"', "1538173362", "-1", "7258118400000", '"2018-10-01"', *NOTHING),
    "length": (
        '"long"',
        '"100f"',
        '"0x1p4"',
        '"Infinity"',
        "0",
        "-3.5",
        "14400",
        "14400.01",
        '"1e9"',
        '"3:20"',
        "0.00001",
        *NOTHING,
    ),
    "location": ('"Nowhere"', '"Paris, FR"', '"Kansas City, mo"', '"MO"', '", "', *NOTHING),
    "userAgent": NOTHING,
    "artist": ('"NaN"', '"nan"', '""', "null", '" NaN "', "17", "1.5"),
    "song": ('"NaN"', '"None"', '" "', "null", "true", "1989"),
}
MALFORMED = (
    *("{bad", "[1, 2]", "null", "17", "[", "]", '"text"', '{"ts": 1', "}", "{} {", "[{}, 1]"),
    *('{"ts": 1538352117000,, "userId": "1"}', "userId=7", '{"userId": "7"} and more'),
)


# Lives


def plain_log(seed: int, users: int) -> dict[str, bytes]:
    """Files of events in any order, some of them twice, beside rows of nobody."""
    chance = random.Random(seed)
    lines = [written(event) for event in events_of(chance, users)]
    lines += chance.choices(lines, k=len(lines) // 20)
    lines += [written(anonymous(chance)) for _ in range(200)]
    return in_files(chance, lines)


def hostile_log(seed: int, users: int) -> dict[str, bytes]:
    """The like, with what a log should not hold."""
    chance = random.Random(seed)
    events = events_of(chance, users)
    moments = Counter((event["userId"], event["ts"]) for event in events)
    # Without their positions, events of one moment would have no order.
    raw = [
        spoiled(chance, as_json(event))
        if moments[event["userId"], event["ts"]] == 1
        else as_json(event)
        for event in events
    ]
    paid = [row for row in raw if row.get("level") == '"paid"' and chance.random() < 0.05]
    twins = [in_other_writing(chance, row) for row in chance.choices(raw, k=len(raw) // 10)]
    rows = [in_other_writing(chance, row) if chance.random() < 0.2 else row for row in raw]
    rows += twins + [as_json(anonymous(chance)) for _ in range(200)]
    rows += [rejected(chance, row) for row in chance.choices(raw, k=300)]
    lines = together(chance, [as_object(row) for row in rows])
    lines += chance.choices(MALFORMED, k=100) + ["{}"]
    files = in_files(chance, lines)
    broken = as_object(raw[0]).encode().replace(b'"userId"', b'"firstName": "\xff", "userId"')
    # A folder says the level of rows that do not.
    apart = [as_object({key: row[key] for key in row if key != "level"}) for row in paid]
    return files | {"level=paid/d.json": "\n".join(apart).encode(), "e.json": broken + b"\n"}


def rewritten(files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    """The same rows of a plain log, in other writing."""
    chance = random.Random(seed)
    lines = "\n".join(content.decode("utf-8-sig") for content in files.values()).split("\n")
    rows = [as_json(json.loads(line)) for line in lines if line.strip()]
    return in_files(chance, [as_object(in_other_writing(chance, row)) for row in rows])


def events_of(chance: random.Random, users: int) -> list[Fields]:
    names = [*ODD_USERS, *map(str, range(100, 100 + users - len(ODD_USERS)))]
    events = [event for name in names for event in life(chance, name)]
    events += listener(chance)
    # The period is the same whatever the seed.
    for event, ts in zip(events[:2], (START_MS, START_MS + DAY_COUNT * DAY_MS - 1), strict=True):
        edge = without_song(event)
        events.append(edge | {"ts": ts, "userId": "first and last", "page": "Home"})
    return events


def life(chance: random.Random, user: str) -> list[Fields]:
    """What one user does, on the days of a random part of the period."""
    person = {
        "userId": user,
        "level": chance.choice(LEVELS),
        "gender": chance.choice("FM"),
        "location": chance.choice(LOCATIONS),
        "userAgent": chance.choice(AGENTS),
        "auth": "Logged In",
        "firstName": "Zoë",
    }
    first = chance.randrange(DAY_COUNT)
    person["registration"] = registration(chance, first)
    if chance.random() < 0.1:
        person.pop(chance.choice(["level", "gender", "location", "userAgent", "registration"]))
    events: list[Fields] = []
    for day in active_days(chance, first):
        for _ in range(chance.choice([1, 1, 1, 2])):
            events += session(chance, person, day)
    if chance.random() < 0.08:
        # A life of one event.
        return events[:1]
    cancel(chance, events)
    return unambiguous(events)


def listener(chance: random.Random) -> list[Fields]:
    """One who hears so many artists and titles that a sketch has to estimate."""
    person = {"userId": "listener", "auth": "Logged In", "level": "paid", "gender": "F"}
    start = START_MS + 20 * DAY_MS
    return [
        event_on(chance, "NextSong", person, start + item * 200_000, 1, item)
        | {"artist": f"Artist {chance.randrange(2000)}", "song": f"Song {item}"}
        for item in range(2500)
    ]


def registration(chance: random.Random, first: int) -> int | None:
    """Before the log, on the day of the first event or around it, after it, or never."""
    day = chance.choice(
        [first - chance.randrange(400), first, first, first + chance.randrange(30), 0, -1, None]
    )
    if day is None:
        return None
    return START_MS + day * DAY_MS + chance.choice([0, DAY_MS - 1, chance.randrange(DAY_MS)])


def active_days(chance: random.Random, first: int) -> list[int]:
    """Days of a habit that changes: a user comes often or seldom, pauses, and comes back."""
    days, day = [], first
    often = chance.choice([0.2, 0.5, 0.9])
    while day < DAY_COUNT and chance.random() < 0.95:
        days.append(day)
        gap = 1 if chance.random() < often else chance.randrange(1, 6)
        day += chance.randrange(8, 45) if chance.random() < 0.06 else gap
    return days or [first]


def session(chance: random.Random, person: Fields, day: int) -> list[Fields]:
    """Events of one session; it may last past midnight, and others have its id too."""
    moment = START_MS + day * DAY_MS
    moment += chance.choice([0, chance.randrange(DAY_MS), DAY_MS - chance.randrange(1, HOUR_MS)])
    number = chance.randrange(1, 400)
    events = []
    for item in range(chance.choice([1, 1, 2, 4, 8, 16])):
        if moment >= START_MS + DAY_COUNT * DAY_MS:
            break
        change(chance, person)
        page = chance.choices([*PAGES], weights=[*PAGES.values()])[0]
        events.append(event_on(chance, page, person, moment, number, item))
        moment += step(chance, moment)
    return events


def step(chance: random.Random, moment: int) -> int:
    """No time at all, a few minutes, or up to the next midnight or to the moment before it."""
    midnight = DAY_MS - moment % DAY_MS
    return chance.choice([0, 1, *[chance.randrange(400_000)] * 6, midnight, midnight - 1])


def change(chance: random.Random, person: Fields) -> None:
    """Now and then something about a user is another than before, or not known any more."""
    for field, values, probability in (
        ("level", LEVELS, 0.02),
        ("gender", ("F", "M", None), 0.01),
        ("location", LOCATIONS, 0.01),
        ("userAgent", AGENTS, 0.02),
    ):
        if chance.random() < probability:
            person[field] = chance.choice(values)
    if chance.random() < 0.005:
        person["registration"] = registration(chance, chance.randrange(DAY_COUNT))


def event_on(
    chance: random.Random, page: str, person: Fields, moment: int, number: int, item: int
) -> Fields:
    event = person | {
        "ts": moment,
        "sessionId": number,
        "itemInSession": item,
        "page": page,
        "method": "PUT" if page == "NextSong" else "GET",
        "status": 404 if page == "Error" else 200,
    }
    if page == "NextSong":
        event["artist"] = text(chance)
        event["song"] = text(chance)
        event["length"] = round(chance.uniform(0.5, 600), 5)
    if page == "Submit Upgrade" and chance.random() < 0.8:
        person["level"] = "paid"
    if page == "Submit Downgrade" and chance.random() < 0.8:
        person["level"] = "free"
    return event


def text(chance: random.Random) -> str:
    return f"{chance.choice(TEXTS)}{chance.choice(['', chance.randrange(3000)])}"


def cancel(chance: random.Random, events: list[Fields]) -> None:
    """Some cancel, once or several times, at the end or before they come back."""
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2])):
        last = events[-1] if chance.random() < 0.6 else chance.choice(events)
        ts = last["ts"] + chance.choice([0, 1, 30_000, DAY_MS - last["ts"] % DAY_MS])
        if ts < START_MS + DAY_COUNT * DAY_MS:
            about = {"auth": "Cancelled", "method": "GET", "status": 200}
            item = last["itemInSession"] + 100
            for page in ("Cancel", "Cancellation Confirmation"):
                event = last | about | {"ts": ts, "page": page, "itemInSession": item}
                events.append(without_song(event))
                item += 1


def without_song(event: Fields) -> Fields:
    return {key: value for key, value in event.items() if key not in SONG_KEYS}


def unambiguous(events: list[Fields]) -> list[Fields]:
    """Without a second event of the same moment and position: which is the last is not defined."""
    return [*{(event["ts"], event["itemInSession"]): event for event in events}.values()]


def anonymous(chance: random.Random) -> Fields:
    """A row of nobody, perhaps outside the period of all others."""
    return {
        "ts": START_MS + chance.randrange(-10, DAY_COUNT + 10) * DAY_MS + chance.randrange(DAY_MS),
        "auth": chance.choice(["Logged Out", "Guest"]),
        "userId": chance.choice(["", "1261737", None]),
        "sessionId": chance.randrange(400),
        "itemInSession": 0,
        "page": chance.choice(["Home", "Login", "Cancellation Confirmation"]),
        "level": "free",
    }


# Rows as they are written: keys and values that are JSON already


def as_json(event: Fields) -> Written:
    return {key: json.dumps(value, ensure_ascii=False) for key, value in event.items()}


def as_object(row: Written) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in row.items()) + "}"


def spoiled(chance: random.Random, row: Written) -> Written:
    """One in six rows with a value or two that cannot be, one in fifty of another page's kind."""
    if chance.random() < 1 / 6:
        keys = [key for key in IMPOSSIBLE if key in row or chance.random() < 0.2]
        if row["page"] != '"NextSong"':
            keys = [key for key in keys if key not in SONG_KEYS]
        for key in chance.sample(keys, k=chance.choice([1, 1, 2])):
            row = row | {key: chance.choice(IMPOSSIBLE[key])}
    if chance.random() < 1 / 50 and row["page"] != '"NextSong"':
        row = row | {chance.choice(SONG_KEYS): chance.choice(['"NaN"', "200.5", '"a song"', "-1"])}
    return row


def rejected(chance: random.Random, row: Written) -> Written:
    """The row with one or two reasons to be rejected, of which the first counts."""
    wrong: dict[str, Callable[[], str]] = {
        "auth": lambda: chance.choice(['"Guest"', '"Logged Out"', '" Guest "']),
        "userId": lambda: chance.choice(NOTHING + NO_NAMES),
        "ts": lambda: chance.choice(['"soon"', "1538352117", "7258118400000", "-1", *NOTHING]),
        "page": lambda: chance.choice(NOTHING + NO_NAMES),
        "sessionId": lambda: chance.choice(NOTHING + NO_NAMES),
    }
    keys = chance.sample([*wrong], k=chance.choice([1, 1, 2]))
    row = row | {key: wrong[key]() for key in keys}
    # A key that is not there says as little as one without a value.
    gone = keys[0] if chance.random() < 0.2 and keys[0] != "auth" else None
    return {key: value for key, value in row.items() if key != gone}


def in_other_writing(chance: random.Random, row: Written) -> Written:
    """The same event: other types, blanks, case and order of keys, and keys that nobody reads."""
    other = {key: other_value(chance, key, value) for key, value in row.items()}
    keys = [*other]
    chance.shuffle(keys)
    written_as = {key: chance.choice([key] * 8 + [key.lower(), key.upper()]) for key in keys}
    unread = chance.choice([{}, {}, {"extra": '{"page": ["Home"]}'}, {"lastName": '"} {"'}])
    if written_as["page"] == "page":
        unread = unread | {"PAGE": '"Cancellation Confirmation"'}
    return unread | {written_as[key]: other[key] for key in keys}


def other_value(chance: random.Random, key: str, value: str) -> str:
    plain = json.loads(value)
    if key in ("userId", "sessionId", *WHOLE):
        if re.fullmatch("0|[1-9][0-9]*", str(plain)):
            # A fraction of a millisecond is cut off.
            fractions = [f"{plain}.7", f'"{plain}.25"'] if key == "ts" else []
            return chance.choice(numbers_like(str(plain)) + fractions)
        return value
    if isinstance(plain, str) and plain not in ("", "NaN"):
        case = {"level": str.upper, "gender": str.lower, "method": str.title}.get(key, str)
        # As spreadsheets and web pages leave it, where a blank too many would hide a churn.
        wide = ["\u00a0", "\u200b\ufeff"] if key in ("page", "auth", "level") else []
        before, behind = (
            chance.choice([*each, *wide]) for each in (["", " ", "\t", "\r\n"], ["", "  "])
        )
        padded = before + case(plain) + behind
        return json.dumps(padded)
    if key == "length" and isinstance(plain, float) and plain == plain:
        return chance.choice([value, f'"{value}"', f"{plain:.9f}", f'" {plain:.5f}E0 "'])
    return value


def numbers_like(digits: str) -> list[str]:
    """Whole numbers as other programs write them; from 2^53 on a float may be a neighbour's."""
    exponent = f"{digits[0]}.{digits[1:] or '0'}E{len(digits) - 1}"
    floats = [f"{digits}.0", f"{digits}.000", exponent]
    texts = [digits, *floats, f"{digits}.", f" {digits}\\n"]
    if int(digits) >= 2**53:
        texts.remove(exponent)
        floats = []
    return [digits, *floats, *(f'"{text}"' for text in texts)]


def together(chance: random.Random, objects: list[str]) -> list[str]:
    """Lines of one object, seldom of several: one after the other, with commas, or in an array."""
    lines = []
    chance.shuffle(objects)
    rest = iter(objects)
    while some := [*islice(rest, 1 if chance.random() < 0.95 else chance.randrange(2, 5))]:
        between = chance.choice(["", " ", ",", " , "])
        line = between.join(some)
        if len(some) > 1 and chance.random() < 0.3:
            line = f"[{', '.join(some)}]"
        lines.append(line + ("," if chance.random() < 0.02 else ""))
    return lines


# Files


def written(event: Fields) -> str:
    return json.dumps(event, ensure_ascii=False)


def in_files(chance: random.Random, lines: list[str]) -> dict[str, bytes]:
    """Shuffled over three files, so that any row comes late, and twins lie in different ones."""
    chance.shuffle(lines)
    third = len(lines) // 3
    return {
        "a.json": "\n".join(lines[:third]).encode(),
        "late/b.json": b"\xef\xbb\xbf" + "\r\n".join(lines[third : 2 * third]).encode() + b"\r\n",
        "late/c.json": "\n\n".join(lines[2 * third :]).encode() + b"\n",
    }
