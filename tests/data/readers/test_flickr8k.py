import pytest

from workflow_scripts.data.readers import flickr8k
from workflow_scripts.data.records import reader_options


def read(folder):
    return flickr8k.read(folder, flickr8k.Options(part="train"), frozenset({"caption"}))


def test_captions_and_splits_of_the_corpus(tmp_path):
    (tmp_path / "Flickr8k.token.txt").write_text(
        "1000_69.jpg#0\tA child in a pink dress .\n"
        "1000_69.jpg#1\tA girl , going\tin .\n"
        "1000_69.jpg#1\tA girl again .\n"
        "2258277193_586949ec62.jpg.1#0\tpeople waiting\n"
        "a line of another form\n"
    )
    (tmp_path / "Flickr_8k.devImages.txt").write_text("1000_69.jpg\r\n\n1000_69.jpg\n")
    reading = read(tmp_path)
    assert [(c.id, c.image_id, c.task, c.answers) for c in reading.records] == [
        ("1000_69#0", "1000_69", "caption", ("A child in a pink dress .",)),
        ("1000_69#1", "1000_69", "caption", ("A girl , going\tin .",)),
        ("2258277193_586949ec62#0", "2258277193_586949ec62", "caption", ("people waiting",)),
    ]
    assert reading.removed == {"duplicate caption id": 1, "line of another form": 1}
    assert flickr8k.images(tmp_path, flickr8k.Options(part="validation")) == {"1000_69": "1000_69.jpg"}


def test_missing_files_and_unknown_splits_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file named Flickr_8k\.testImages\.txt"):
        flickr8k.images(tmp_path, flickr8k.Options(part="test"))
    with pytest.raises(
        ValueError, match="the option part of the reader flickr8k: Input should be 'train', 'validation'"
    ):
        reader_options("flickr8k", {"part": "dev"}, "own")
    (tmp_path / "Flickr8k.token.txt").write_text("nothing\n")
    with pytest.raises(ValueError, match="holds no line of the form"):
        read(tmp_path)
