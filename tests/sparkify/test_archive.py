"""The archive of classes from which Spark starts faster."""

import os
from dataclasses import replace

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


def test_it_is_made_once_for_the_jars_that_are_there(settings, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(archive, "run_spark", lambda *_: started.append(1) or "no room")
    there = replace(settings, jars=tmp_path)
    (tmp_path / "one.jar").touch()
    there.class_archive.touch()
    archive.make_archive(there)
    assert not started
    os.utime(tmp_path / "one.jar", (2**32, 2**32))
    with pytest.raises(BadInput, match="no archive of classes .no room."):
        archive.make_archive(there)
    assert started
