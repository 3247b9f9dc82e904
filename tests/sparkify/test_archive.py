"""The archive of classes from which Spark starts faster."""

import os
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from sparkify import archive
from sparkify.errors import BadInput


def test_java_maps_the_archive_that_fits_its_class_path(spark, settings):
    if not settings.class_archive.exists():
        pytest.skip("there is no archive of classes; `make test` makes one")
    (java,) = (each for each in psutil.Process().children() if each.name() == "java")
    mapped = {each.path for each in java.memory_maps()}
    assert os.path.realpath(settings.class_archive) in mapped


def test_it_is_made_anew_for_other_jars_and_not_for_the_same(settings, tmp_path, monkeypatch):
    started = []

    def run(_, made):
        started.append(made)
        made.write_text("classes")
        return SimpleNamespace(returncode=len(started) > 2, stderr="no room")

    monkeypatch.setattr(archive, "run_spark", run)
    there = replace(settings, jars=tmp_path)
    for size, count in ((1, 1), (1, 1), (2, 2), (2, 2)):
        (tmp_path / "one.jar").write_bytes(bytes(size))
        archive.make_archive(there)
        assert len(started) == count
    assert there.class_archive.read_text() == "classes"
    (tmp_path / "two.jar").touch()
    with pytest.raises(BadInput, match="no archive of classes .no room."):
        archive.make_archive(there)
