"""How values are read that a table holds as text: numbers, truth, labels and ids, in SQL.

Each function takes SQL for a value of any plain type and returns SQL, so that training, scoring and
the deployed pipeline's own SQLTransformer follow one rule. None depends on ANSI mode.
"""

# Beside the blank: what spreadsheets and web pages leave around a value.
BLANKS = (
    " \t\r\n\v\f\u0085\u00a0\u00ad\u1680\u180e\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x2010)))
)
# A leading zero makes a code: 02134 is a place, and as a number it would be another one's.
NUMBER = "^[+-]?((0|[1-9][0-9]*)([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$"
# Written like a number, though `NUMBER` does not read it: 1,234 or $5 or 02134 or 7 %.
LIKE_NUMBER = "^[-+$€£]{0,2} ?[0-9][0-9., ]*[$€£%]?$"
YES = ("yes", "y", "true", "t", "churned")
NO = ("no", "n", "false", "f", "stayed")
# What programs write where there is no value: in a column of numbers, or for an id.
MISSING = ("nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null")
# Below these a float has every whole number.
EXACT_BELOW = {"double": 2**53, "float": 2**24}
LABELS = "yes/no, y/n, true/false, t/f, 1/0 or churned/stayed, or blank where not observed yet"


def text(value: str) -> str:
    """The value as text without surrounding blanks."""
    return f"trim(both '{BLANKS}' from cast({value} as string))"


def is_given(value: str) -> str:
    """Whether there is a value at all: neither null, blank nor NaN, as floats are written."""
    return f"(coalesce({text(value)}, '') <> '' and lower({text(value)}) <> 'nan')"


def is_value(value: str) -> str:
    """Whether there is a value that is not a word for none, such as NA or None.

    Of a category these words may be values: a region may be called NA.
    """
    return f"(coalesce({text(value)}, '') <> '' and lower({text(value)}) not in {MISSING})"


def number(value: str) -> str:
    """The number that a text holds; null for blank and for whatever is not a finite number."""
    found = f"try_cast(regexp_extract({text(value)}, '{NUMBER}', 0) as double)"
    # Of 1e999 Java makes infinity.
    return f"nullif(nullif({found}, double('inf')), double('-inf'))"


def truth(value: str) -> str:
    """true/false or 1/0 as a boolean; null for anything else."""
    return (
        f"case when lower({text(value)}) = 'true' or {number(value)} = 1 then true "
        f"when lower({text(value)}) = 'false' or {number(value)} = 0 then false end"
    )


def is_date(value: str) -> str:
    """Whether a text is a date, or a time with its date, as 2024-12-31."""
    return (
        f"({text(value)} rlike '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}' "
        f"and try_cast({text(value)} as date) is not null)"
    )


def label(value: str) -> str:
    """1.0 for who churned, 0.0 for who stayed; null for blank and for what is neither."""
    return (
        f"case when lower({text(value)}) in {YES} or {number(value)} = 1 then 1D "
        f"when lower({text(value)}) in {NO} or {number(value)} = 0 then 0D end"
    )


def identity(value: str, *, kind: str) -> str:
    """An id as text without blanks around it: 17 for 17.0 and 17.00, null for NaN.

    `kind` is the column's Spark type.
    """
    if kind.startswith("decimal"):
        whole = f"cast(cast({value} as decimal(38, 0)) as string)"
        return f"if({value} % 1 = 0, {whole}, cast({value} as string))"
    if kind not in ("float", "double"):
        # A CSV file has 17.0 where ids were numbers and some were missing.
        return f"regexp_replace({text(value)}, '^(0|[1-9][0-9]*)[.]0+$', '$1')"
    return (
        f"case when {value} = rint({value}) and abs({value}) < 1e18 "
        f"then cast(cast({value} as bigint) as string) "
        f"when not isnan({value}) then cast({value} as string) end"
    )
