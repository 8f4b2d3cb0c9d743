import shutil
import subprocess
from pathlib import Path

import pytest

from workflow_scripts.files.stored_paths import find_stored, not_there, stored_path

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose results and photographs are links to other disks."""
    for folder in ("disk/results/mini/search/index", "disk/results/mini/models/e", "camera/photos", "project/own"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project" / "results").symlink_to(tmp_path / "disk" / "results")
    (tmp_path / "project" / "photos").symlink_to(tmp_path / "camera" / "photos")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


INDEX = Path("results/mini/search/index")


@pytest.mark.parametrize("target", ["results/mini/models/e", "photos", "own"])
def test_what_is_stored_is_found_again_however_its_folder_is_reached(project, target):
    stored = stored_path(Path(target), INDEX)
    (project / "shortcut").symlink_to(INDEX)
    for way in (INDEX, project / INDEX, project / "shortcut", INDEX.resolve()):
        assert find_stored(stored, way).samefile(target)


def test_what_lies_in_one_tree_is_moved_with_it(project):
    stored = stored_path(Path("results/mini/models/e"), INDEX)
    assert stored == "../../models/e"
    shutil.move(project.parent / "disk" / "results", project.parent / "moved")
    assert find_stored(stored, project.parent / "moved" / "mini/search/index") == project.parent / "moved/mini/models/e"


def test_a_link_of_the_users_may_lead_elsewhere_later(project):
    stored = stored_path(Path("photos"), INDEX)
    (project.parent / "newer").mkdir()
    (project / "photos").unlink()
    (project / "photos").symlink_to(project.parent / "newer")
    assert find_stored(stored, INDEX).samefile(project.parent / "newer")


def test_results_that_became_a_link_after_they_were_stored_are_found(tmp_path):
    (tmp_path / "results/index").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    stored = stored_path(tmp_path / "photos", tmp_path / "results/index")
    (tmp_path / "far/away").mkdir(parents=True)
    shutil.move(tmp_path / "results", tmp_path / "far/away")
    (tmp_path / "results").symlink_to("far/away/results")
    assert find_stored(stored, tmp_path / "results/index").samefile(tmp_path / "photos")


def test_what_is_gone_is_named_with_every_place_and_the_way_out(project):
    (project / "photos").unlink()
    stored = stored_path(Path("photos"), INDEX)
    assert find_stored(stored, INDEX) is None
    said = str(not_there("The pictures", [stored], INDEX, "name them with --images"))
    assert said.startswith(f"The pictures of {INDEX} are not at {project}/photos any more; name")
    assert said.endswith("name them with --images.")


@pytest.mark.parametrize("name", ["results", ".venv", ".snakemake", "mlruns"])
def test_git_ignores_what_is_a_link_to_another_disk(tmp_path, name):
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / name).symlink_to("disk")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shown = subprocess.run(["git", "status", "--short", name], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert shown.stdout == ""
