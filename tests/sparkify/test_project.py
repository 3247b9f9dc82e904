"""The project keeps the rules that dbt's project evaluator asks for, where they apply."""

import json
import os
import re
import runpy
import time
from pathlib import Path

import pytest
import yaml

from ml.explaining import MAX_FAMILIES, families
from sparkify import transform
from sparkify.features import bounds_of, wording_of
from tests.reasons import is_why

PROJECT = Path(__file__).parents[2]
# A model that SQL in a text names.
TABLE = r"\b(?:(?:base|stg)_sparkify__|fct_|dim_)\w+"
DIRECTION = ("staging", "intermediate", "core", "features", "retention")


@pytest.fixture(scope="module")
def manifest(settings) -> dict:
    transform.run_dbt(settings, "parse")
    return json.loads((settings.home / "dbt" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def models(manifest) -> dict[str, dict]:
    return {id: node for id, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def layer(model: dict) -> str:
    return model["fqn"][-2]


def parents(model: dict, models: dict) -> list[dict]:
    return [models[id] for id in model["depends_on"]["nodes"] if id in models]


def test_only_staging_reads_the_log_and_only_retention_what_ml_wrote(manifest, models):
    allowed = {"raw": "staging", "ml": "retention"}
    for model in models.values():
        for id in model["depends_on"]["nodes"]:
            if id.startswith("source."):
                assert layer(model) == allowed[manifest["sources"][id]["source_name"]]


def test_models_depend_in_one_direction(models):
    for model in models.values():
        for parent in parents(model, models):
            assert DIRECTION.index(layer(parent)) <= DIRECTION.index(layer(model)), model["name"]


def test_names_say_the_layer(models):
    starts = {"staging": "(base|stg)_sparkify__", "intermediate": "int_sparkify__"}
    for model in models.values():
        assert re.match(starts.get(layer(model), "(fct|dim)_"), model["name"])


def test_no_model_rejoins_what_its_only_parent_gave_to_its_only_child(models):
    # Such a model that others name as their `versions` is asked by the materialization as well.
    versions = {model["config"].get("versions") for model in models.values()}
    for id, model in models.items():
        children = [other for other in models.values() if id in other["depends_on"]["nodes"]]
        above = model["depends_on"]["nodes"]
        if len(above) == 1 and len(children) == 1 and model["name"] not in versions:
            assert above[0] not in children[0]["depends_on"]["nodes"], model["name"]


def test_every_model_has_a_grain_a_description_and_a_tested_key(manifest, models):
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "primary_key"
    }
    # A row of the source has no key of its own.
    without = {
        "base_sparkify__raw_rows",
        "base_sparkify__rows",
        "stg_sparkify__rejected_events",
    }
    for id, model in models.items():
        assert re.search(r"One\s+row\s+per\s+[^.]+\.$", model["description"]), model["name"]
        assert id in tested or model["name"] in without, model["name"]


def test_what_others_query_has_a_contract_and_every_column_a_description(models):
    for model in models.values():
        if not model["name"].startswith(("stg_", "fct_", "dim_")):
            continue
        assert model["config"]["contract"]["enforced"], model["name"]
        for column in model["columns"].values():
            assert column["data_type"] and column["description"].endswith("."), column["name"]


def test_what_is_offered_to_others_is_public_and_the_rest_private(models):
    offered = {
        model["name"]
        for model in models.values()
        if layer(model) not in ("staging", "intermediate")
    } | {f"stg_sparkify__{name}" for name in ("events", "rejected_events", "nulled_values")}
    found = {"public": set(), "protected": set(), "private": set()}
    for model in models.values():
        found[model["config"]["access"]].add(model["name"])
    assert found["public"] == offered
    # Which exposures count.
    assert found["protected"] == {"base_sparkify__line_counts", "base_sparkify__rows"}


def test_no_two_columns_are_described_by_the_same_words_written_twice():
    """What several say alike is a block of models/columns.md; an alias in YAML is written once."""
    files = [yaml.safe_load(file.read_text()) for file in (PROJECT / "models").rglob("*.yml")]
    tables = [table for said in files for table in said.get("models", [])]
    tables += [
        table for said in files for each in said.get("sources", []) for table in each["tables"]
    ]
    written = {}
    for column in (column for table in tables for column in table.get("columns", [])):
        if not column.get("description", "{{").startswith("{{"):
            written.setdefault(column["description"], set()).add(id(column))
    assert [text for text, columns in written.items() if len(columns) > 1] == []


def test_every_column_that_runs_write_has_a_type_and_a_description_and_its_table_a_grain(manifest):
    written = [each for each in manifest["sources"].values() if each["source_name"] != "raw"]
    assert len(written) == 8
    for table in written:
        assert re.search(r"One\s+row\s+per\s+\(.*\)\.$", table["description"]), table["name"]
        assert table["columns"], table["name"]
        for column in table["columns"].values():
            assert column["data_type"] and column["description"].endswith("."), column["name"]


def test_every_use_of_the_tables_is_an_exposure_with_an_owner(manifest, models):
    exposures = {exposure["name"]: exposure for exposure in manifest["exposures"].values()}
    assert {"notebook", "report", "churn_model"} <= exposures.keys()
    cells = json.loads((PROJECT / "Sparkify.ipynb").read_text())["cells"]
    code = "".join(line for cell in cells if cell["cell_type"] == "code" for line in cell["source"])
    named = {models[id]["name"] for id in exposures["notebook"]["depends_on"]["nodes"]}
    # It has further ones from what data.py says of the log.
    assert named >= set(re.findall(TABLE, code))
    read = (PROJECT / "sparkify" / "report" / "data.py").read_text()
    shown = {models[id]["name"] for id in exposures["report"]["depends_on"]["nodes"]}
    assert shown >= set(re.findall(TABLE, read))
    assert all(exposure["owner"]["name"] for exposure in exposures.values())


def test_the_freshness_of_the_log_is_that_of_its_newest_file(spark, settings, tmp_path):
    (tmp_path / "a.json").write_text("{}\n")
    transform.register_events(settings, str(tmp_path))
    for age, status in ((0, "pass"), (3, "warn")):
        then = time.time() - age * 86_400
        os.utime(tmp_path / "a.json", (then, then))
        found = transform.run_dbt(settings, "source", "freshness", "--select", "source:raw.files")
        source = [each for each in found.result.results if each.node.resource_type == "source"]
        assert [each.status for each in source] == [status]


def test_macros_are_one_a_file_and_documented():
    for file in (PROJECT / "macros").rglob("*.sql"):
        text = file.read_text()
        assert text.startswith("{#"), f"{file.name} has no description"
        first = re.search(r"{% (?:macro|materialization) (\w+)", text).group(1)
        assert first == file.stem


def test_the_documentation_of_macros_is_that_of_their_comments():
    """With every argument; `python macros/document.py` writes it anew."""
    script = runpy.run_path(str(PROJECT / "macros" / "document.py"))
    assert script["TARGET"].read_text() == script["documented"]()


def test_every_feature_has_a_family_and_a_sentence(models):
    tables = {model["name"]: model["columns"] for model in models.values()}
    columns = tables["fct_user_features"]
    features = [name for name in columns if name not in ("user_id", "as_of_date")]
    found = wording_of(columns)

    assert list(found) == features
    for name in features:
        assert columns[name]["meta"] == tables["fct_user_snapshots"][name]["meta"]
        assert found[name].family == columns[name]["meta"]["family"]
        is_nullable = "null where" in columns[name]["description"]
        assert bool(found[name].reason_if_null) == is_nullable, name
        # How a count decays is in its description, and too long for a sentence.
        windows = [] if "_decayed_" in name else re.findall(r"_(\d+)d", name)
        for days in windows:
            assert f"{days} days" in found[name].reason
    assert len(families(features, found)) <= MAX_FAMILIES


def test_every_feature_that_is_a_number_declares_its_bounds(models):
    (columns,) = (
        model["columns"] for model in models.values() if model["name"] == "fct_user_features"
    )
    numbers = {
        name
        for name, each in columns.items()
        if each["data_type"] in ("bigint", "int", "double") and "family" in each["meta"]
    }
    found = bounds_of(columns)
    assert {*found} == numbers
    assert [name for name in numbers if found[name].minimum is None] == [
        "active_day_log_odds_to_date"
    ]
    # Not by what a name begins with, and by the window in it.
    assert bounds_of(["distinct_artist_count_7d", "night_share"]) == {}
    assert bounds_of(["active_day_count_90d"])["active_day_count_90d"].maximum == 90


def test_that_a_user_listens_more_than_most_is_no_reason_to_leave():
    """A model holds it against a user beside equal dislikes; a reader takes it for the cause."""
    names = ["active_day_count_7d", "song_count_28d", "session_count_7d", "listening_s_28d"]
    names += ["song_count_per_day_7d", "session_count_per_day_28d", "song_per_session_7d"]
    for name, each in wording_of([*names, "active_day_share_28d"]).items():
        assert is_why(0.2, 0.7, each) and not is_why(0.7, 0.2, each), name
    often = wording_of(["active_day_log_odds_to_date"])["active_day_log_odds_to_date"]
    assert is_why(-1.0, 2.0, often) and not is_why(2.0, -1.0, often)


def test_features_of_other_windows_are_told_in_their_own_days():
    found = wording_of(["thumbs_down_count_1d", "song_count_trend_3d_90d", "thumbs_down_count"])
    assert {name: each.reason for name, each in found.items()} == {
        "thumbs_down_count_1d": "gave {value} thumbs down in 1 day; a typical user gives {typical}",
        "song_count_trend_3d_90d": (
            "played songs at {value} % of the rate of 90 days in the last 3 days; "
            "a typical user at {typical} %"
        ),
    }
