import io
import tarfile

import pytest
from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_iterator

from workflow_scripts.files.tar_members import iterate_members, split_name

NAMES = [
    "000000012.jpg",
    "./000000012.jpg",
    "v1.0/000000012.jpg",
    "./v1.0/a.b/000000012.seg.png",
    "a.JPG",
    "folder.with.dots/name",
    "README",
    ".hidden",
    "folder/.hidden.jpg",
    "name.",
    "two words.Txt",
    "a/b.c/d.e.f",
]


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_endings_are_webdatasets(name):
    key, ending = base_plus_ext(name)
    assert split_name(name) == (None if key is None else (key, ending.lower()))


def test_the_samples_of_a_tar_are_those_that_webdataset_groups(tmp_path):
    names = ["./a.JPG", "./a.txt", "v1.0/b.jpg", "v1.0/b.txt", "__about__", "c.jpg", "README"]
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    with open(tmp_path / "x.tar", "rb") as stream:
        files = ({**one, "__url__": "x"} for one in tar_file_iterator(stream))
        theirs = {one["__key__"]: {name for name in one if not name.startswith("__")} for one in group_by_keys(files)}
    ours: dict[str, set[str]] = {}
    with tarfile.open(tmp_path / "x.tar") as tar:
        for name, _ in iterate_members(tar):
            if split_name(name):
                key, ending = split_name(name)
                ours.setdefault(key, set()).add(ending)
    assert ours == theirs == {"./a": {"jpg", "txt"}, "v1.0/b": {"jpg", "txt"}, "c": {"jpg"}}


def test_a_second_name_of_one_file_has_its_content(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        member = tarfile.TarInfo("a.jpg")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
        for name, kind, target in (("b.jpg", tarfile.LNKTYPE, "a.jpg"), ("c.jpg", tarfile.SYMTYPE, "a.jpg")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    with tarfile.open(tmp_path / "x.tar") as tar:
        found = [(name, member.isfile() and tar.extractfile(member).read()) for name, member in iterate_members(tar)]
    assert found == [("a.jpg", b"abc"), ("b.jpg", b"abc"), ("c.jpg", False)]
