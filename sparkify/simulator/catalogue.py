"""The world every simulation shares: songs, people's names, cities, user agents. All invented."""

import json
import re
from dataclasses import dataclass
from functools import cache

import numpy as np

ARTISTS = 20_500
SONGS = 118_000
# Real track lengths are whole MP3 frames of 1,152 samples at 44.1 kHz.
FRAME_S = 1152 / 44_100

_WORDS = {
    "adjective": """
        Silver Broken Golden Quiet Electric Hollow Velvet Crimson Lonely Wild Paper Frozen Distant
        Midnight Burning Gentle Restless Northern Fading Neon Little Ancient Secret Drowning Copper
        Wandering Marble Bitter Honest Scarlet Violet Sleepy Rusty Lucky Hidden Glass Plastic Royal
        Savage Tender Foreign Modern Sacred Holy Empty Seven Dusty Cosmic Infinite Stolen
    """,
    "noun": """
        River Harbor Lantern Engine Sparrow Mountain Mirror Garden Winter Machine Orchard Satellite
        Wolf Bridge Ocean Letter Candle Highway Shadow Station Compass Tiger Anchor Whisper Cinema
        Meadow Thunder Carousel Island Raven Window Horizon Pilot Ember Canyon Sister Soldier Clock
        Feather Kingdom Ghost Diamond Cathedral Parade Circus Arrow Desert Moon Factory Echo
    """,
    "verb": """
        Leaving Chasing Losing Finding Remembering Following Dreaming Holding Breaking Calling
        Burning Forgetting Watching Counting Crossing
    """,
    "accented": """
        Zoë Björn Señor Håkan Müller Renée Núñez Ångström Chloé Jörg Mañana Façade Café
    """,
    "F": """
        Emma Olivia Sophia Isabella Ava Mia Emily Abigail Madison Chloe Ella Avery Addison Aubrey
        Lily Natalie Sofia Zoey Hannah Grace Layla Brooklyn Samantha Leah Audrey Anna Allison
        Savannah Gabriella Camila Aria Claire Lucy Kaylee Riley Nora Skylar Paisley Bella Maya
        Kennedy Genesis Naomi Alice Sadie Hailey Eva Ruby Autumn Piper Stella Violet Molly Jade
    """,
    "M": """
        Jacob Mason William Jayden Noah Michael Ethan Alexander Aiden Daniel Anthony Matthew Elijah
        Joshua Liam Andrew James David Benjamin Logan Joseph Jackson Lucas Samuel Gabriel Dylan Owen
        Caleb Nathan Ryan Luke Isaac Henry Wyatt Evan Hunter Jordan Carter Julian Aaron Eli Landon
        Brayden Connor Adrian Charles Tyler Austin Jose Kevin Levi Cole Oliver Max Colin
    """,
    "family": """
        Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez
        Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris
        Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill
        Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips
        Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook
        Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward
        Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez
        Castillo Sanders
    """,
}
_LISTS = {name: words.split() for name, words in _WORDS.items()}
FIRST_NAMES = {gender: _LISTS[gender] for gender in "FM"}
LAST_NAMES = _LISTS["family"]
_VERSIONS = (
    "(Album Version)",
    "(Live)",
    "(LP Version)",
    "(Remastered)",
    "(Radio Edit)",
    "(Acoustic)",
)
# Metropolitan areas, the largest first: the n-th is drawn with weight 1 / (n + 5).
LOCATIONS = tuple(
    """New York-Newark-Jersey City, NY-NJ-PA|Los Angeles-Long Beach-Anaheim, CA|
Chicago-Naperville-Elgin, IL-IN-WI|Dallas-Fort Worth-Arlington, TX|
Houston-The Woodlands-Sugar Land, TX|Philadelphia-Camden-Wilmington, PA-NJ-DE-MD|
Washington-Arlington-Alexandria, DC-VA-MD-WV|Miami-Fort Lauderdale-West Palm Beach, FL|
Atlanta-Sandy Springs-Roswell, GA|Boston-Cambridge-Newton, MA-NH|
San Francisco-Oakland-Hayward, CA|Phoenix-Mesa-Scottsdale, AZ|
Riverside-San Bernardino-Ontario, CA|Detroit-Warren-Dearborn, MI|Seattle-Tacoma-Bellevue, WA|
Minneapolis-St. Paul-Bloomington, MN-WI|San Diego-Carlsbad, CA|
Tampa-St. Petersburg-Clearwater, FL|St. Louis, MO-IL|Baltimore-Columbia-Towson, MD|
Denver-Aurora-Lakewood, CO|Charlotte-Concord-Gastonia, NC-SC|Pittsburgh, PA|
Portland-Vancouver-Hillsboro, OR-WA|San Antonio-New Braunfels, TX|Orlando-Kissimmee-Sanford, FL|
Sacramento--Roseville--Arden-Arcade, CA|Cincinnati, OH-KY-IN|Cleveland-Elyria, OH|
Kansas City, MO-KS|Las Vegas-Henderson-Paradise, NV|Columbus, OH|
Indianapolis-Carmel-Anderson, IN|San Jose-Sunnyvale-Santa Clara, CA|Austin-Round Rock, TX|
Nashville-Davidson--Murfreesboro--Franklin, TN|Virginia Beach-Norfolk-Newport News, VA-NC|
Providence-Warwick, RI-MA|Milwaukee-Waukesha-West Allis, WI|Jacksonville, FL|
Oklahoma City, OK|Memphis, TN-MS-AR|Louisville/Jefferson County, KY-IN|Raleigh, NC|Richmond, VA|
New Orleans-Metairie, LA|Hartford-West Hartford-East Hartford, CT|Salt Lake City, UT|
Birmingham-Hoover, AL|Buffalo-Cheektowaga-Niagara Falls, NY|Rochester, NY|
Grand Rapids-Wyoming, MI|Tucson, AZ|Tulsa, OK|Fresno, CA|Bridgeport-Stamford-Norwalk, CT|
Worcester, MA-CT|Omaha-Council Bluffs, NE-IA|Albuquerque, NM|Bakersfield, CA|
Albany-Schenectady-Troy, NY|Knoxville, TN|Greenville-Anderson-Mauldin, SC|
Oxnard-Thousand Oaks-Ventura, CA|El Paso, TX|McAllen-Edinburg-Mission, TX|Baton Rouge, LA|
Dayton, OH|Columbia, SC|Allentown-Bethlehem-Easton, PA-NJ|
North Port-Sarasota-Bradenton, FL|Charleston-North Charleston, SC|
Greensboro-High Point, NC|Little Rock-North Little Rock-Conway, AR|Stockton-Lodi, CA|
Cape Coral-Fort Myers, FL|Akron, OH|Boise City, ID|Colorado Springs, CO|Syracuse, NY|
Winston-Salem, NC|Lakeland-Winter Haven, FL|Wichita, KS|Madison, WI|Ogden-Clearfield, UT|
Des Moines-West Des Moines, IA|Toledo, OH|Augusta-Richmond County, GA-SC|Provo-Orem, UT|
Jackson, MS|Harrisburg-Carlisle, PA|Durham-Chapel Hill, NC|Spokane-Spokane Valley, WA|
Scranton--Wilkes-Barre--Hazleton, PA|Chattanooga, TN-GA|Modesto, CA|Lancaster, PA|
Portland-South Portland, ME|Fayetteville-Springdale-Rogers, AR-MO|Youngstown-Warren-Boardman, OH-PA|
Santa Rosa, CA|Lansing-East Lansing, MI|Lexington-Fayette, KY|Pensacola-Ferry Pass-Brent, FL|
Huntsville, AL|Reno, NV|Fort Wayne, IN|Mobile, AL|Asheville, NC|Corpus Christi, TX|
Tallahassee, FL|Anchorage, AK|Eugene, OR|Billings, MT|Rapid City, SD|Laredo, TX""".replace(
        "\n", ""
    ).split("|")
)
# Real logs write agents that contain a comma inside a second pair of quotes.
USER_AGENTS = tuple(
    f'"{agent}"' if "," in agent else agent
    for agent in (
        *(
            f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome} "
            "Safari/537.36"
            for chrome in ("36.0.1985.143", "36.0.1985.125", "37.0.2062.103")
            for system in (
                "Windows NT 6.1; WOW64",
                "Macintosh; Intel Mac OS X 10_9_4",
                "Windows NT 6.3; WOW64",
                "Macintosh; Intel Mac OS X 10_7_5",
                "X11; Linux x86_64",
                "Windows NT 5.1",
            )
        ),
        *(
            f"Mozilla/5.0 ({system}; rv:31.0) Gecko/20100101 Firefox/31.0"
            for system in (
                "Windows NT 6.1; WOW64",
                "Macintosh; Intel Mac OS X 10.9",
                "X11; Ubuntu; Linux x86_64",
                "Windows NT 6.3; WOW64",
            )
        ),
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.77.4 (KHTML, like Gecko) "
        "Version/7.0.5 Safari/537.77.4",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like "
        "Gecko) Version/7.0 Mobile/11D257 Safari/9537.53",
        "Mozilla/5.0 (iPad; CPU OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) "
        "Version/7.0 Mobile/11D257 Safari/9537.53",
        "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; WOW64; Trident/5.0)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    )
)


