import pytest

from workflow_scripts.data.readers import conceptual_captions

FILE = "Train_GCC-training.tsv"


def read(folder, file=FILE):
    reading = conceptual_captions.read(folder, conceptual_captions.Options(file=file), frozenset({"caption"}))
    return list(reading.records), reading


def test_a_line_keeps_its_number_whatever_stands_around_it(tmp_path):
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_bytes(
        b"a cat on a mat\thttp://h/1.jpg\n"
        b"no tab here http://h/2.jpg\n"
        b"\n"
        b"a caption\twith a tab\thttps://h/3.jpg\r\n"
        b"\xff\xfe broken\thttp://h/4.jpg\n"
        b"no address\tftp://h/5.jpg\n" + "line\u2028separator \u0430\u0431\u0432\thttp://h/6.jpg".encode()
    )
    captions, reading = read(tmp_path)
    assert [(one.id, one.image_id, one.task, one.answers) for one in captions] == [
        ("000000000", "000000000", "caption", ("a cat on a mat",)),
        ("000000003", "000000003", "caption", ("a caption\twith a tab",)),
        ("000000006", "000000006", "caption", ("line\u2028separator \u0430\u0431\u0432",)),
    ]
    assert conceptual_captions.images(tmp_path, conceptual_captions.Options(file=FILE)) == {
        "000000000": "http://h/1.jpg",
        "000000003": "https://h/3.jpg",
        "000000006": "http://h/6.jpg",
    }
    assert reading.in_order
    assert reading.removed == {"line without a tab": 1, "line is not UTF-8": 1, "line without a URL": 1}


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text("<html>sign in</html>\n")
    with pytest.raises(ValueError, match=r"captions\.tsv holds no line of the form caption<TAB>URL"):
        read(tmp_path, "captions.tsv")
    with pytest.raises(ValueError, match=r"holds no file named missing\.tsv"):
        read(tmp_path, "missing.tsv")


def test_another_order_of_columns_is_named_with_the_first_line(tmp_path):
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text("http://h/1.jpg\ta cat on a mat\nhttp://h/2.jpg\ta boat\n")
    with pytest.raises(ValueError, match=r"with its columns in that order\? Its first line is 'http://h/1\.jpg"):
        read(tmp_path)
