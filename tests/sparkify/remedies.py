"""What a message names as its remedy, as it can be run."""

import re
import shlex

from click.testing import CliRunner, Result

from sparkify.cli import cli, given_options
from sparkify.failures import in_words


def ask(*arguments: str) -> Result:
    """What a command line gives."""
    return CliRunner().invoke(cli, arguments)


def output_of(*arguments: str) -> str:
    """What a command prints that has to pass."""
    done = ask(*arguments)
    assert done.exit_code == 0, (arguments, done.exception)
    return done.output


def refusal(*arguments: str) -> str:
    """The line that ends a command that has to be refused."""
    done = ask(*arguments)
    assert isinstance(done.exception, Exception), (arguments, done.output)
    return in_words(done.exception, **given_options(list(arguments)))


def named(message: str, **values: str) -> list[tuple[str, ...]]:
    """The commands that a message names, without `sparkify`; values: of words such as PATH."""
    found = re.findall(r"`sparkify (.*?)`", message)
    return [tuple(values.get(word, word) for word in shlex.split(each)) for each in found]
