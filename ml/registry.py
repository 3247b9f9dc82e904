"""Trained models in MLflow: what was tried, what it scored, and which version is in use."""

import datetime as dt
import logging
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.artifacts import (
    features_of,
    has_files,
    load,
    path_of,
    read_backtest,
    read_card,
    save,
    write_card,
)
from ml.card import make_card, run_metrics, run_params
from ml.errors import NotTrainable, UnknownVersion
from ml.meaning import meaning, misfit, other_meaning
from ml.preprocessing import Feature, quote, read_written, row_hash
from ml.promotion import (
    CHALLENGER,
    CHAMPION,
    FITS_AGAIN,
    KEYS,
    PROMOTED,
    ROLLED_BACK,
    TRAINED,
    Champion,
    Reign,
    decide,
    learned_until,
    previous,
    read_history,
    recipe_of,
    rejected,
    write_history,
)
from ml.scoring import DeployedModel, probabilities
from ml.table_spec import TableSpec
from ml.training import TrainingResult, TrainOptions
from ml.versions import ModelVersion, version_of

HISTORY = "champion_history"
TRAIN_ONE = "`sparkify train` makes one that fits."
# How a version comes into use that nobody chose.
BY_ITSELF = (TRAINED, FITS_AGAIN)


class Registry:
    """The versions of one model, in an MLflow store.

    One name holds models of one feature table, whose champion is compared with each new one.
    """

    def __init__(self, tracking_uri: str, artifact_root: str, name: str = "sparkify-churn") -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = Path(artifact_root).resolve()
        self.name = name

    def log(
        self,
        result: TrainingResult,
        rows: DataFrame,
        spec: TableSpec,
        options: TrainOptions,
        *,
        keep: Callable[[TrainingResult, ModelVersion], None] | None = None,
    ) -> ModelVersion:
        """Record a run, register its model, and give it the alias that `decide` says.

        It meets the champion; where there is none or it does not fit the table, the last one before
        it that does, which comes back if the new one does not take its place. A challenger of
        another recipe keeps its alias when the champion's own recipe comes out once more, and takes
        over or not.

        `rows` is the table that was learned from, some of which the champion predicts to be
        compared. The run holds parameters, every metric with its interval, and plots; the model's
        folder holds the pipeline, the backtest, out-of-fold log-odds with folds, tuning scores, and
        a card (card.json) with all that scoring and explaining need. `keep` is called once they are
        there and before the alias is given: a run that is killed leaves a version without one.
        """
        with self._client() as client:
            card = make_card(result, spec, options)
            current = self._number(client, CHAMPION)
            recipe = recipe_of(card)
            champion, out_of_use, passed_over = self._rivals(client, rows, spec, recipe=recipe)
            alias, card["decision"] = decide(
                result,
                recipe=recipe,
                champion=champion,
                draws=options.draws,
                seed=options.seed,
                rejected=out_of_use,
            )
            card["decision"] += passed_over
            card["in_place_of"] = None
            if alias == CHAMPION and champion and champion.lacks_columns:
                card["in_place_of"] = champion.version
            elif alias == CHAMPION and champion and recipe == champion.recipe:
                card["in_place_of"] = champion.in_place_of
            comes_back = champion and champion.version != current and alias != CHAMPION
            if comes_back:
                card["decision"] += f" {champion.name.capitalize()} fits the table and is back."
            run = client.create_run(self._experiment(client), run_name=result.candidate)
            client.log_batch(run.info.run_id, metrics=run_metrics(result), params=run_params(card))
            folder = save(result, card, path_of(run.info.artifact_uri))
            made = client.create_model_version(self.name, folder.as_uri(), run.info.run_id)
            if keep:
                keep(result, version_of(self.name, card, made, None))
            if self._number(client, CHAMPION) != current:
                alias, comes_back, card["in_place_of"] = CHALLENGER, False, None
                card["decision"] = (
                    "It is compared with nobody: another champion came into use during its "
                    "training. Train it once more."
                )
                write_card(folder, card)
            on_trial = self._is_on_trial(client, card, champion, rows, spec)
            if alias == CHAMPION:
                self._put_in_use(client, int(made.version), TRAINED)
                if self._by_alias(client, CHALLENGER) and not on_trial:
                    client.delete_registered_model_alias(self.name, CHALLENGER)
            elif comes_back:
                self._put_in_use(client, champion.version, FITS_AGAIN)
            if alias == CHALLENGER:
                if on_trial:
                    alias = None
                else:
                    client.set_registered_model_alias(self.name, CHALLENGER, made.version)
            client.set_terminated(run.info.run_id)
        return version_of(self.name, card, made, alias)

    def champion(self) -> tuple[DeployedModel | None, str]:
        """The model in use and what it is called; or None and why there is none."""
        with self._client() as client:
            current = self._by_alias(client, CHAMPION)
        if current is None:
            return None, self._why_none()
        model = load(self.name, current)
        return model, f"{self.name} version {model.version} ({model.metadata['candidate']})"

    def champion_for(
        self, rows: DataFrame, *, keys: Sequence[str], definitions: Mapping[str, str]
    ) -> tuple[DeployedModel | None, str]:
        """The same, or None and why not where the champion does not fit a table: see `misfit`."""
        with self._client() as client:
            current, held = (self._by_alias(client, alias) for alias in (CHAMPION, CHALLENGER))
        fit = {"keys": keys, "definitions": definitions}
        if current and (why := misfit(read_card(current), rows, **fit)):
            remedy = TRAIN_ONE
            tried = read_card(held) if held and has_files(held) else None
            if tried and not misfit(tried, rows, **fit):
                remedy = f"Version {held.version} fits. {tried['decision']} " + (
                    "It takes more history to make one that does."
                    if tried["skill"]["value"] <= 0
                    else f"`sparkify models --name {shlex.quote(self.name)} promote "
                    f"{held.version}` puts it into use."
                )
            return None, (
                f"The champion, {self.name} version {current.version}, is not used. {why} {remedy}"
            )
        return self.champion()

    def challenger_for(
        self, rows: DataFrame, *, keys: Sequence[str], definitions: Mapping[str, str]
    ) -> DeployedModel | None:
        """The challenger, if there is one and it fits a table: see `misfit`."""
        with self._client() as client:
            held = self._by_alias(client, CHALLENGER)
        if held is None or not has_files(held):
            return None
        if misfit(read_card(held), rows, keys=keys, definitions=definitions):
            return None
        return load(self.name, held)

    def names(self) -> list[str]:
        """The name of every model in the store."""
        with self._client() as client:
            found, token = [], None
            while token != "":
                page = client.search_registered_models(page_token=token)
                found += [each.name for each in page]
                token = page.token or ""
        return found

    def versions(self) -> list[ModelVersion]:
        """All versions, the newest first, without those whose training did not come to its end.

        Nor those of which nothing but the entry is left: see `gone`.

        Raises:
            FilesGone: so it is of the champion.
        """
        with self._client() as client:
            aliases = self._aliases(client)
            found = [
                each
                for each in self._finished(client)
                if has_files(each) or aliases.get(each.version) == CHAMPION
            ]
        versions = [
            version_of(self.name, read_card(each), each, aliases.get(each.version))
            for each in found
        ]
        return sorted(versions, key=lambda each: -each.version)

    def gone(self) -> list[int]:
        """The versions whose files are gone, the oldest first."""
        with self._client() as client:
            found = [each for each in self._finished(client) if not has_files(each)]
        return sorted(int(each.version) for each in found)

    def card(self, version: int | None = None) -> tuple[ModelVersion, dict[str, Any]]:
        """A version, the champion without one, and its card: see `ml.card.make_card`.

        Raises:
            UnknownVersion: there is none of this number, or no champion.
        """
        found = self.versions()
        wanted = [
            each
            for each in found
            if (each.alias == CHAMPION if version is None else each.version == version)
        ]
        if not wanted:
            named = "champion" if version is None else f"version {version}"
            has = ", ".join(str(each.version) for each in found) or "none"
            raise UnknownVersion(f"{self.name} has no {named}; its versions: {has}.")
        with self._client() as client:
            made = client.get_model_version(self.name, str(wanted[0].version))
        return wanted[0], read_card(made)

    def promote(self, version: int) -> ModelVersion:
        """Make a version champion, whatever the comparison said of it.

        Raises:
            UnknownVersion: there is none of this number.
            NotTrainable: it does not beat the base rate, so users would be scored by noise.
        """
        return self._crown(version, how=PROMOTED)

    def roll_back(self) -> ModelVersion:
        """Make the champion before the present one champion again; repeated, the one before it.

        One that means what the present one does, where there is one: a trial of other definitions
        is no step back.

        Raises:
            UnknownVersion: there was none before.
        """
        found = self.versions()
        present = next((each for each in found if each.alias == CHAMPION), None)
        means = present.definitions if present else {}
        alike = {each.version for each in found if each.means(means)}
        with self._client() as client:
            history = self._history(client)
        before = previous([each for each in history if each.version in alike], alike)
        if before is None:
            # Of other definitions is only what was in use before the present one ever was.
            numbers = [each.version for each in history]
            first = (
                numbers.index(present.version) + 1
                if present and present.version in numbers
                else len(numbers)
            )
            before = previous(history[:first], {each.version for each in found})
        if before is None:
            others = [each for each in found if each is not present]
            able = [each for each in others if each.skill.value > 0]
            remedy = (
                f"`sparkify models --name {shlex.quote(self.name)} promote {able[0].version}` "
                f"makes version {able[0].version} champion."
                if able
                else "no other version beats the base rate."
                if others
                else f"version {present.version} is the only one."
                if present
                else "it has no version yet."
            )
            raise UnknownVersion(f"{self.name} has no earlier champion to roll back to; {remedy}")
        return self._crown(before, how=ROLLED_BACK)

    def champions(self) -> list[Reign]:
        """Every change of champion, the oldest first."""
        with self._client() as client:
            return self._history(client)

    def _aliases(self, client: Any) -> dict[int, str]:
        held = {alias: self._by_alias(client, alias) for alias in (CHALLENGER, CHAMPION)}
        return {each.version: alias for alias, each in held.items() if each}

    def _finished(self, client: Any) -> list[Any]:
        """MLflow's versions whose training came to its end, or that have an alias."""
        going = client.search_runs([self._experiment(client)], "attributes.status = 'RUNNING'")
        unfinished, aliases = {run.info.run_id for run in going}, self._aliases(client)
        return [
            each
            for each in client.search_model_versions(f"name = '{self.name}'")
            if each.version in aliases or each.run_id not in unfinished
        ]

    def _rivals(
        self, client: Any, rows: DataFrame, spec: TableSpec, *, recipe: str
    ) -> tuple[Champion | None, list[Champion], str]:
        """Whom a model of `rows` meets (see `log`), and whom it must not be over again.

        And, as a sentence, why it does not meet the version in use, where it meets another one. Of
        the history only versions count that fit the table: what others were tried between, and
        what was chosen by hand among them, says nothing here. In place of a champion that nobody
        chose and that took over only for want of columns it meets the version of its own recipe
        that it took over from, if that one fits.
        """
        current, fit = self._by_alias(client, CHAMPION), {"keys": spec.keys}
        champion = self._rival(current, rows, spec) if current else None
        fit["definitions"] = meaning(asdict(spec))
        known = {int(each.version): each for each in self._finished(client) if has_files(each)}
        history = self._history(client)
        fitting = {
            version
            for version in {each.version for each in history} & known.keys()
            if not misfit(read_card(known[version]), rows, **fit)
        }
        reigns = [each for each in history if each.version in fitting]
        passed_over = ""
        # A table that only lacks columns may have lost them by mistake: that brings nobody back.
        if reigns and (champion is None or (champion.misfit and not champion.lacks_columns)):
            if champion:
                passed_over = f" {champion.name.capitalize()} was in use. {champion.misfit}"
            champion = self._rival(known[reigns[-1].version], rows, spec)
        elif champion:
            last = history[-1] if history else None
            if not last or last.version != champion.version or last.how not in BY_ITSELF:
                # Somebody chose it.
                champion = replace(champion, in_place_of=None)
            earlier = champion.in_place_of
            while earlier in known and (
                earlier not in fitting or recipe_of(read_card(known[earlier])) != recipe
            ):
                earlier = read_card(known[earlier]).get("in_place_of")
            if earlier in known:
                passed_over = (
                    f" {champion.name.capitalize()} was in use while the table lacked what version "
                    f"{earlier} reads."
                )
                champion = self._rival(known[earlier], rows, spec)
        out_of_use = [self._rival(known[each], rows, spec) for each in rejected(reigns)]
        return champion, out_of_use, passed_over

    def _is_on_trial(
        self,
        client: Any,
        card: dict[str, Any],
        champion: Champion | None,
        rows: DataFrame,
        spec: TableSpec,
    ) -> bool:
        """Whether another recipe is on trial beside the champion's, which a new model has."""
        held = self._by_alias(client, CHALLENGER)
        if held is None or champion is None or champion.misfit or not has_files(held):
            return False
        tried, recipe = read_card(held), recipe_of(card)
        if recipe != champion.recipe or recipe == recipe_of(tried) or tried["skill"]["value"] <= 0:
            return False
        return not misfit(tried, rows, keys=spec.keys, definitions=meaning(asdict(spec)))

    def _rival(self, version: Any, rows: DataFrame, spec: TableSpec) -> Champion:
        """A version as a model of `rows` meets it."""
        card = read_card(version)
        made_by = card["spec"].get("made_by")
        definitions = meaning(asdict(spec))
        unfit = misfit(card, rows, keys=spec.keys, definitions=definitions)

        def predict(keys: pd.DataFrame) -> np.ndarray:
            return predicted(load(self.name, version), rows, spec, keys)

        def hashes(keys: pd.DataFrame) -> np.ndarray:
            return hashed(features_of(card), rows, spec, keys)

        return Champion(
            version=int(version.version),
            backtest=read_backtest(version),
            recipe=recipe_of(card),
            learned_until=learned_until(card),
            horizon_days=card["spec"]["horizon_days"],
            predict=predict,
            hashes=hashes,
            misfit=unfit,
            # What this project makes lacks what its code left out, and not by mistake.
            lacks_columns=bool(
                unfit and not spec.definitions and not other_meaning(card, definitions)
            ),
            is_of_other_code=bool(made_by and spec.made_by and made_by != spec.made_by),
            in_place_of=card.get("in_place_of"),
        )

    def _crown(self, version: int, *, how: str) -> ModelVersion:
        known = {each.version: each for each in self.versions()}
        if version not in known:
            has = ", ".join(map(str, sorted(known)))
            remedy = f"it has {has}." if has else "it has none yet."
            raise UnknownVersion(f"{self.name} has no version {version}; {remedy}")
        skill = known[version].skill
        if skill.value <= 0:
            raise NotTrainable(
                f"Version {version} of {self.name} does not beat the base rate (its gain in log "
                f"loss is {skill.value:.4f}): it cannot be champion; train on more history."
            )
        with self._client() as client:
            held = self._by_alias(client, CHALLENGER)
            if held and int(held.version) == version:
                client.delete_registered_model_alias(self.name, CHALLENGER)
            self._put_in_use(client, version, how)
        return next(each for each in self.versions() if each.version == version)

    def _history(self, client: Any) -> list[Reign]:
        model = client.get_registered_model(self.name)
        history = read_history(model.tags.get(HISTORY))
        if not history and CHAMPION in model.aliases:
            # A store from before the history was kept.
            history = [Reign(int(model.aliases[CHAMPION]), "", TRAINED)]
        return history

    def _put_in_use(self, client: Any, version: int, how: str) -> None:
        """Make a version champion, but first write it down: a store without history begins so."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        history = [*self._history(client), Reign(version, at, how)]
        client.set_registered_model_tag(self.name, HISTORY, write_history(history))
        client.set_registered_model_alias(self.name, CHAMPION, str(version))

    def _number(self, client: Any, alias: str) -> int | None:
        held = self._by_alias(client, alias)
        return int(held.version) if held else None

    def _why_none(self) -> str:
        versions = self.versions()
        if not versions:
            return f"No model {self.name} has been trained yet."
        last = versions[0]
        return f"No version of {self.name} is champion. Version {last.version}: {last.decision}"

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A client of the store; its own log lines would drown the command's."""
        # Read at import: without it MLflow reports its use over the network.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        noisy = [logging.getLogger(name) for name in ("mlflow", "alembic")]
        levels = [logger.level for logger in noisy]
        # Importing MLflow takes seconds that commands without a model need not spend.
        from mlflow import MlflowClient

        for logger in noisy:
            logger.setLevel(logging.ERROR)
        try:
            client = MlflowClient(self.tracking_uri, registry_uri=self.tracking_uri)
            if not client.search_registered_models(f"name = '{self.name}'"):
                client.create_registered_model(self.name)
            yield client
        finally:
            for logger, level in zip(noisy, levels, strict=True):
                logger.setLevel(level)

    def _by_alias(self, client: Any, alias: str) -> Any:
        """MLflow's version with this alias, or None."""
        version = client.get_registered_model(self.name).aliases.get(alias)
        return client.get_model_version(self.name, version) if version else None

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.name)
        if found:
            return found.experiment_id
        return client.create_experiment(self.name, self.artifact_root.as_uri())


