"""What all commands share: errors as one sentence, files whole or not at all, progress in a log."""

import os
import shlex
import subprocess
import sys

import pytest

from workflow_scripts.command_line import read_json, write_atomically, write_json

SENTENCE = """
from workflow_scripts.command_line import run_command
def main():
    raise ValueError("The file x.json is empty; run filter_pairs again.")
run_command(main)
"""
PROGRESS = """
from workflow_scripts.command_line import progress
assert list(progress(range(3), total=3, label="samples")) == [0, 1, 2]
"""
LIMITED = """
import resource, signal
from pathlib import Path
from workflow_scripts.command_line import run_command, write_atomically
def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    write_atomically(Path("kept.json"), "x" * 2000)
run_command(main)
"""


def python(code, folder):
    return subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True)


@pytest.fixture(autouse=True)
def import_path(monkeypatch):
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent))


def test_an_error_of_the_user_is_one_sentence_and_exit_code_1(tmp_path):
    done = python(SENTENCE, tmp_path)
    assert done.returncode == 1
    assert "error: The file x.json is empty; run filter_pairs again." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKFLOW_TRACEBACK", "1")
    assert "Traceback" in python(SENTENCE, tmp_path).stderr


def test_progress_in_a_log_is_plain_lines(tmp_path):
    done = python(PROGRESS, tmp_path)
    assert done.returncode == 0
    assert "samples" in done.stderr
    assert "3/3" in done.stderr
    assert "\r" not in done.stderr


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_no_rest(tmp_path):
    (tmp_path / "kept.json").write_text("old")
    done = python(LIMITED, tmp_path)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "kept.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "kept.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.json does not exist"):
        read_json(tmp_path / "nothing.json")


def test_a_damaged_json_file_is_named(tmp_path):
    write_atomically(tmp_path / "half.json", '{"a": ')
    with pytest.raises(ValueError, match=r"half\.json is not valid JSON"):
        read_json(tmp_path / "half.json")


def test_json_never_holds_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()


NAMES = """
from workflow_scripts.command_line import run_command
run_command(lambda: print("a dog \u2013 \u72ac " * {times}))
"""


def run(code, folder, shell, **environment):
    """Run code as `python program.py` in a shell's line, in which it is called $PROGRAM."""
    (folder / "program.py").write_text(code)
    variables = {**os.environ, "PROGRAM": f"{shlex.quote(sys.executable)} program.py", **environment}
    return subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, env=variables)


