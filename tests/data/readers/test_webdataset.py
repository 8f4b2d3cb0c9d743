import io
import json
import tarfile

import pyarrow.parquet as pq
import pytest

from workflow_scripts.data.readers import webdataset


def tar_of(path, *members):
    """Write a tar as img2dataset does: (name, content)."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def sample(key, text="a boat", picture=b"\xff\xd8 not decoded here"):
    about = json.dumps({"key": key, "caption": text, "url": f"http://h/{key}.jpg", "sha256": "0"}).encode()
    return (f"{key}.jpg", picture), (f"{key}.json", about), (f"{key}.txt", text.encode())


@pytest.fixture
def folder(tmp_path):
    tar_of(tmp_path / "cc3m-train-0000.tar", *sample("000000000", "two\nlines \u4eba"), *sample("000000002")[:2])
    tar_of(tmp_path / "cc3m-train-0001.tar", *sample("000010000", picture=b"B" * 2000), *sample("000000000", "again"))
    return tmp_path


AGAIN = "000000000-cc3m-train-0001"


def test_captions_and_places_are_listed_a_key_counts_within_its_file_and_incomplete_samples_are_counted(folder):
    removed = webdataset.index_samples(folder)
    assert list(webdataset.read_samples(folder, ["id", "tar", "text"])) == [
        {"id": "000000000", "tar": "cc3m-train-0000.tar", "text": "two\nlines \u4eba"},
        {"id": AGAIN, "tar": "cc3m-train-0001.tar", "text": "again"},
        {"id": "000010000", "tar": "cc3m-train-0001.tar", "text": "a boat"},
    ]
    assert removed == {"sample without a caption": 1}
    row = list(webdataset.read_samples(folder, ["tar", "offset", "size"]))[2]
    with (folder / row["tar"]).open("rb") as stream:
        stream.seek(row["offset"])
        assert stream.read(row["size"]) == b"B" * 2000
    images = webdataset.images(folder, webdataset.Options())
    assert images["000010000"] == f"cc3m-train-0001.tar?offset={row['offset']}&size=2000"
    reading = webdataset.read(folder, webdataset.Options(), frozenset({"caption"}))
    assert [(one.id, one.image_id, one.answers) for one in reading.records] == [
        ("000000000", "000000000", ("two\nlines \u4eba",)),
        (AGAIN, AGAIN, ("again",)),
        ("000010000", "000010000", ("a boat",)),
    ]
    assert (reading.in_order, reading.removed) == (True, removed)


def test_the_list_is_kept_and_made_anew_for_other_tars(folder):
    first = webdataset.index_samples(folder)
    kept = (folder / webdataset.INDEX).stat().st_mtime_ns
    assert webdataset.index_samples(folder) == first
    assert (folder / webdataset.INDEX).stat().st_mtime_ns == kept
    tar_of(folder / "cc3m-train-0002.tar", *sample("000020000"))
    assert [row["id"] for row in webdataset.read_samples(folder, ["id"])] == [
        "000000000", AGAIN, "000010000", "000020000",
    ]  # fmt: skip


def test_a_truncated_tar_is_named(folder):
    path = folder / "cc3m-train-0001.tar"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"cc3m-train-0001\.tar is not a complete tar file"):
        webdataset.index_samples(folder)


def test_a_folder_without_tars_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no tar file; fetch the data set first"):
        webdataset.index_samples(tmp_path)


def test_tars_in_the_order_of_their_keys_are_listed_without_sorting(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "_sort", None)
    for number in range(3):
        keys = [f"{number:05d}{n:04d}" for n in (1, 0)]
        tar_of(tmp_path / f"part-{number}.tar", *sample(keys[0]), *sample(keys[1]), *sample(keys[1], "again"))
    assert webdataset.index_samples(tmp_path) == {"duplicate key": 3}
    ids = [row["id"] for row in webdataset.read_samples(tmp_path, ["id"])]
    assert ids == sorted(ids) == ["000000000", "000000001", "000010000", "000010001", "000020000", "000020001"]


def test_every_member_of_tars_that_people_pack_is_used_or_counted(tmp_path):
    people = [(f"./{name}", content) for name, content in sample("00000")]
    people += [("v1.0/00001.JPG", b"j"), ("v1.0/00001.txt", b"a dog"), ("README", b"?"), ("only.json", b"{}")]
    people += [("00002.heic", b"h"), ("00002.txt", b"a cat"), ("00002.txt", b"twice"), ("film.mp4", b"?")]
    tar_of(tmp_path / "a.tar", *people)
    with tarfile.open(tmp_path / "a.tar", "a") as archive:
        for name, kind, target in (("00003.jpg", tarfile.LNKTYPE, "./00000.jpg"), ("x.jpg", tarfile.SYMTYPE, "gone")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    (tmp_path / "more").mkdir()
    tar_of(tmp_path / "more" / "b.TAR", *sample("00000"))
    removed = webdataset.index_samples(tmp_path)
    rows = {row["id"]: row for row in webdataset.read_samples(tmp_path, ["id", "tar", "offset", "size"])}
    assert list(rows) == ["./00000", "00000", "00002", "v1.0/00001"]
    assert removed == {
        "sample without a picture": 2,  # only.json, film.mp4
        "sample without a caption": 1,  # 00003, which has the content of 00000
        "duplicate key": 1,  # the second caption of 00002
        "member without a key": 1,
        "member that is a link or a device": 1,
    }
    assert webdataset.images(tmp_path, webdataset.Options())["00000"].startswith("more/b.TAR?offset=")
    content = (tmp_path / rows["v1.0/00001"]["tar"]).read_bytes()
    assert content[rows["v1.0/00001"]["offset"] :][:1] == b"j"


def test_a_list_that_an_earlier_version_made_is_made_anew(tmp_path):
    tar_of(tmp_path / "a.tar", *((f"./{name}", content) for name, content in sample("00000")))
    webdataset.index_samples(tmp_path)
    table = pq.read_table(tmp_path / webdataset.INDEX).slice(0, 0)
    made_of = json.dumps([["a.tar", (tmp_path / "a.tar").stat().st_size]])
    table = table.replace_schema_metadata({"made_of": made_of, "removed": "{}"})
    pq.write_table(table, tmp_path / webdataset.INDEX)
    assert [row["id"] for row in webdataset.read_samples(tmp_path, ["id"])] == ["./00000"]
