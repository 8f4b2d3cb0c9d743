import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.survey.import_responses import main, read_csv
from workflow_scripts.survey.responses import ResponseStore

HEADER = "Timestamp,Q1. What is it?,2. How many,question 3,Comment"


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
