"""What the web serves in place of files, and what comes of it."""

import hashlib
import io
import json
import tarfile
import zipfile

import pytest

from workflow_scripts.catalogue.sources import SourceFile
from workflow_scripts.sources import fetch_files
from workflow_scripts.sources.file_kinds import why_not

PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in - Accounts</title></head><body></body></html>\n"
FAST = ["--attempts", "3", "--pause-seconds", "0.01", "--timeout-seconds", "1"]


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.json", "{}")
    return stream.getvalue()


def tarred(mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return stream.getvalue()


SAFETENSORS = (2).to_bytes(8, "little") + b"{}"
RIGHT = {
    "a.zip": zipped(), "a.tar": tarred(), "a.tar.gz": tarred("w:gz"), "a.json": b'\xef\xbb\xbf \n{"a": 1}',
    "list.json": b"[]", "a.tsv": b"a <b>dog</b>\thttp://h/a.jpg\n", "a.txt": b"<html2> is a word\n",
    "a.safetensors": SAFETENSORS, "a.pth": zipped(), "old.pth": b"\x80\x02}q\x01.", "a.gguf": b"GGUF\x03",
    "a.parquet": b"PAR1", "a.bin": b"anything", "a.html": PAGE, "a.p": b"(lp0\n.", "merges.txt": b"#version: 0.2\n",
}  # fmt: skip
KINDS = [name for name in RIGHT if name != "a.html"]


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_of_its_kind_is_one(tmp_path, name):
    (tmp_path / name).write_bytes(RIGHT[name])
    assert why_not(tmp_path / name, name) is None


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("page", [PAGE, b"<!-- x -->\n<HTML>", b'<?xml version="1.0"?><Error><Code>Denied</Code>'])
def test_a_page_is_no_file_of_any_kind(tmp_path, name, page):
    (tmp_path / name).write_bytes(page)
    assert "a page for browsers" in why_not(tmp_path / name, name)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.json", "a.safetensors", "a.pth", "a.gguf", "a.parquet"])
def test_content_of_another_kind_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"Not Found: what you ask for")
    assert why_not(tmp_path / name, name).startswith("the answer is no .")


def run(tmp_path, file, **row):
    path = tmp_path / f"rows-{len(list(tmp_path.glob('rows-*')))}.yaml"
    path.write_text(json.dumps({"data_sets": {"things": {"title": "Things", "files": [file], **row}}}))
    output = tmp_path / "out"
    fetch_files.main(["--source", "things", "--catalogue", str(path), "--output", str(output), *FAST])
    return json.loads((output / "manifest.json").read_text())["files"][file["name"]]


@pytest.fixture
def web(tmp_path):
    def put(path, content):
        target = tmp_path / "web" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return tmp_path / "web"

    return put


def test_a_sign_in_page_with_status_200_is_not_stored_and_the_way_out_is_said(tmp_path, serve, web):
    handler = serve(web("host/a.tsv", PAGE))
    file = {"name": "a.tsv", "url": "https://host/a.tsv"}
    with pytest.raises(
        ValueError, match=r"page for browsers \('Sign in - Accounts'\).*put the file to .*a\.tsv yourself.* Take b\.$"
    ):
        run(tmp_path, file, otherwise="Take b.")
    assert not (tmp_path / "out" / "a.tsv").exists()
    assert len(handler.log) == 1  # it would say the same again


def test_the_second_address_is_asked_where_the_first_one_serves_a_page(tmp_path, serve, web):
    web("host/a.tsv", PAGE)
    serve(web("other/a.tsv", RIGHT["a.tsv"]))
    run(tmp_path, {"name": "a.tsv", "url": "https://host/a.tsv", "archive_url": "https://other/a.tsv"})
    assert (tmp_path / "out" / "a.tsv").read_bytes() == RIGHT["a.tsv"]


def test_a_page_that_was_stored_once_is_fetched_again_and_a_file_of_one_s_own_is_kept(tmp_path, serve, web):
    handler = serve(web("host/a.tsv", RIGHT["a.tsv"]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.tsv").write_bytes(PAGE)
    run(tmp_path, {"name": "a.tsv", "url": "https://host/a.tsv"})
    assert (tmp_path / "out" / "a.tsv").read_bytes() == RIGHT["a.tsv"]
    (tmp_path / "out" / "a.tsv").write_bytes(b"mine\thttp://h\n")
    run(tmp_path, {"name": "a.tsv", "url": "https://host/a.tsv"})
    assert (tmp_path / "out" / "a.tsv").read_bytes() == b"mine\thttp://h\n"
    assert len(handler.log) == 1


def test_a_file_with_an_md5_is_checked_by_it(tmp_path, serve, web):
    content = zipped()
    serve(web("host/a.zip", content))
    file = {"name": "a.zip", "url": "https://host/a.zip", "md5": hashlib.md5(content).hexdigest()}
    assert run(tmp_path, file)["sha256"] == hashlib.sha256(content).hexdigest()
    other = {**file, "name": "b.zip", "url": "https://host/a.zip", "md5": "0" * 32}
    with pytest.raises(ValueError, match=f"checksum is {file['md5']}, expected 0000"):
        run(tmp_path, other)
    (tmp_path / "out" / "a.zip").write_bytes(content[:-1])
    run(tmp_path, file)
    assert (tmp_path / "out" / "a.zip").read_bytes() == content
    with pytest.raises(ValueError, match="has an md5, but no url"):
        SourceFile(name="a", file="a", md5="0" * 32)


def test_an_address_that_leads_to_another_host_is_followed_on_the_mirror(tmp_path, serve, web):
    handler = serve(web("moved.host/a.zip", zipped()), {"host/a.zip": "moved"})
    run(tmp_path, {"name": "a.zip", "url": "https://host/a.zip"})
    assert [path for _, path, _ in handler.log] == ["host/a.zip", "moved.host/a.zip"]


def test_a_server_without_ranges_sends_all_again_and_the_file_is_whole(tmp_path, serve, web):
    content = bytes(range(256)) * 4000
    handler = serve(web("host/a.bin", content), {"host/a.bin": "cut_off_once"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".a.bin.part").write_bytes(content[:999])
    (tmp_path / "out" / ".a.bin.etag").write_text('"of an earlier server"')
    handler.faults["host/a.bin"] = "no_ranges"
    run(tmp_path, {"name": "a.bin", "url": "https://host/a.bin"})
    assert (tmp_path / "out" / "a.bin").read_bytes() == content
    assert handler.log[0][2] == "bytes=999-"
