import csv
import io

import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.survey.import_responses import main, read_csv
from workflow_scripts.survey.responses import Response, ResponseStore

HEADER = "Timestamp,Q1. What is it?,2. How many,question 3,Comment"
COLUMNS = HEADER.split(",")


@pytest.fixture
def file(tmp_path):
    def write(*lines, header=HEADER):
        path = tmp_path / "form.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8-sig")
        return path

    return write


def test_columns_are_found_by_the_number_that_they_start_with(file):
    found = read_csv(file('2026/01/02 10:00,5,4,3,"good, but slow"', "2026/01/02 10:05,1,1,2,"), [1, 2, 3])
    assert [dict(one.ratings) for one in found] == [{1: 5, 2: 4, 3: 3}, {1: 1, 2: 1, 3: 2}]
    assert [one.comment for one in found] == ["good, but slow", ""]
    assert found[0].submitted == "2026/01/02 10:00"
    assert found[0].source == "csv:form.csv"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["t,5,4,,c"], "Line 2 .* rating ''"),
        (["t,5,4,3,c", "t,5,4,6,c"], "Line 3 .*Question 3 is rated 6"),
        (["t,5,4"], "Line 2 .* has 3 cells"),
        (["t,5,4,good,c"], "'good', which is no whole number"),
    ],
)
def test_a_line_that_does_not_fit_is_named_and_nothing_is_read(file, lines, words):
    with pytest.raises(ValueError, match=words):
        read_csv(file(*lines), [1, 2, 3])


def test_a_missing_and_a_doubled_column_are_errors(file):
    with pytest.raises(ValueError, match="no column for question 4"):
        read_csv(file(), [1, 2, 3, 4])
    with pytest.raises(ValueError, match="two columns for question 1"):
        read_csv(file(header="Q1,Q1 again,Q2,Q3"), [1, 2, 3])


def test_a_file_that_is_imported_twice_counts_once_and_two_people_of_one_mind_count_twice(tmp_path, survey, capsys):
    write_json(tmp_path / "survey.json", survey)
    path = tmp_path / "form.csv"
    header = ",".join(f"Q{n}" for n in range(1, 10))
    path.write_text("\n".join([header, "5,4,3,5,4,3,5,4,3", "5,4,3,5,4,3,5,4,3", "1,1,1,1,1,1,1,1,1"]) + "\n")
    arguments = [str(path), "--survey", str(tmp_path / "survey.json"), "--responses", str(tmp_path / "r.sqlite")]
    main(arguments)
    main(arguments)
    assert capsys.readouterr().out.splitlines() == [
        "3 responses imported, 0 were there already",
        "0 responses imported, 3 were there already",
    ]
    assert len(ResponseStore(tmp_path / "r.sqlite").read(survey["id"])) == 3


ROWS = [["30.11.2026 10:00", 5, 4, 3, "good; but, slow – é"], ["30.11.2026 10:05", 1, 1, 2, ""]]


def exported(rows, delimiter=",", header=COLUMNS, write=str):
    cells = [header, *([row[0], *map(write, row[1:4]), *row[4:]] for row in rows)]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows(cells)
    return stream.getvalue()


def said(responses):
    return [(dict(one.ratings), one.comment, one.submitted, one.respondent) for one in responses]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_and_encodings_are_found_out(tmp_path, delimiter, encoding):
    path = tmp_path / "form.csv"
    path.write_text(exported(ROWS), encoding="utf-8", newline="")
    plain = read_csv(path, [1, 2, 3])
    path.write_text(exported(ROWS, delimiter), encoding=encoding, newline="")
    assert said(read_csv(path, [1, 2, 3])) == said(plain)
    assert plain[0].comment == "good; but, slow – é"


@pytest.mark.parametrize("write", ["{},0", "{}.0", "{},00", " {} "])
def test_a_spreadsheets_decimals_are_whole_ratings_where_they_are(tmp_path, write):
    path = tmp_path / "form.csv"
    path.write_text(exported(ROWS, ";", write=write.format), encoding="utf-8")
    assert dict(read_csv(path, [1, 2, 3])[0].ratings) == {1: 5, 2: 4, 3: 3}
    path.write_text(exported(ROWS, ";", write="{},5".format), encoding="utf-8")
    with pytest.raises(ValueError, match="'5,5', which is no whole number"):
        read_csv(path, [1, 2, 3])


def test_excels_line_about_the_separator_is_no_header(tmp_path):
    path = tmp_path / "form.csv"
    path.write_text("sep=;\n" + exported(ROWS, ";"), encoding="utf-8")
    assert len(read_csv(path, [1, 2, 3])) == 2


def test_files_that_are_no_csv_are_sentences(tmp_path):
    with pytest.raises(ValueError, match="nothing does not exist"):
        read_csv(tmp_path / "nothing", [1])
    (tmp_path / "form.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="is a spreadsheet"):
        read_csv(tmp_path / "form.xlsx", [1])
    (tmp_path / "form.csv").write_bytes(b"\xff\xfeQ")
    with pytest.raises(ValueError, match="is damaged: it is not UTF-16-LE to its end"):
        read_csv(tmp_path / "form.csv", [1])


@pytest.fixture
def add(tmp_path):
    """Imports an export of three questions and says how many were new."""
    store = ResponseStore(tmp_path / "r.sqlite")

    def run(text):
        (tmp_path / "form.csv").write_text(text, encoding="utf-8")
        return store.add_exported("s", read_csv(tmp_path / "form.csv", [1, 2, 3]))

    run.count = lambda: len(store.read("s"))
    return run


def test_exporting_again_adds_nobody_whatever_the_columns(add):
    assert add(exported(ROWS)) == 2
    more = [[*row, "a@b.org"] for row in ROWS]
    assert add(exported(more, ";", [*COLUMNS, "Email"], "{},0".format)) == 0
    assert add("Email,Comment,Q3,Q2,Q1,Time\n" + "".join(f'-,"{c}",{x},{y},{z},{t}\n' for t, z, y, x, c in ROWS)) == 0
    assert add(exported([*ROWS, ["30.11.2026 10:05", 1, 1, 2, ""]])) == 1
    assert add(exported([*ROWS, ["1.12.2026 9:00", 5, 4, 3, "good; but, slow – é"]])) == 1
    assert add.count() == 4


def test_a_column_of_times_or_comments_that_is_added_later_adds_nobody(add):
    assert add("Q1,Q2,Q3\n5,4,3\n5,4,3\n") == 2
    assert add("Q1,Q2,Q3,Time\n5,4,3,10:00\n5,4,3,10:01\n") == 0
    assert add("Q1,Q2,Q3,Time\n5,4,3,10:00\n5,4,3,10:01\n1,1,1,10:02\n") == 1
    assert add("Q1,Q2,Q3,Time,Comment\n1,1,1,10:02,good\n") == 0
    assert add("Q1,Q2,Q3\n5,4,3\n5,4,3\n1,1,1\n") == 0
    assert add.count() == 3


def test_another_persons_response_is_never_lost_for_being_like_one_on_the_page(tmp_path, add):
    ResponseStore(tmp_path / "r.sqlite").add("s", Response("r", {1: 5, 2: 4, 3: 3}))
    assert add("Q1,Q2,Q3\n5,4,3\n") == 1
