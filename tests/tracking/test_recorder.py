import json

import pytest

from workflow_scripts.tracking.recorder import MetricsRecorder, read_lines


def test_lines_behind_the_checkpoint_are_cut_off_on_resume(tmp_path):
    path = tmp_path / "metrics.jsonl"
    recorder = MetricsRecorder(path)
    recorder.write({"step": 1, "loss": 0.1})
    offset = recorder.sync()
    recorder.write({"step": 2, "loss": 0.2})
    resumed = MetricsRecorder(path, offset)
    resumed.write({"step": 2, "loss": 0.3})
    assert [line["loss"] for line in read_lines(path)] == [0.1, 0.3]


def test_a_line_is_on_the_file_as_soon_as_it_is_written(tmp_path):
    recorder = MetricsRecorder(tmp_path / "metrics.jsonl")
    recorder.write({"step": 1})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1}


def test_a_record_that_is_shorter_than_the_checkpoint_says_is_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match="has 3 bytes"):
        MetricsRecorder(tmp_path / "metrics.jsonl", 100)


def test_a_line_that_is_being_written_is_not_read(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2')
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1}]
