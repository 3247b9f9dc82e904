"""What may happen to a log and to the project between two runs, at random."""

import os
import random
import shutil
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from sparkify import transform
from sparkify.settings import Settings

PROJECT = Path(__file__).parents[2]
MODELS = (
    *("base_sparkify__line_counts", "base_sparkify__rows", "base_sparkify__copies"),
    *("stg_sparkify__nulled_values", "int_sparkify__session_days", "fct_sessions"),
    *("fct_user_days", "dim_users", "fct_user_snapshots", "fct_user_features"),
)
SELECTION = ("--exclude", "path:models/marts/retention")
# With this seed each kind of change happens within twelve sequences.
SEED = 1
# What may be changed where, by words that stand there once.
EDITS = {
    "models/staging/base_sparkify__event_dates.sql": ("sum(row_count)", "max(row_count)"),
    "models/intermediate/int_sparkify__session_days.sql": ("(event_at) < 6", "(event_at) < 7"),
    "models/marts/core/fct_sessions.sql": ("sum(error_count)", "max(error_count)"),
    "macros/first_churns.sql": (
        "min(first_churn_at) as churned_at\n",
        "max(first_churn_at) as churned_at\n",
    ),
    "macros/whole_number.sql": ("decimal(38, 18)", "decimal(38, 17)"),
    "macros/user_features.sql": ("weekday(activity_date) >= 5", "weekday(activity_date) >= 4"),
    "macros/platform.sql": ("('Linux', 'Linux')", "('Linux', 'X11')"),
}
VARS = (
    {"churn_definition": "inactive", "inactive_days": 5},
    {},
    {"horizon_days": 7},
    {"min_history_days": 5, "snapshot_weekday": "Thursday"},
    {"first_valid_date": "2018-10-03"},
    {"anonymous_auths": ["Guest"]},
)


class Walk:
    """A folder of events, a copy of the project, and what may happen to them."""

    def __init__(self, settings: Settings, folder: Path, days: dict[str, list[str]]):
        """Of 24 days every other is there; the project lies beside the folder of events."""
        self.settings, self.folder, self.project = settings, folder / "events", folder / "project"
        self.days = {day: days[day] for day in sorted(days)[:24]}
        self.chance = random.Random(SEED)
        self.changed: dict[str, object] = {}
        self.coming = cycle(VARS)
        self.past: list[tuple[Path, bytes, os.stat_result]] = []
        for name in ("models", "macros", "tests/dbt", "profiles"):
            shutil.copytree(PROJECT / name, self.project / name)
        shutil.copy(PROJECT / "dbt_project.yml", self.project)
        self.folder.mkdir()
        for day in sorted(self.days)[::2]:
            self.write(self.folder / f"{day}.json", self.days[day])

    def sequence(self, number: int) -> list[str]:
        """What happened: each kind of change in turn and two more, then part of a run, or none."""
        changes = [self.add, self.grow, self.shrink, self.remove, self.late, self.doubled]
        changes += [self.restore, self.touch, self.vars, self.edit]
        runs = [self.some, self.others, self.killed, lambda: "no run"]
        chosen = [changes[number % len(changes)]]
        chosen += map(self.chance.choice, (changes, changes, runs))
        self.chance.shuffle(chosen)
        return [happening() for happening in chosen]

    def file(self) -> Path:
        return self.chance.choice(sorted(self.folder.rglob("*.json")))

    def keep(self, file: Path) -> Path:
        self.past.append((file, file.read_bytes(), file.stat()))
        return file

    def write(self, file: Path, lines: list[str]) -> str:
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
        return file.name

    def add(self) -> str:
        day = self.chance.choice(sorted(self.days))
        return "added " + self.write(self.folder / f"{day}.json", self.days[day])

    def grow(self) -> str:
        file = self.keep(self.file())
        more = self.days[self.chance.choice(sorted(self.days))]
        return "grown " + self.write(file, file.read_text().splitlines() + more)

    def shrink(self) -> str:
        file = self.keep(self.file())
        return "shrunk " + self.write(file, file.read_text().splitlines()[::2] or ["{broken"])

    def remove(self) -> str:
        file = self.file()
        if len(list(self.folder.rglob("*.json"))) > 3:
            self.keep(file).unlink()
        return f"removed {file.name}"

    def late(self) -> str:
        """Events of a day in a file of another, one of them a cancellation."""
        day = self.chance.choice(sorted(self.days))
        lines = self.chance.sample(self.days[day], 5)
        lines.append(lines[0].replace('"NextSong"', '"Cancellation Confirmation"'))
        return "late " + self.write(self.folder / f"late {self.chance.random()}.json", lines)

    def doubled(self) -> str:
        lines = self.file().read_text().splitlines()
        return "doubled " + self.write(self.folder / "again" / "a.json", lines * 2 + ["[1]"])

    def restore(self) -> str:
        """An earlier file is back, with the times it had."""
        if not self.past:
            return "nothing to restore"
        file, content, stat = self.chance.choice(self.past)
        file.write_bytes(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        return f"restored {file.name}"

    def touch(self) -> str:
        file = self.file()
        file.touch()
        return f"touched {file.name}"

    def some(self) -> str:
        model = self.chance.choice(MODELS)
        chosen = self.chance.choice(["{}", "+{}", "{}+", "1+{}"]).format(model)
        return self.run("--select", chosen, *SELECTION)

    def others(self) -> str:
        return self.run(*SELECTION, *self.chance.sample(MODELS, 2))

    def killed(self) -> str:
        """Tables are made one after the other, each in one step: a killed run made the first."""
        return "killed " + self.run("--select", *MODELS[: self.chance.randrange(1, len(MODELS))])

    def vars(self) -> str:
        self.changed = next(self.coming)
        return f"vars {self.changed}"

    def edit(self, name: str = "") -> str:
        """Another definition in a model or a macro, or what it was."""
        name = name or self.chance.choice(sorted(EDITS))
        (old, new), file = EDITS[name], self.project / name
        text = file.read_text()
        assert text.count(old) + text.count(new) == 1, name
        file.write_text(text.replace(old, new) if old in text else text.replace(new, old))
        return f"edited {name}"

    def comment(self) -> None:
        """Other blanks and comments, where definitions may change too."""
        for name in EDITS:
            file = self.project / name
            text = file.read_text().replace("\n", "  \n").replace("    ", "     ")
            file.write_text(text + "-- why\n")

    def run(self, *arguments: str) -> str:
        changed = replace(self.settings, overrides=self.changed)
        transform.run_dbt(changed, "run", *arguments)
        return f"run {' '.join(arguments)}"
