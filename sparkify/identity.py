"""The ids of users as tables have them: those of the log, or keyed hashes of these."""

import hashlib
import hmac
import os
import re
from decimal import ROUND_HALF_UP, Context, Decimal

from ml.parsing import BLANKS

ERASED = "erased_users"

# What denotes a number, as in the macro `whole_number`.
NUMBER = re.compile(
    r"[+-]?(0|[1-9][0-9]*)(\.(0*|[0-9]{0,18})([eE][+-]?[0-9]{1,2})?|[eE][+-][0-9]{1,2})"
)
# Of a decimal(38, 18): its last place, and what it has no room for.
LAST, TOO_LARGE = Decimal("1e-18"), Decimal("1e20")


def user_key() -> str:
    """SPARKIFY_USER_KEY, or an empty text: then ids are those of the log."""
    return os.environ.get("SPARKIFY_USER_KEY", "")


def key_digest() -> str:
    """What tells one key from another without telling it; empty where there is none.

    The macro `user_key_digest` says the same.
    """
    key = user_key()
    return hashlib.sha256(f"digest of {key}".encode()).hexdigest()[:12] if key else ""


def cleaned_id(user: str) -> str:
    """An id of the log as staging reads it: " 36.0" is 36, and "+49" is itself.

    The macros `trimmed` and `whole_number` say the same.
    """
    text = user.strip(BLANKS)
    if not {".", "+"} & {*text} or not NUMBER.fullmatch(text):
        return text
    exact = Context(prec=len(text) + 200, rounding=ROUND_HALF_UP)
    number = Decimal(text).quantize(LAST, context=exact)
    if abs(number) >= TOO_LARGE or number % 1:
        return text
    return str(int(number))


def stored_id(user: str) -> str:
    """The id by which tables know a user of the log: HMAC-SHA-256 under the key, if there is one.

    The first 32 hexadecimal digits of it (RFC 2104). The macro `keyed_user` says the same.
    """
    key = user_key()
    if not key:
        return user
    return hmac.new(key.encode(), user.encode(), "sha256").hexdigest()[:32]
