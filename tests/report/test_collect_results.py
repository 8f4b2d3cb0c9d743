import json

import pytest

from workflow_scripts.report.check_expected import main as check
from workflow_scripts.report.collect_results import main


def collect(tmp_path, *scores):
    main(["--scores", *map(str, scores), "--output", str(tmp_path / "results.json")])
    return json.loads((tmp_path / "results.json").read_text())


def test_entries_have_value_interval_reported_value_and_origin(tmp_path, write_scores):
    first = write_scores(
        "vg/after-0123456789ab", {"visual_genome.exact_match.after": 61.0, "b.c": 5.0}, adaptor_run_id="fedcba987654"
    )
    entries = collect(tmp_path, first, write_scores("other", {"a.b": 1.0}))
    assert [entry["id"] for entry in entries] == ["a.b", "b.c", "visual_genome.exact_match.after"]
    assert entries[2] == {
        "id": "visual_genome.exact_match.after",
        "value": 61.0,
        "unit": "%",
        "n": 100,
        "ci95": [58.0, 64.0],
        "split": None,
        "reported": 35.0,
        "run_id": "0123456789ab",
        "adaptor_run_id": "fedcba987654",
        "command": "python -m x",
    }
    assert entries[0]["reported"] is None
    assert entries[0]["run_id"] is None


def test_one_id_from_two_scorings_is_an_error(tmp_path, write_scores):
    with pytest.raises(ValueError, match=r"a.b stands in .*one.* and in .*two"):
        collect(tmp_path, write_scores("one", {"a.b": 1.0}), write_scores("two", {"a.b": 2.0}))


def test_a_file_that_holds_no_figures_is_an_error(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a scores file"):
        collect(tmp_path, tmp_path / "x.json")


@pytest.mark.parametrize(("value", "fails"), [(46.0, False), (44.0, True)])
def test_the_check_fails_where_a_must_is_missed_and_only_there(tmp_path, write_scores, value, fails):
    collect(tmp_path, write_scores("one", {"x": value}))
    expected = tmp_path / "scale.yaml"
    expected.write_text(
        "comparable_with_report: false\nrequirements:\n- {level: must, figure: x, at_least: 45}\n"
        "- {level: aim, figure: x, at_least: 99}\n"
    )
    arguments = ["--results", str(tmp_path / "results.json"), "--expected", str(expected)]
    if fails:
        with pytest.raises(SystemExit, match="1 expectations"):
            check(arguments)
    else:
        check(arguments)


def test_the_check_tells_the_reason_of_what_is_missed(tmp_path, write_scores, capsys):
    collect(tmp_path, write_scores("one", {"x": 44.0}))
    expected = tmp_path / "scale.yaml"
    requirement = "- {{level: aim, figure: x, at_least: {}, if_missed: {}}}\n"
    lines = requirement.format(45, "Too few pictures.") + requirement.format(40, "Never seen.")
    expected.write_text(f"comparable_with_report: false\nrequirements:\n{lines}")
    check(["--results", str(tmp_path / "results.json"), "--expected", str(expected)])
    output = capsys.readouterr().out
    assert "at least 45: 44.0\n      Too few pictures.\n" in output
    assert "Never seen." not in output


def test_the_check_fails_where_our_own_figure_leaves_its_tolerance_or_is_absent(tmp_path, write_scores, capsys):
    collect(tmp_path, write_scores("one", {"x": 50.0}))
    expected = tmp_path / "scale.yaml"
    figure = "{{id: {}, value: 47, tolerance: {}, source: s}}"
    for id, tolerance, fails in (("x", 4, False), ("x", 2, True), ("y", 4, True)):
        expected.write_text(f"comparable_with_report: false\nfigures: [{figure.format(id, tolerance)}]\n")
        arguments = ["--results", str(tmp_path / "results.json"), "--expected", str(expected)]
        if fails:
            with pytest.raises(SystemExit):
                check(arguments)
        else:
            check(arguments)
    assert "y: absent" in capsys.readouterr().out
