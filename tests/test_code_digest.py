"""The digest that tells Snakemake when the code of a rule changed."""

import shutil
from pathlib import Path

import pytest

from workflow_scripts import code_digest as module


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "workflow_scripts"
    (root / "inner").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "inner" / "__init__.py").write_text("")
    (root / "main.py").write_text('"""Doc."""\nfrom workflow_scripts.inner import helper\n\nprint(helper.f())\n')
    (root / "inner" / "helper.py").write_text("def f():\n    return 1\n")
    (root / "other.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PACKAGE", "workflow_scripts")
    clear()
    yield root
    clear()


def clear():
    for cached in (module._tree, module._tree_digest, module._imports):
        cached.cache_clear()


def digest():
    clear()
    return module.code_digest("workflow_scripts.main")


def test_a_comment_a_docstring_and_layout_change_nothing(package):
    before = digest()
    path = package / "inner" / "helper.py"
    path.write_text('def f():\n    """Said."""\n    # why\n    return (\n        1\n    )\n')
    assert digest() == before


def test_an_edit_of_an_imported_module_changes_the_digest(package):
    before = digest()
    (package / "inner" / "helper.py").write_text("def f():\n    return 2\n")
    assert digest() != before


def test_an_edit_of_a_module_that_is_not_imported_changes_nothing(package):
    before = digest()
    (package / "other.py").write_text("x = 2\n")
    assert digest() == before


def test_an_edit_of_a_package_init_changes_the_digest(package):
    before = digest()
    (package / "inner" / "__init__.py").write_text("y = 1\n")
    assert digest() != before


def test_a_module_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"workflow_scripts\.nothing"):
        module.code_digest("workflow_scripts.nothing")


def test_broken_python_is_an_error_that_names_the_line(package):
    (package / "main.py").write_text("x = 1\ndef (\n")
    with pytest.raises(ValueError, match="line 2"):
        digest()


def test_the_digest_does_not_depend_on_where_the_project_lies(package, tmp_path, monkeypatch):
    before = digest()
    copy = tmp_path / "elsewhere"
    shutil.copytree(package, copy / "workflow_scripts")
    monkeypatch.setattr(module, "ROOT", Path(copy))
    assert digest() == before