@dataclass(frozen=True)
class Songs:
    """Every song: how likely it is played, how long it lasts, how it is written."""

    cumulative: np.ndarray  # float64, the distribution function over songs
    length_s: np.ndarray  # float64, seconds with five decimals
    json_tails: np.ndarray  # objects: `,"artist":…,"song":…,"length":…}`


@cache
def songs() -> Songs:
    """Build the catalogue; the same in every process, whatever the seed of the simulation."""
    rng = np.random.default_rng(20181001)
    artist_weight = 1 / (np.arange(ARTISTS) + 12.0) ** 0.97
    per_artist = 1 + rng.multinomial(SONGS - ARTISTS, _share(artist_weight**0.5))
    artist = np.repeat(np.arange(ARTISTS), per_artist)
    rank = np.arange(SONGS) - np.repeat(np.cumsum(per_artist) - per_artist, per_artist)
    within = 1 / (rank + 1.0) ** 1.15
    weight = artist_weight[artist] * within / np.bincount(artist, within)[artist]
    length = np.clip(np.exp(rng.normal(np.log(234), 0.27, SONGS)), 25, 1400)
    odd = rng.random(SONGS) < 0.03
    length[odd] = np.clip(np.exp(rng.normal(np.log(330), 0.8, odd.sum())), 1, 3000)
    length = np.round(np.round(length / FRAME_S) * FRAME_S, 5)
    artists = [as_json(name) for name in _artists(rng)]
    tails = [
        f',"artist":{artists[a]},"song":"{title}","length":{seconds}}}'
        for a, title, seconds in zip(artist.tolist(), _titles(rng), length.tolist(), strict=True)
    ]
    return Songs(np.cumsum(_share(weight)), length, np.array(tails, dtype=object))