def test_a_reader_that_has_gone_ends_a_command_quietly(tmp_path):
    done = run(NAMES.format(times=100_000), tmp_path, "$PROGRAM | head -c 5; exit ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr, done.returncode) == (b"a dog", b"", 141)
    late = run(NAMES.format(times=1), tmp_path, "$PROGRAM | true; exit ${PIPESTATUS[0]}")
    assert (late.stderr, late.returncode) in ((b"", 0), (b"", 141))


def test_help_for_a_reader_that_has_gone_ends_quietly(tmp_path):
    command = f"{shlex.quote(sys.executable)} -m workflow_scripts.evaluation.score_vqa --help"
    done = subprocess.run(["bash", "-c", f"{{ sleep 0.1; {command}; }} | true"], capture_output=True)
    assert done.stderr == b""


def test_a_pipe_of_ones_own_that_breaks_is_an_error(tmp_path):
    code = """
import os
from workflow_scripts.command_line import run_command
def main():
    read, write = os.pipe()
    os.close(read)
    os.write(write, b"x")
run_command(main)
"""
    done = python(code, tmp_path)
    assert done.returncode == 1
    assert "Broken pipe" in done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_every_terminal_prints(tmp_path, encoding):
    done = run(NAMES.format(times=1), tmp_path, "$PROGRAM", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u72ac" in done.stdout


def test_a_name_that_is_no_unicode_is_printed(tmp_path):
    code = "from workflow_scripts.command_line import run_command\nrun_command(lambda: print('a\\udcff'))\n"
    done = run(code, tmp_path, "$PROGRAM")
    assert (done.returncode, done.stdout) == (0, b"a\\udcff\n")


def test_standard_output_on_a_full_disk_is_named(tmp_path):
    for times in (1, 100_000):
        done = run(NAMES.format(times=times), tmp_path, "$PROGRAM > /dev/full")
        assert done.returncode == 1
        assert b"error: No space left on device, at standard output" in done.stderr
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr


FULL = """
import tarfile
from pathlib import Path
import numpy as np
from workflow_scripts.command_line import run_command
def by_hand(place):
    with open(place, "w") as stream:
        stream.write("x")
def by_numpy(place):
    with open(place, "wb") as stream:
        np.savez(stream, x=np.zeros(100_000))
def by_bytes(place):
    Path(place).write_bytes(b"x" * 100_000)
run_command(lambda: {writer}("/dev/full"))
"""


@pytest.mark.parametrize("writer", ["by_hand", "by_numpy", "by_bytes"])
def test_a_full_disk_names_the_file_and_a_way_out(tmp_path, writer):
    done = python(FULL.format(writer=writer), tmp_path)
    assert done.returncode == 1
    assert "error: No space left on device, at /dev/full" in done.stderr
    assert "make room there, or name a place on another disk" in done.stderr
    assert "[Errno" not in done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("open('nothing/x')", "nothing/x: No such file or directory; look at its name."),
        ("open('.')", ".: Is a directory; name a file, or the file in it."),
        ("Path('program.py').mkdir()", "program.py: File exists; name another place, or move it away."),
        ("open('x' * 300)", "File name too long; give it a shorter name."),
        ("Path('a').write_bytes(b'\\xe9'); Path('a').read_text(encoding='utf-8')", "a is not text in UTF-8"),
        ("raise OSError('The disk of x is full; make room.')", "error: The disk of x is full; make room."),
    ],
)
def test_errors_of_the_system_name_the_file_and_a_way_out(tmp_path, code, words):
    program = "from pathlib import Path\nfrom workflow_scripts.command_line import run_command\n"
    done = run(f"{program}def main():\n    {code}\nrun_command(main)\n", tmp_path, "$PROGRAM")
    assert done.returncode == 1
    assert words in done.stderr.decode()
    assert "[Errno" not in done.stderr.decode()


def test_json_that_a_library_refuses_names_its_file(tmp_path):
    code = """
import json
from pathlib import Path
from workflow_scripts.command_line import run_command
def main():
    path = Path("x.json")
    path.write_text("{")
    json.loads(path.read_text())
run_command(main)
"""
    assert "error: x.json is not valid JSON" in python(code, tmp_path).stderr


def test_a_json_file_may_have_a_byte_order_mark(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}


def test_a_full_disk_that_a_library_tells_in_its_own_words_is_a_sentence_too(tmp_path):
    code = """
from pathlib import Path
from workflow_scripts.command_line import run_command
def main():
    path = Path("weights.safetensors")
    raise RuntimeError("Error while serializing: No space left on device (os error 28)")
run_command(main)
"""
    done = python(code, tmp_path)
    assert "error: No space left on device, at weights.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


ON_A_FULL_DISK = """
from pathlib import Path
import numpy as np
from workflow_scripts.command_line import run_command
from workflow_scripts.search.entries import Entry
from workflow_scripts.search.write_index import write_index
def main():
    entries = [Entry({"id": str(n)}, b"jpeg", np.ones((32, 256), np.float16)) for n in range(200)]
    write_index(Path("disk/index"), entries, {"count": 200}, 10**9)
run_command(main)
"""


def test_a_disk_that_is_too_small_for_an_index_is_named_and_no_signal_ends_the_command(tmp_path):
    (tmp_path / "disk").mkdir()
    in_a_room = "mount -t tmpfs -o size=2m tmpfs disk"
    if subprocess.run(["unshare", "-rm", "sh", "-c", in_a_room], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    done = run(ON_A_FULL_DISK, tmp_path, f"unshare -rm sh -c '{in_a_room}; exec $PROGRAM'")
    assert done.returncode == 1
    assert b"image_projection.npy.unfinished: No space left on device; make room there" in done.stderr
