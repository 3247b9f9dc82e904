"""Whether the vars of a call can be, as the project's own macro says: Jinja alone, without dbt."""

import json
import re
from collections.abc import Callable
from types import SimpleNamespace

from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment

from sparkify.errors import BadInput
from sparkify.settings import PROJECT, Settings

# What `check_vars` calls, and what these call.
MACROS = ("check_vars", "customer_value", "is_of_kind", "kinds_of_vars", "wrong_values")
# Under which a macro calls none but what catches what it returns.
PREFIX = "macro__"


class Returned(Exception):
    """What ends a macro where it returns a value, as dbt has it."""


def check_vars(settings: Settings) -> None:
    """Refuse vars as a run would; to import dbt and parse the project would take seconds.

    Those that dbt_project.yml names are among them.

    Raises:
        BadInput: one cannot be, is missing, or contradicts another.
    """

    def var(name: str) -> object:
        if name not in settings.variables:
            raise BadInput(f"vars: dbt_project.yml has no {name}")
        return settings.variables[name]

    jinja = SandboxedEnvironment(extensions=["jinja2.ext.do"])
    jinja.globals |= {
        "var": var,
        "return": returned,
        "tojson": as_json,
        "modules": SimpleNamespace(re=re),
        "invocation_args_dict": {"vars": settings.variables},
        "exceptions": SimpleNamespace(raise_compiler_error=refuse),
    }
    for name in MACROS:
        text = (PROJECT / "macros" / f"{name}.sql").read_text()
        # Under another name, as dbt has it: then a macro that calls itself calls what catches.
        template = jinja.from_string(text.replace("{% macro ", f"{{% macro {PREFIX}", 1))
        jinja.globals[name] = callable_macro(template, PREFIX + name)
    jinja.globals["check_vars"]()


def callable_macro(template: Template, name: str) -> Callable:
    """The macro of a template, which gives back what it returns."""

    def call(*arguments: object, **named: object) -> object:
        try:
            return getattr(template.module, name)(*arguments, **named)
        except Returned as found:
            return found.args[0]

    return call


def returned(value: object) -> None:
    """End a macro with a value."""
    raise Returned(value)


def as_json(value: object, default: object = None) -> object:
    """A value as JSON has it, or the default where it has no such value."""
    try:
        return json.dumps(value)
    except (ValueError, TypeError):
        return default


def refuse(message: str) -> None:
    """End a check that does not hold."""
    raise BadInput(message)
