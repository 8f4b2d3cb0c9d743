"""The benchmarks' README is what the measured files say."""

from benchmarks.render import FOLDER, render


def test_the_readme_of_the_benchmarks_is_rendered_from_the_measured_files():
    assert (FOLDER / "README.md").read_text() == render()
