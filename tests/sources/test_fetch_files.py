import hashlib
import io
import json
import resource
import subprocess
import sys
import tarfile
import zipfile

import pytest

from workflow_scripts.sources import fetch_files, fetch_models, transfer

FAST = ["--attempts", "3", "--pause-seconds", "0.01", "--timeout-seconds", "1"]
CONTENT = bytes(range(256)) * 8000


def digest(content):
    return hashlib.sha256(content).hexdigest()


def zip_of(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return stream.getvalue()


def tar_of(*members):
    """A tar of (name, content) and of (name, None) for symbolic links."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if content else None)
    return stream.getvalue()


@pytest.fixture
def web(tmp_path):
    def put(path, content):
        target = tmp_path / "web" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return tmp_path / "web"

    return put


def run(rows, files, output, *more):
    path = rows(files)
    fetch_files.main(["--source", "things", "--catalogue", str(path), "--output", str(output), *FAST, *more])
    return json.loads((output / "manifest.json").read_text())


def test_a_broken_transfer_is_resumed_where_it_broke(tmp_path, serve, web, rows):
    handler = serve(web("host/a.bin", CONTENT), {"host/a.bin": "cut_off_once"})
    files = [{"name": "a.bin", "url": "https://host/a.bin", "sha256": digest(CONTENT)}]
    manifest = run(rows, files, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == CONTENT
    assert manifest["files"]["a.bin"] == {"url": "https://host/a.bin", "sha256": digest(CONTENT), "bytes": len(CONTENT)}
    ranges = [asked for _, _, asked in handler.log]
    assert ranges[0] is None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= len(CONTENT) // 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.bin", "manifest.json"]


def test_what_is_there_and_right_is_not_fetched_again(tmp_path, serve, web, rows):
    handler = serve(web("host/a.bin", CONTENT))
    files = [{"name": "a.bin", "url": "https://host/a.bin", "sha256": digest(CONTENT)}]
    first = run(rows, files, tmp_path / "out")
    assert run(rows, files, tmp_path / "out") == first
    assert len(handler.log) == 1


def test_a_wrong_checksum_leaves_nothing_under_the_final_name(tmp_path, serve, web, rows):
    serve(web("host/a.bin", CONTENT))
    files = [{"name": "a.bin", "url": "https://host/a.bin", "sha256": "0" * 64}]
    with pytest.raises(ValueError, match=f"a.bin could not be fetched.*checksum is {digest(CONTENT)}, expected 0000"):
        run(rows, files, tmp_path / "out")
    assert not (tmp_path / "out" / "a.bin").exists()
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_other_checksums_take_the_place_of_the_tables(tmp_path, serve, web, rows):
    serve(web("host/a.bin", CONTENT))
    sums = tmp_path / "sums.json"
    sums.write_text(json.dumps({"https://host/a.bin": digest(CONTENT)}))
    files = [{"name": "a.bin", "url": "https://host/a.bin", "sha256": "0" * 64}]
    run(rows, files, tmp_path / "out", "--checksums", str(sums))
    assert (tmp_path / "out" / "a.bin").read_bytes() == CONTENT


def test_the_archive_is_asked_when_the_owner_has_no_copy(tmp_path, serve, web, rows):
    serve(web("archive/a.bin", CONTENT))
    files = [{"name": "a.bin", "url": "https://host/a.bin", "archive_url": "http://archive/a.bin"}]
    run(rows, files, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == CONTENT


def test_a_server_that_recovers_is_asked_again_and_one_that_does_not_is_named(tmp_path, serve, web, rows):
    handler = serve(web("host/a.bin", CONTENT), {"host/a.bin": "500_once", "host/b.bin": "500", "host/c.bin": "410"})
    run(rows, [{"name": "a.bin", "url": "https://host/a.bin"}], tmp_path / "out")
    with pytest.raises(ValueError, match=r"https://host/b.bin: HTTP status 500 after 3 attempts"):
        run(rows, [{"name": "b.bin", "url": "https://host/b.bin"}], tmp_path / "out")
    handler.log.clear()
    with pytest.raises(ValueError, match=r"https://host/c.bin: HTTP status 410"):
        run(rows, [{"name": "c.bin", "url": "https://host/c.bin"}], tmp_path / "out")
    assert len(handler.log) == 1  # what is gone is not asked for again


def test_each_pause_before_another_attempt_is_twice_the_one_before(tmp_path, serve, web, rows, monkeypatch):
    serve(web("host/b.bin", CONTENT), {"host/b.bin": "500"})
    pauses = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    files = [{"name": "b.bin", "url": "https://host/b.bin"}]
    with pytest.raises(ValueError, match="HTTP status 500 after 5 attempts"):
        run(rows, files, tmp_path / "out", "--attempts", "5", "--pause-seconds", "3")
    assert pauses == [3, 6, 12, 24]


def test_archives_are_unpacked_beside_themselves(tmp_path, serve, web, rows):
    content = zip_of(**{"annotations/a.json": "{}", "b.json": "[]"})
    serve(web("host/a.zip", content))
    files = [{"name": "a.zip", "url": "https://host/a.zip", "unpack": True}]
    manifest = run(rows, files, tmp_path / "out")
    assert manifest["files"]["a.zip"]["unpacked"] == ["annotations/a.json", "b.json"]
    assert (tmp_path / "out" / "annotations" / "a.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path, serve, web, rows, name):
    serve(web("host/a.zip", zip_of(**{"good.txt": "x", name: "evil"})))
    files = [{"name": "a.zip", "url": "https://host/a.zip", "unpack": True}]
    with pytest.raises(ValueError, match="unsafe path"):
        run(rows, files, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list(tmp_path.rglob("good.txt"))


def test_a_damaged_archive_is_deleted_so_that_it_is_fetched_again(tmp_path, serve, web, rows):
    root = web("host/a.zip", zip_of(**{"a.json": "{}" * 1000})[:-30])
    serve(root)
    files = [{"name": "a.zip", "url": "https://host/a.zip", "unpack": True}]
    with pytest.raises(ValueError, match=r"a.zip is not a complete zip file"):
        run(rows, files, tmp_path / "out")
    web("host/a.zip", zip_of(**{"a.json": "{}"}))
    run(rows, files, tmp_path / "out")
    assert (tmp_path / "out" / "a.json").read_text() == "{}"


def test_tar_files_are_unpacked_as_well(tmp_path, serve, web, rows):
    serve(web("host/a.tar", tar_of(("pictures/image2001.png", b"png"), ("b.txt", b""))))
    files = [{"name": "a.tar", "url": "https://host/a.tar", "unpack": True}]
    manifest = run(rows, files, tmp_path / "out")
    assert manifest["files"]["a.tar"]["unpacked"] == ["b.txt", "pictures/image2001.png"]
    assert (tmp_path / "out" / "pictures" / "image2001.png").read_bytes() == b"png"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("good.txt", b"x"), ("../evil.txt", b"evil")], "unsafe path"),
        ([("good.txt", b"x"), ("/evil.txt", b"evil")], "unsafe path"),
        ([("good.txt", b"x"), ("link", None), ("link/evil.txt", b"evil")], "'link', which is a link or a device"),
    ],
)
def test_a_tar_cannot_write_outside_its_folder(tmp_path, serve, web, rows, members, message):
    serve(web("host/a.tar", tar_of(*members)))
    files = [{"name": "a.tar", "url": "https://host/a.tar", "unpack": True}]
    with pytest.raises(ValueError, match=message):
        run(rows, files, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list(tmp_path.rglob("good.txt"))


def test_a_damaged_tar_is_deleted_so_that_it_is_fetched_again(tmp_path, serve, web, rows):
    serve(web("host/a.tar", tar_of(("a.bin", CONTENT))[:9000]))
    files = [{"name": "a.tar", "url": "https://host/a.tar", "unpack": True}]
    with pytest.raises(ValueError, match=r"a.tar is not a complete tar file"):
        run(rows, files, tmp_path / "out")
    assert not (tmp_path / "out" / "a.tar").exists()


def test_a_mirror_has_a_form_of_its_own_and_what_it_lacks_is_named(tmp_path, serve, web, rows):
    serve(web("things/a.txt", b"text"))

    def fetch(*names):
        path = rows([{"name": "all.zip", "url": "https://host/all.zip", "unpack": True}])
        table = json.loads(path.read_text())
        mirrored = [{"name": name, "url": f"http://things/{name}"} for name in names]
        table["data_sets"]["things"]["mirror_files"] = mirrored
        path.write_text(json.dumps(table))
        flags = ["--source", "things", "--catalogue", str(path), "--output", str(tmp_path / "out"), "--from-mirror"]
        fetch_files.main([*flags, *FAST])

    fetch("a.txt")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.txt", "manifest.json"]
    with pytest.raises(
        ValueError, match=r"test.txt could not be fetched.*: the mirror has no file things/test.txt\."
    ) as no:
        fetch("a.txt", "test.txt")
    assert "later" not in str(no.value)
    assert f"put the file to {tmp_path / 'out' / 'test.txt'}" in str(no.value)


def test_patience_is_asked_for_only_where_it_helps(tmp_path, serve, web, rows):
    root = web("host/a.bin", CONTENT)
    (root / "unmounted").symlink_to("/nowhere")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "b.bin").write_bytes(CONTENT)
    (root / "disk").symlink_to(tmp_path / "disk")
    serve(root, {"host/busy.bin": "500"})
    run(rows, [{"name": "b.bin", "url": "https://disk/b.bin"}], tmp_path / "out")
    for url, sha256, later in (
        ("https://unmounted/a.bin", None, "a link to /nowhere, leads nowhere"),
        ("https://host/a.bin", "0" * 64, "expected 0000"),
        ("https://host/gone.bin", None, "the mirror has no file host/gone.bin"),
    ):
        with pytest.raises(ValueError, match=later) as error:
            run(rows, [{"name": "a.bin", "url": url, "sha256": sha256}], tmp_path / "out")
        assert "Waiting does not help" in str(error.value)
        assert "later" not in str(error.value)
    with pytest.raises(ValueError, match=r"HTTP status 500 .*Run the command again later\."):
        run(rows, [{"name": "a.bin", "url": "https://host/busy.bin"}], tmp_path / "out")


def test_a_disk_that_is_too_small_is_said_before_the_transfer(tmp_path, serve, web, rows):
    handler = serve(web("host/a.bin", CONTENT))
    with pytest.raises(ValueError, match=r"a.bin needs 1000000\.0 GB"):
        run(rows, [{"name": "a.bin", "url": "https://host/a.bin", "size": 10**15}], tmp_path / "out")
    assert handler.log == []


def test_a_disk_that_takes_no_more_is_one_sentence_and_nothing_is_lost(tmp_path, serve, web, rows):
    handler = serve(web("host/a.bin", CONTENT))
    path = rows([{"name": "a.bin", "url": "https://host/a.bin", "sha256": digest(CONTENT)}])
    command = [sys.executable, "-m", "workflow_scripts.sources.fetch_files", "--source", "things"]
    command += ["--catalogue", str(path), "--output", str(tmp_path / "out")]
    limit = 1_000_000
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert "takes no more data (File too large); make room and run the command again" in done.stderr
    assert "Traceback" not in done.stderr
    fetch_files.main(command[3:])
    assert (tmp_path / "out" / "a.bin").read_bytes() == CONTENT
    assert handler.log[-1][2] == f"bytes={limit}-"


def test_a_model_comes_with_card_and_checksums(tmp_path, serve, web, rows):
    serve(web("host/weights.bin", CONTENT))
    path = rows([{"name": "weights.bin", "url": "https://host/weights.bin"}])
    fetch_models.main(["--model", "model", "--catalogue", str(path), "--output", str(tmp_path / "out")])
    assert (tmp_path / "out" / "SHA256SUMS").read_text() == f"{digest(CONTENT)}  weights.bin\n"
    assert "https://host/weights.bin" in (tmp_path / "out" / "README.md").read_text()


def test_a_mirror_with_other_content_brings_its_own_checksums(tmp_path, serve, web, rows, monkeypatch):
    root = web("host/a.bin", CONTENT)
    serve(root)
    monkeypatch.setenv("MIRROR_FOLDER", str(root))
    files = [{"name": "a.bin", "url": "https://host/a.bin", "sha256": "0" * 64, "size": 10**15}]
    (root / "checksums.json").write_text(json.dumps({"https://host/a.bin": digest(CONTENT)}))
    assert run(rows, files, tmp_path / "out")["files"]["a.bin"]["sha256"] == digest(CONTENT)
    (root / "checksums.json").write_text(json.dumps({"https://host/a.bin": "1" * 64}))
    with pytest.raises(ValueError, match=f"the checksum is {digest(CONTENT)}, expected {'1' * 64}"):
        run(rows, files, tmp_path / "other")


def test_a_table_of_this_machine_is_copied_and_copied_again_when_it_changes(tmp_path, rows):
    table = tmp_path / "birds.csv"
    table.write_text("image,caption\na.jpg,a wren\n")
    files = [{"name": "birds.csv", "file": "birds.csv"}]  # from the folder of the catalogue's file
    manifest = run(rows, files, tmp_path / "out")
    assert manifest["files"] == {"birds.csv": {"file": "birds.csv", "sha256": digest(table.read_bytes()), "bytes": 27}}
    assert (tmp_path / "out" / "birds.csv").read_bytes() == table.read_bytes()
    kept = (tmp_path / "out" / "birds.csv").stat().st_mtime_ns
    run(rows, files, tmp_path / "out")
    assert (tmp_path / "out" / "birds.csv").stat().st_mtime_ns == kept
    table.write_text("image,caption\na.jpg,a robin\n")
    assert run(rows, files, tmp_path / "out") != manifest
    assert "robin" in (tmp_path / "out" / "birds.csv").read_text()
    with pytest.raises(ValueError, match=f"birds.csv has the checksum {digest(table.read_bytes())}, but 0000"):
        run(rows, [{**files[0], "sha256": "0" * 64}], tmp_path / "out")
    table.unlink()
    with pytest.raises(ValueError, match=r"birds.csv is to be copied from .*birds\.csv, which does not exist"):
        run(rows, files, tmp_path / "out")


def test_a_folder_of_this_machine_is_copied_without_its_images_and_what_it_no_longer_has(tmp_path, rows):
    folder = tmp_path / "photos"
    for name in ("metadata.csv", "old.txt", "deep/state.json", "deep/a.JPG", ".cache/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    files = [{"name": "photos", "file": "photos"}]
    first = run(rows, files, tmp_path / "out")["files"]["photos"]
    assert (first["file"], first["bytes"]) == ("photos", len("metadata.csv" + "old.txt" + "deep/state.json"))
    (folder / "old.txt").unlink()
    assert run(rows, files, tmp_path / "out")["files"]["photos"]["sha256"] != first["sha256"]
    there = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert there == {"manifest.json", "photos/metadata.csv", "photos/deep/state.json"}
    (tmp_path / "pictures").mkdir()
    with pytest.raises(ValueError, match="pictures holds no file but images; correct its `file`"):
        run(rows, [{"name": "pictures", "file": "pictures"}], tmp_path / "out")


def test_a_model_that_the_catalogue_has_not_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"has no model 'vicuna'; did you mean vicuna_7b\?"):
        fetch_models.main(["--model", "vicuna", "--output", str(tmp_path)])


def test_a_row_that_is_read_from_the_files_of_another_names_that_one(tmp_path):
    with pytest.raises(ValueError, match="colour_matched has no files of its own; fetch --source miniature_extras"):
        fetch_files.main(["--source", "colour_matched", "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
