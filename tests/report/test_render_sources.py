"""The README's table of data sets and models is that of the registry."""

import re
from pathlib import Path

import pytest

from workflow_scripts.report.render_sources import human_size, main, put_into, render
from workflow_scripts.sources.registry import Source, load_registry

README = Path(__file__).resolve().parents[2] / "README.md"


def source(**more):
    return Source(title="Things", licence="none", citation="nobody", files=[{"name": "a", "url": "http://h/a"}], **more)


def test_the_readme_has_every_row_as_the_registry_has_it():
    text = README.read_text(encoding="utf-8")
    assert put_into(text, render(load_registry())) == text, "run python -m workflow_scripts.report.render_sources"


def test_every_row_has_licence_source_and_a_command_that_knows_it():
    registry = load_registry()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.+?) \| (.*?) \| (.+?) \| `(.+?)` \|$", render(registry), re.MULTILINE)
    left_out = {"miniature_extras"}
    assert {row[0] for row in rows} == (registry.data_sets.keys() | registry.models.keys()) - left_out
    for name, _, licence, _, origin, command in rows:
        assert licence
        assert origin.startswith(("<http", "package `"))
        kind = "fetch_models --model" if name in registry.models else "fetch_files --source"
        assert command == f"python -m workflow_scripts.sources.{kind} {name} --output DIR"


def test_sizes_are_written_for_people_and_left_out_where_unknown():
    assert human_size(source()) == ""
    assert human_size(source(gigabytes=281)) == "281 GB"
    assert human_size(source(gigabytes=0.0345)) == "34.5 MB"


def test_a_file_without_a_place_for_the_table_is_named(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("nothing")
    with pytest.raises(ValueError, match="no place for the table"):
        main(["--into", str(path)])
    assert path.read_text() == "nothing"