def predicted(
    model: DeployedModel, rows: DataFrame, spec: TableSpec, keys: pd.DataFrame
) -> np.ndarray:
    """The model's probability of the rows of `keys` (user as text, time), nan where there is none.

    Every row of the dates of `keys` is predicted. One Spark job.
    """
    scored = probabilities(_of_dates(rows, spec, keys), model, keys=spec.keys)
    return _looked_up(scored, spec, keys)


def hashed(
    features: Sequence[Feature], rows: DataFrame, spec: TableSpec, keys: pd.DataFrame
) -> np.ndarray:
    """A hash of the features of the rows of `keys`, NA where there is none. One Spark job."""
    read = read_written(_of_dates(rows, spec, keys), features)
    hashes = read.select(*map(quote, spec.keys), F.expr(row_hash(features)).alias("row"))
    return _looked_up(hashes, spec, keys)


def _of_dates(rows: DataFrame, spec: TableSpec, keys: pd.DataFrame) -> DataFrame:
    """The rows as of the dates of `keys`."""
    if not spec.time:
        return rows
    return rows.filter(F.to_date(quote(spec.time)).isin(sorted(set(keys["time"].dt.date))))


def _looked_up(values: DataFrame, spec: TableSpec, keys: pd.DataFrame) -> np.ndarray:
    """The one column beside the keys, in the order of `keys` (user as text, time)."""
    *names, value = values.columns
    found = values.toPandas()
    if pd.api.types.is_integer_dtype(found[value]):
        # A gap would make floats of them, which have fewer digits.
        found[value] = found[value].astype("Int64")
    found = found.rename(columns=dict(zip(names, KEYS, strict=False))).astype({"user": str})
    if not spec.time:
        told = keys["user"].map(found.set_index("user")[value])
    else:
        found["time"] = pd.to_datetime(found["time"]).astype(keys["time"].dtype)
        told = keys.merge(found, on=KEYS, how="left")[value]
    return told.to_numpy(dtype=object if told.dtype == "Int64" else None)
