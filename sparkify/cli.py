"""The `sparkify` command: its arguments, and how it ends; `sparkify.commands` does the work."""

import io
import json
import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from sparkify.delta import WITHOUT_DELTA, has_jars
from sparkify.errors import WrongUse
from sparkify.failures import exit_code, in_words
from sparkify.formatting import plural, split
from sparkify.interrupt import leave, leave_on_signals
from sparkify.remote import has_remote, say_goodbye
from sparkify.settings import Settings, read_vars
from sparkify.terminal import emit, quietly, visible, warn
from sparkify.vars import check_vars

FOLDER = click.Path(path_type=Path)
# A file to write, refused before anything is read for it.
WRITTEN = {"type": FOLDER, "callback": lambda *given: writable(given[2])}
AT_LEAST_1, PORT = click.IntRange(min=1), click.IntRange(1, 65_535)
# What Spark and scikit-learn both take.
SEED = click.IntRange(0, 2**31 - 1)
NAME = click.option(
    "--name",
    callback=lambda *given: model_name(given[2]),
    help="Name of the model in the registry.",
)
USERS = click.option(
    "--users", type=AT_LEAST_1, default=225, show_default=True, help="Users to simulate."
)
USER_SHARE = click.option(
    "--user-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Keep this share of the users only, such as 0.1; a larger share has the same ones too.",
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print errors and warnings only.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the summary alone, as JSON.")


class Careful(click.Command):
    """A command that takes no empty text, such as an unset variable of a shell leaves.

    Nor an option twice, of which click would take the last without a word.
    """

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        *_, given = self.make_parser(context).parse_args([*args])
        for each in set(given):
            takes_one = isinstance(each, click.Option) and not (each.is_flag or each.multiple)
            if takes_one and given.count(each) > 1 and not context.resilient_parsing:
                raise click.BadParameter("it is given twice; give it once", context, each)
        rest = super().parse_args(context, args)
        for parameter in self.params:
            given = context.params.get(parameter.name)
            if isinstance(given, str) and not given.strip() and parameter.default != "":
                raise click.BadParameter(
                    "it is empty; give a value, or leave it out", context, parameter
                )
        return rest


class InOrderOfUse(Careful, click.Group):
    """A group whose help lists the commands as they are written down, not by name."""

    command_class, group_class = Careful, type

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


class Learners(click.Option):
    """An option that lists the learners once it has to, for to import them takes seconds."""

    def get_help_record(self, context: click.Context) -> tuple[str, str]:
        from ml.tuning import FAST, LEARNERS

        others = ", ".join(name for name in LEARNERS if name not in FAST)
        known = f"{', '.join(FAST)} (these without the option), {others}"
        self.help = f"Learners, with commas between: {known}."
        return super().get_help_record(context)

    def process_value(self, context: click.Context, value: str) -> tuple[str, ...]:
        if not (given := super().process_value(context, value)):
            return ()
        from ml.options import TrainOptions

        try:
            return TrainOptions(models=tuple(split(given))).models
        except ValueError as error:
            raise WrongUse(str(error)) from error


@click.group(
    cls=InOrderOfUse,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--target", help="Output of profiles.yml: local (default), parquet or thrift.")
@click.option(
    "--vars",
    "overrides",
    metavar="YAML",
    default="",
    help="Definitions for this call, such as '{horizon_days: 7}'; dbt_project.yml has them all.",
)
@click.version_option(package_name="sparkify-churn")
@click.pass_context
def cli(context: click.Context, debug: bool, target: str | None, overrides: str) -> None:
    """From raw events to a scored list of users who are about to cancel."""
    settings = Settings.from_environment(target=target, overrides=read_vars(overrides))
    settings.check()
    is_chosen = target or "SPARKIFY_TARGET" in os.environ
    may_fall_back = not (is_chosen or settings.metastore_url or settings.warehouse)
    if may_fall_back and context.invoked_subcommand != "setup" and not has_jars(settings.jars):
        settings = replace(settings, target="parquet")
        warn(f"no Delta Lake jars in {settings.jars}: {WITHOUT_DELTA}")
    check_vars(settings)
    context.obj = settings


@cli.command(epilog="Example: sparkify run --events logs/")
@click.option("--events", help="File or folder of JSON lines or Parquet; simulated without.")
@USERS
@click.option("--seed", type=SEED, default=42, show_default=True, help="Seed of the simulation.")
@USER_SHARE
@QUIET
@AS_JSON
@click.pass_obj
def run(
    settings: Settings,
    events: str | None,
    users: int,
    seed: int,
    user_share: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Simulate or read, build, check, train, score, report."""
    check_events(events)
    from sparkify.commands.run import run_all

    settings = with_share(settings, user_share)
    with quietly(quiet or as_json):
        found = run_all(settings, events=events, users=users, seed=seed)
    if as_json:
        emit_json(found)


@cli.command(epilog="Example: sparkify build --events logs/")
@click.option("--events", required=True, help="File or folder of JSON lines or Parquet.")
@click.option("--full-refresh", is_flag=True, help="Make every table anew, changed or not.")
@USER_SHARE
@QUIET
@AS_JSON
@click.pass_obj
def build(
    settings: Settings,
    events: str,
    full_refresh: bool,
    user_share: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build and test every table, and check the expectations."""
    check_events(events)
    from sparkify.commands.build import build_command

    settings = with_share(settings, user_share)
    with quietly(quiet or as_json):
        found = build_command(settings, events, full_refresh=full_refresh)
    if as_json:
        emit_json(found)


@cli.command(epilog="Example: sparkify status")
@click.pass_obj
def status(settings: Settings) -> None:
    """Say whether to train again, why, and what changed."""
    from sparkify.commands.status import show_status

    show_status(settings)


@cli.command(epilog="Example: sparkify targets --top 20 --csv contact.csv")
@click.option("--top", type=AT_LEAST_1, help="Users at most; else a file or --everybody has all.")
@click.option("--everybody", is_flag=True, help="Also those whom an offer does not pay for.")
@click.option("--csv", "out", **WRITTEN, help="CSV file to write them to.")
@click.pass_obj
def targets(settings: Settings, top: int | None, everybody: bool, out: Path | None) -> None:
    """List whom to contact, who brings most first, and why."""
    from sparkify.commands.targets import list_targets

    list_targets(settings, top=top, everybody=everybody, out=out)


@cli.command(epilog="Example: sparkify explain --user 36")
@click.option("--user", required=True, help="The user, as the log names it.")
@click.pass_obj
def explain(settings: Settings, user: str) -> None:
    """Say what raises and what lowers the score of a user."""
    from sparkify.commands.explain import explain_user

    explain_user(settings, user)


@cli.command(epilog="Example: sparkify report")
@click.pass_obj
def report(settings: Settings) -> None:
    """Write the retention team's page, and execute the notebook."""
    from sparkify.commands.report import write_report

    write_report(settings)


@cli.command(epilog="Example: sparkify tables fct_user_days")
@click.argument("name", required=False)
@click.pass_obj
def tables(settings: Settings, name: str | None) -> None:
    """List the marts, their grain and rows; or one's columns."""
    from sparkify.commands.tables import show_columns, show_tables

    if name:
        show_columns(settings, name)
    else:
        show_tables(settings)


@cli.command(
    epilog="Example: sparkify sql 'select * from sparkify.dim_users limit 5'",
    # A query may begin with a comment, which is no option.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("query")
@click.option("--format", "style", type=click.Choice(["table", "csv", "json"]), default="table")
@click.option("--write", is_flag=True, help="Let a statement change the tables.")
@click.pass_obj
def sql(settings: Settings, query: str, style: str, write: bool) -> None:
    """Print the result of a query on the tables."""
    from sparkify.commands.sql import run_query

    run_query(settings, query, style=style, write=write)


@cli.command(epilog="Example: sparkify checks")
@click.pass_obj
def checks(settings: Settings) -> None:
    """Show how the checks stand, and what the last run changed."""
    from sparkify.commands.checks import checks_command

    checks_command(settings)


@cli.command(
    epilog="Example: sparkify train --models logistic_regression,random_forest --origins 5"
)
@click.option(
    "--table",
    "--parquet",
    metavar="PATH_OR_NAME",
    help="A table of your own, instead of the snapshots: Parquet, CSV, Delta or schema.table.",
)
@click.option("--id", "id_column", help="Its column that names the user.")
@click.option(
    "--label",
    help="Its column that says who churned: yes/no, true/false or 1/0; blank if not yet known.",
)
@click.option(
    "--time",
    help="Its column with the date a row is as of, if it has one: a date, or text as 2024-12-31.",
)
@click.option("--allow", default="", help="Columns that separate the label and are no leak.")
@click.option(
    "--horizon-days",
    type=click.IntRange(1, 36_500),
    help="Days its label looks ahead; without, 14 where there is --time.",
)
@click.option("--to-score", metavar="PATH_OR_NAME", help="The rows to be scored, held against it.")
@click.option("--exposure", metavar="COLUMN", help="Its column of how long a row was observed.")
@click.option(
    "--min-exposure",
    type=click.FloatRange(min=0),
    help="Rows observed for less are not learned from.",
)
@click.option(
    "--feature-version",
    type=click.IntRange(min=0),
    help="Delta version of the snapshots to learn from.",
)
@click.option("--exclude", default="", help="Columns never to learn from, with commas between.")
@click.option(
    "--stable-only",
    is_flag=True,
    help="Leave out columns that tell the rows to score from those learned from.",
)
@click.option("--models", default="", cls=Learners)
@click.option(
    "--origins", type=AT_LEAST_1, default=3, show_default=True, help="Past dates to predict."
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@NAME
@click.pass_obj
def train(settings: Settings, **arguments) -> None:
    """Backtest, tune, stack and register a model."""
    from sparkify.commands.train import train_command

    train_command(settings, **arguments)


@cli.command(epilog="Example: sparkify score --table new.parquet --id customer --out scores.csv")
@click.option(
    "--table",
    "--parquet",
    metavar="PATH_OR_NAME",
    help="A table of your own, instead of the active users: Parquet, CSV, Delta or schema.table.",
)
@click.option("--id", "id_column", help="Its column that names the user.")
@click.option("--time", help="Its column with the date a row is as of, if a user has several rows.")
@click.option("--out", **WRITTEN, help="CSV file to write its scores to.")
@NAME
@click.pass_obj
def score(settings: Settings, **arguments) -> None:
    """Score users with the champion."""
    from sparkify.commands.score import score_command

    score_command(settings, **arguments)


@cli.group(invoke_without_command=True, epilog="Example: sparkify models promote 3")
@NAME
@click.pass_context
def models(context: click.Context, name: str | None) -> None:
    """List the registered versions; promote one, or roll back."""
    from sparkify.commands.models import list_models

    settings, name = context.obj, name or context.obj.model
    context.obj = (settings, name)
    if context.invoked_subcommand is None:
        list_models(settings, name=name)


@models.command()
@click.argument("version", type=int)
@click.pass_obj
def promote(chosen: tuple[Settings, str], version: int) -> None:
    """Make a version champion."""
    from sparkify.commands.models import promote as promote_version

    promote_version(chosen[0], version, name=chosen[1])


@models.command()
@click.argument("version", type=int, required=False)
@click.pass_obj
def card(chosen: tuple[Settings, str], version: int | None) -> None:
    """Write the model card of a version as HTML; of the champion without one."""
    from sparkify.commands.models import write_card

    write_card(chosen[0], version, name=chosen[1])


@models.command()
@click.pass_obj
def rollback(chosen: tuple[Settings, str]) -> None:
    """Make the previous champion champion again."""
    from sparkify.commands.models import roll_back

    roll_back(chosen[0], name=chosen[1])


@cli.command(epilog="Example: sparkify evaluate --protocol leaky")
@click.option("--protocol", type=click.Choice(["leaky", "honest"]), default="honest")
@click.pass_obj
def evaluate(settings: Settings, protocol: str) -> None:
    """Show the last backtest; leaky: beside the public way.

    Most public solutions learn from whole histories, the end included, and split users at random.
    """
    from sparkify.commands.evaluate import evaluate as run_evaluation

    run_evaluation(settings, protocol=protocol)


@cli.command(epilog="Example: sparkify simulate --users 1000 --out log")
@USERS
@click.option("--seed", type=SEED, default=42, show_default=True)
@click.option(
    "--world",
    type=click.Choice(["usual", "abrupt", "price_rise", "seasonal", "new_users", "no_signal"]),
    default="usual",
    show_default=True,
    help="Why users cancel.",
)
@click.option(
    "--out", required=True, type=FOLDER, help="Folder; an earlier simulation there is replaced."
)
@click.pass_obj
def simulate(settings: Settings, users: int, seed: int, world: str, out: Path) -> None:
    """Write a log of events, and the truth beside it."""
    from sparkify.commands.simulate import simulate_log

    simulate_log(settings, users=users, seed=seed, world=world, out=out)


@cli.command(epilog="Example: sparkify serve --thrift-port 10001")
@click.option(
    "--thrift-port", type=PORT, default=10000, show_default=True, help="For dbt and JDBC."
)
@click.option(
    "--connect-port", type=PORT, default=15002, show_default=True, help="For Spark Connect."
)
@click.option(
    "--open", "is_open", is_flag=True, help="Ask for no token: any user of this machine is let in."
)
@click.option(
    "--allow-programs",
    "allows_programs",
    is_flag=True,
    help="Let SQL run programs.",
)
@click.option(
    "--check", is_flag=True, help="Look whether a server answers and takes its tokens alone."
)
@click.pass_obj
def serve(
    settings: Settings, thrift_port: int, connect_port: int, check: bool, **allowed: bool
) -> None:
    """Serve the tables to several people, on loopback, behind tokens."""
    from sparkify.commands.serve import check_server
    from sparkify.commands.serve import serve as run_server

    if thrift_port == connect_port:
        raise WrongUse(f"--thrift-port and --connect-port are both {thrift_port}: choose two")
    ports = {"thrift_port": thrift_port, "connect_port": connect_port}
    if check:
        check_server(settings, **ports)
    else:
        sys.exit(run_server(settings, **ports, **allowed))


@cli.command(epilog="Example: sparkify maintain --keep-days 30")
@click.option(
    "--keep-days",
    type=click.IntRange(0, 90),
    default=7,
    show_default=True,
    help="Days for which what was current stays readable, at most 90.",
)
@click.pass_obj
def maintain(settings: Settings, keep_days: int) -> None:
    """Compact small files and delete old versions.

    Those that registered models learned from are kept.
    """
    from sparkify.commands.maintain import maintain as run_maintenance

    run_maintenance(settings, keep_days=keep_days)


@cli.command(epilog="Example: sparkify erase --user 36")
@click.option("--user", required=True, help="The user, as the log names it.")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@click.option("--anyway", is_flag=True, help="Also one whom no row of now names.")
@click.pass_obj
def erase(settings: Settings, user: str, yes: bool, anyway: bool) -> None:
    """Erase a user from all tables and files, for good.

    The user's rows in old files of the log stay out of every later build. These files, and what
    was written elsewhere than in SPARKIFY_HOME, are left as they are.
    """
    from sparkify.commands.erase import erase as run_erasure

    run_erasure(settings, user, is_confirmed=yes, is_known=not anyway)


@cli.command(epilog="Example: sparkify setup --with s3")
@click.option("--with", "more", type=click.Choice(["s3"]), help="Also those for a warehouse there.")
@click.option(
    "--fast-start",
    is_flag=True,
    help="Keep the classes of Spark in an archive too, from which it starts faster.",
)
@click.pass_obj
def setup(settings: Settings, more: str | None, fast_start: bool) -> None:
    """Fetch the Delta Lake jars into the environment.

    Without them runs go to plain Parquet tables. With SPARKIFY_METASTORE_URL set, also fetch the
    driver of PostgreSQL and make the tables of the metastore, where they are missing.
    """
    from sparkify.commands.setup import set_up

    set_up(settings, has_s3=more == "s3", fast_start=fast_start)


def emit_json(found: dict) -> None:
    """Print a summary for a program; JSON has no NaN, so it is null."""
    from sparkify.cells import plain

    emit(json.dumps(plain(found)) + "\n")


def with_share(settings: Settings, user_share: float | None) -> Settings:
    """The settings of a call that keeps a share of the users, which is the var `user_share`."""
    if user_share is None:
        return settings
    if user_share != user_share:  # only NaN is not itself, and no range refuses it
        raise click.BadParameter("nan is no share; give a number from 0 to 1")
    return replace(settings, overrides={**settings.overrides, "user_share": user_share})


def model_name(given: str | None) -> str | None:
    """A name that the registry takes; it would refuse another one once the model is trained."""
    if given and set(given) & set("/:'"):
        raise click.BadParameter(f"{given!r} has a slash, a colon or a quote; choose another name")
    # To MLflow the first two are folders, and the last has its files in the working folder.
    if given in (".", "..", "Default"):
        raise click.BadParameter(f"{given!r} is a name of MLflow's own; choose another name")
    return given


def writable(out: Path | None) -> Path | None:
    """A file that can be made."""
    if out is not None:
        from sparkify.spreadsheet import check_writable

        check_writable(out)
    return out


def check_events(given: str | None) -> None:
    """Refuse events that are not there before anything is imported that takes seconds."""
    if given:
        from sparkify.events import find_files, local_path

        if (path := local_path(given)) and (passed := find_files(path).passed_over):
            names = ", ".join(file.name for file in passed[:3]) + (" …" if len(passed) > 3 else "")
            # Nothing is missing without a word, whatever else is not said.
            warn(
                f"Not read: {plural(len(passed), 'file')} with a name, or in a folder, that begins "
                f"with . or _ ({names})"
            )


def main() -> None:
    """Run the command; an error is one line, with an exit code of its own."""
    leave_on_signals()
    # A log on a full disk cannot be written: that is told in one line, not in one a message.
    logging.raiseExceptions = False
    # What an encoding such as Latin-1 has no letter for is shown as an escape.
    sys.stdout.reconfigure(errors="backslashreplace")
    code = run_command()
    if has_remote():
        say_goodbye()
        with suppress(OSError):  # whoever read the output may have left
            sys.stdout.flush()
        # Past what pyspark would do at the interpreter's end: see `say_goodbye`.
        os._exit(code)
    sys.exit(code)


def run_command() -> int:
    """Run what the arguments ask for; return the exit code."""
    try:
        return cli.main(standalone_mode=False) or 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        said = io.StringIO()
        wrong.show(file=said)
        click.echo(visible(said.getvalue(), keep="\n"), err=True, nl=False)
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        leave(signal.SIGINT)
    except SystemExit as done:
        # As a shell has it for who reads no further, such as `head`; click and rich say 1.
        return 141 if isinstance(done.__context__, BrokenPipeError) else done.code
    # Spark, dbt and file systems raise what they like; here ends every command, so whatever it is
    # becomes one line and an exit code, and --debug shows where it came from.
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            traceback.print_exc()
        else:
            warn(f"error: {in_words(error, **given_options(sys.argv[1:]))}")
        return exit_code(error)


def given_options(arguments: list[str]) -> dict[str, str]:
    """What stands before the command and has a part in what an error says."""
    given, *_ = cli.make_parser(click.Context(cli)).parse_args(arguments)
    return {name: given[name] for name in ("target", "overrides") if given.get(name)}
