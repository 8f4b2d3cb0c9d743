import shutil
import subprocess
import sys
from pathlib import Path

from workflow_scripts import revision


def test_the_revision_is_the_commit_marked_where_files_differ_and_none_without_a_repository(tmp_path):
    folder = tmp_path / "project" / "workflow_scripts"
    folder.mkdir(parents=True)
    shutil.copy(revision.__file__, folder / "revision.py")

    def say():
        program = "import revision; print(revision.git_revision())"
        done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def git(*arguments):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=folder.parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    if not any((parent / ".git").exists() for parent in tmp_path.parents):
        assert say() == "None"
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    head = git("rev-parse", "HEAD")
    assert say() == head
    with open(Path(folder / "revision.py"), "a") as stream:
        stream.write("# changed\n")
    assert say() == f"{head}+"
