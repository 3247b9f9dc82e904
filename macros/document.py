"""What dbt's documentation says of macros, from the comments that they begin with.

python macros/document.py    # writes macros/_macros.yml
"""

import re
import textwrap
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
TARGET = FOLDER / "_macros.yml"
HEAD = "# Written by document.py from the comments of the macros: change those.\n"
SIGNATURE = re.compile(r"{%-? macro (\w+)\(([^)]*)\)")
ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (.*?)(?=^\w+(?:, \w+)*: |\Z)", re.M | re.S)


def documented() -> str:
    """The YAML of all macros, in the order of their names."""
    files = sorted(FOLDER.rglob("*.sql"), key=lambda file: file.stem)
    found = [each for each in map(described, files) if each]
    return HEAD + yaml.safe_dump(
        {"version": 2, "macros": found}, sort_keys=False, allow_unicode=True, width=100
    )


def described(file: Path) -> dict | None:
    """A macro with its description and arguments; None of a file without one.

    Raises:
        KeyError: the comment does not tell of an argument.
    """
    text = file.read_text()
    signature = SIGNATURE.search(text)
    if signature is None:
        return None
    comment = textwrap.dedent(text[len("{#\n") : text.index("#}")])
    description, _, told = comment.partition("\nArguments:\n")
    meanings = {
        name: " ".join(meaning.split())
        for names, meaning in ARGUMENT.findall(textwrap.dedent(told))
        for name in names.split(", ")
    }
    names = re.findall(r"(\w+)(?:=[^,]*)?(?:, |$)", signature[2])
    return {
        "name": signature[1],
        # Without the examples, which dbt would take for Jinja of its own.
        "description": " ".join(
            " ".join(paragraph.split())
            for paragraph in description.split("\n\n")
            if not paragraph.startswith("    ")
        ),
        "arguments": [{"name": name, "description": meanings[name]} for name in names],
    }


if __name__ == "__main__":
    TARGET.write_text(documented())
