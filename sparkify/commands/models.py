"""What `sparkify models` does."""

from dataclasses import replace

from sparkify.registered import decision_of, registry, require_model, require_version
from sparkify.scores import came_true, judged_scores
from sparkify.settings import Settings
from sparkify.spreadsheet import check_writable
from sparkify.stages import open_stage
from sparkify.terminal import line, styled

TOLD = ("recipe", "data", "roc_auc", "log_loss", "top_decile_lift")


def list_models(settings: Settings, *, name: str) -> None:
    """Print every version with its verdict, and how champions followed each other."""
    from ml.versions import versions_table

    require_model(settings, name)
    versioned = registry(settings, name)
    reigns = versioned.champions()
    versions = [replace(each, decision=decision_of(each, reigns)) for each in versioned.versions()]
    live = outcomes(settings, name)
    for version in versions_table(versions).to_dict("records"):
        alias = styled(f" {version['alias']}" if version["alias"] else "", "bold")
        line()
        line(f"version {version['version']}", alias, f"  {version['trained_at']}")
        version["came_true"] = live.get(version["version"], "")
        for field in (*TOLD, "came_true", "decision"):
            if version[field]:
                line(f"  {field.replace('_', ' '):<16}{version[field]}", wrap=False)
    for number in versioned.gone():
        line()
        line(f"version {number}: its files are gone; put them back to list it")
    for reign in reigns:
        named = f"version {reign.version}" if reign.version else "no champion:"
        line(f"{reign.at}  {named} {reign.how}", style="dim")


def outcomes(settings: Settings, name: str) -> dict[int, str]:
    """How the scores of each version that made some came true, in words; {} of another model."""
    if name != settings.model:
        return {}
    judged = judged_scores(open_stage(settings), settings)
    told: dict[int, list[str]] = {}
    for (version, is_shadow), rows in judged.groupby(["model_version", "is_shadow"]):
        said = came_true(rows) + (", in shadow as the challenger" if is_shadow else "")
        told.setdefault(version, []).append(said)
    return {version: "; ".join(said) for version, said in told.items()}


def promote(settings: Settings, version: int, *, name: str) -> None:
    """Make a version champion."""
    require_version(settings, name, version)
    require_model(settings, name)
    made = registry(settings, name).promote(version)
    line(f"{name} version {made.version} ({made.candidate}) is the champion.{mark(made)}")
    tell_scores(settings, name)


def roll_back(settings: Settings, *, name: str) -> None:
    """Make the previous champion champion again."""
    require_model(settings, name)
    made = registry(settings, name).roll_back()
    line(f"{name} version {made.version} ({made.candidate}) is the champion again.{mark(made)}")
    tell_scores(settings, name)


def tell_scores(settings: Settings, name: str) -> None:
    """Say that scores do not follow by themselves."""
    if name == settings.model:
        line(
            f"The scores are of the version before until `{settings.command} score` makes them "
            "anew, which it does if the version fits the tables."
        )


def write_card(settings: Settings, version: int | None, *, name: str) -> None:
    """Write the model card of a version, the champion without one, as HTML."""
    from sparkify.report import write_whole
    from sparkify.report.card import render_card

    if version is not None:
        require_version(settings, name, version)
    require_model(settings, name)
    versioned = registry(settings, name)
    found, card = versioned.card(version)
    found = replace(found, decision=decision_of(found, versioned.champions()))
    path = settings.home / "report" / f"{name}-{found.version}.html"
    check_writable(path)
    write_whole(path, render_card(found, card))
    line(f"Model card: {path}", wrap=False)


def mark(version) -> str:
    """What has to stand beside a version that may be no better than the base rate."""
    return (
        ""
        if version.is_proven
        else " It is unproven: its gain over the base rate may be chance, or none."
    )
