"""Numbers, sums and counted nouns as people read them, and lists as they write them."""

import csv
import math
from decimal import ROUND_HALF_UP, Decimal


def number(value: float) -> str:
    """A count, its thousands apart: 12,345."""
    return f"{value:,.0f}"


def digits(value: float, count: int) -> str:
    """A number with so many digits that say something, and never a power of ten: 0.00004."""
    return f"{Decimal(f'{value:.{count}g}'):,f}"


def rounded(value: float, decimals: int) -> str:
    """A number with so many decimals; a tie is rounded up, as the charts do in a browser."""
    return f"{Decimal(float(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP) + 0:,}"


def percentage(share: float) -> str:
    """A share in a column, with one decimal, or more where they say something: 4.3%, 99.97%."""
    shown = f"{share:.1%}"
    if shown == "0.0%" and share > 0:
        return f"{digits(100 * share, 1)}%"
    if shown == "100.0%" and share < 1:
        return f"{nearly_all(share)}%"
    return shown


def nearly_all(share: float) -> str:
    """A share just below 1 as a percentage whose last digit tells what is left: 99.6, 99.97."""
    left = max(100 * (1 - share), 1e-6)
    decimals = -math.floor(math.log10(float(f"{left:.1g}")))
    return f"{100 - left:.{max(1, decimals)}f}"


def plural(count: float, one: str, many: str = "") -> str:
    """A count and its noun: 1 user, 2 users; `many` where more of them are not called by an s."""
    return f"{number(count)} {noun(count, one, many)}"


def noun(count: float, one: str, many: str = "") -> str:
    """What so many are called, or do: user, users; is, are."""
    return one if count == 1 else many or f"{one}s"


def money(value: float, currency: str) -> str:
    """A sum in whole units, or with cents below ten."""
    return f"{value:,.2f} {currency}" if abs(value) < 10 else f"{value:,.0f} {currency}"


def split(names: str) -> list[str]:
    """Names with commas between; a name with a comma in it stands in double quotes."""
    found = next(csv.reader([names.replace("\n", " ")], skipinitialspace=True), [])
    return [name.strip() for name in found if name.strip()]


def share_in_words(user_share: float) -> str:
    """Which part of the users of the log the tables hold; nothing to say of all of them."""
    return f"{digits(100 * user_share, 4)} % of the users of the log" if user_share < 1 else ""
