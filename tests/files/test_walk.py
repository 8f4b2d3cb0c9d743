import os

import pytest

from workflow_scripts.files.walk import find_by_name, walk_files, walk_images


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names(found):
    return [found.name(path) for path in found.files]


@pytest.fixture
def photos(tmp_path):
    make(tmp_path / "elsewhere", "h0.jpg", "deeper/h1.jpg")
    make(tmp_path / "photos", "own.jpg", "sub/one.jpg")
    (tmp_path / "photos" / "holiday").symlink_to("../elsewhere")
    return tmp_path / "photos"


def test_folders_behind_links_are_read_under_the_names_of_the_links(photos):
    assert names(walk_files(photos)) == ["holiday/deeper/h1.jpg", "holiday/h0.jpg", "own.jpg", "sub/one.jpg"]


def test_links_that_lead_round_in_circles_bring_each_file_once(photos):
    (photos / "again").symlink_to(".")
    (photos / "sub" / "up").symlink_to("..")
    (photos / "before_sub").symlink_to("sub")
    (photos.parent / "elsewhere" / "home").symlink_to("../photos")
    (photos / "parent").symlink_to("..")
    found = walk_files(photos)
    assert names(found) == ["holiday/deeper/h1.jpg", "holiday/h0.jpg", "own.jpg", "sub/one.jpg"]
    assert not found.not_read


def test_what_cannot_be_followed_or_listed_is_named_and_ends_nothing(photos, monkeypatch):
    (photos / "unmounted").symlink_to("/nowhere/at/all")
    (photos / "loop").symlink_to("loop")
    os.mkfifo(photos / "pipe.jpg")
    make(photos, "private/secret.jpg")
    scandir = os.scandir

    def refuse(path="."):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = walk_files(photos)
    assert names(found) == ["holiday/deeper/h1.jpg", "holiday/h0.jpg", "own.jpg", "sub/one.jpg"]
    reasons = {found.name(path): reason for path, reason in found.not_read}
    assert reasons == {
        "loop": "a link to loop, which cannot be followed (Too many levels of symbolic links)",
        "pipe.jpg": "neither a file nor a folder",
        "private": "a folder that cannot be listed (Permission denied)",
        "unmounted": "a link to /nowhere/at/all, which cannot be followed (No such file or directory)",
    }


def test_a_folder_that_is_missing_or_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="is not a folder"):
        walk_files(tmp_path / "missing")
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(ValueError, match="is a link to gone, which is not there"):
        walk_files(tmp_path / "link")

    def refuse(path="."):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"cannot be listed \(Permission denied\)"):
        walk_files(tmp_path)


def test_every_file_is_an_image_or_named_or_counted(photos):
    make(photos, "a.HEIC", "b.avif", "raw.NEF", "notes.txt", "README", ".hidden.jpg", "__MACOSX/own.jpg", "sub/c.TXT")
    found = walk_images(photos)
    assert [path.name for path in found.images] == ["a.HEIC", "b.avif", "h1.jpg", "h0.jpg", "own.jpg", "one.jpg"]
    assert found.not_read == [{"file": "raw.NEF", "reason": ".nef is not read; export it as JPEG"}]
    assert found.others == {".txt": 2, "without a suffix": 1, "hidden": 2}


def test_a_file_is_found_by_its_name_behind_a_link_too(photos):
    assert find_by_name(photos, ["none.jpg", "h1.jpg"])[0] == photos / "holiday" / "deeper" / "h1.jpg"
    assert find_by_name(photos, ["deeper/h1.jpg"])[0] == photos / "holiday" / "deeper" / "h1.jpg"
    assert find_by_name(photos, ["none.jpg"])[0] is None
