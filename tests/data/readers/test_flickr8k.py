import pytest

from workflow_scripts.data.readers.flickr8k import image_id, read_captions, read_split


def test_captions_and_splits_of_the_corpus(tmp_path):
    (tmp_path / "Flickr8k.token.txt").write_text(
        "1000_69.jpg#0\tA child in a pink dress .\n"
        "1000_69.jpg#1\tA girl , going\tin .\n"
        "1000_69.jpg#1\tA girl again .\n"
        "2258277193_586949ec62.jpg.1#0\tpeople waiting\n"
        "a line of another form\n"
    )
    (tmp_path / "Flickr_8k.devImages.txt").write_text("1000_69.jpg\r\n\n1000_69.jpg\n")
    captions, removed = read_captions(tmp_path)
    assert [(c.id, c.image_id, c.text) for c in captions] == [
        ("1000_69#0", "1000_69", "A child in a pink dress ."),
        ("1000_69#1", "1000_69", "A girl , going\tin ."),
        ("2258277193_586949ec62#0", "2258277193_586949ec62", "people waiting"),
    ]
    assert removed == {"duplicate caption id": 1, "line of another form": 1}
    assert read_split(tmp_path, "validation") == ["1000_69.jpg"]
    assert image_id("1000_69.jpg") == "1000_69"


def test_missing_files_and_unknown_splits_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file named Flickr_8k\.testImages\.txt"):
        read_split(tmp_path, "test")
    with pytest.raises(ValueError, match="no split 'dev'"):
        read_split(tmp_path, "dev")
    (tmp_path / "Flickr8k.token.txt").write_text("nothing\n")
    with pytest.raises(ValueError, match="holds no line of the form"):
        read_captions(tmp_path)