def as_json(text: str) -> str:
    """Quote as the real files do: UTF-8 kept, C1 control characters escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _share(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum()


def _words(rng: np.random.Generator, words: list[str], count: int) -> list[str]:
    return [words[i] for i in rng.integers(len(words), size=count).tolist()]


def _artists(rng: np.random.Generator) -> list[str]:
    """Distinct names; one in thirty-odd went through Latin-1 twice on its way into the log."""
    first = FIRST_NAMES["F"] + FIRST_NAMES["M"]
    adjectives, nouns = _LISTS["adjective"], _LISTS["noun"]
    columns = [
        _words(rng, words, ARTISTS)
        for words in (adjectives, nouns, nouns, first, LAST_NAMES, _LISTS["accented"])
    ]
    names: dict[str, None] = {}
    kinds = rng.choice(6, size=ARTISTS, p=[0.03, 0.3, 0.27, 0.16, 0.12, 0.12]).tolist()
    for kind, adjective, noun, other, given, family, accented in zip(kinds, *columns, strict=True):
        name = (
            f"{accented} {family}",
            f"{given} {family}",
            f"The {adjective} {noun}s",
            f"{adjective} {noun}",
            f"{family} & The {noun}s",
            f"{noun} {other} / {family}",
        )[kind]
        if name in names:
            name = f"{name} {adjective if kind != 2 else other}"
        if kind == 0:
            name = name.encode().decode("latin-1").encode().decode("latin-1")
        names[name if name not in names else f"{name} {len(names)}"] = None
    return list(names)


def _titles(rng: np.random.Generator) -> list[str]:
    columns = [_words(rng, _LISTS[name], SONGS) for name in ("adjective", "noun", "noun", "verb")]
    kinds = rng.choice(4, size=SONGS, p=[0.1, 0.05, 0.6, 0.25]).tolist()
    versions = [""] * (4 * len(_VERSIONS)) + [f" {version}" for version in _VERSIONS]
    endings = _words(rng, versions, SONGS)
    return [
        (
            f"{adjective} {noun}",
            f"{verb} The {noun}",
            f"{noun} Of The {adjective} {other}",
            f"{verb} {other} {noun}",
        )[kind]
        + ending
        for kind, ending, adjective, noun, other, verb in zip(kinds, endings, *columns, strict=True)
    ]
