"""Only what depends on a change runs again: real Snakemake on a finished run of scale `tiny`."""

import pytest

pytestmark = pytest.mark.slow

PAGE = {"render_page", "render_pdf"}
REPORT = {"import_runs", "choose_examples", "collect_results", "render_tables", "render_figures", "render_cards", *PAGE}
SURVEY = {"predict_survey", "build_survey", "summarise_survey"}
SCORES = {"predict", "score", "guess_question_only"}


def test_a_second_run_does_nothing(finished):
    assert not finished.planned()


def test_a_changed_learning_rate_reruns_the_finetuning_and_what_follows_and_setting_it_back_trains_nothing(project):
    changed = {"finetune": "{learning_rate: 0.0123}"}
    planned = project.planned(**changed)
    assert planned["train_adaptor"] == 3, "finetuning, and the two finetunings that start from it"
    assert set(planned) <= REPORT | SCORES | SURVEY | {"train_adaptor"}
    runs = sorted((project.folder / "results/tiny/pretrain").iterdir())

    assert project.ran(**changed) == planned
    assert sorted((project.folder / "results/tiny/pretrain").iterdir()) == runs
    assert len(list((project.folder / "results/tiny/finetune").iterdir())) == 2

    back = project.ran()
    assert "train_adaptor" not in back
    assert "predict" not in back


def test_a_changed_caption_filter_reruns_from_there_on_and_downloads_nothing(project):
    planned = project.planned(filter="{maximum_tokens: 30}")
    assert planned["filter_pairs"] == 1
    assert planned["train_adaptor"] == 4
    assert not set(planned) & {"publish", "fetch_files", "download_images", "extract_features", "build_index"}
    assert not set(planned) & {"train_feature_extractor", "train_language_model", "train_clip"}


def test_a_changed_template_renders_the_page_in_both_forms_and_nothing_else(project):
    template = project.folder / "workflow_scripts/report/templates/report.html.j2"
    template.write_text(template.read_text().replace("</body>", "<p>Checked.</p></body>"))
    assert set(project.ran()) == PAGE
    assert "Checked." in (project.folder / "results/tiny/report/index.html").read_text()


def test_a_comment_reruns_nothing(project):
    for name in ("training/train_adaptor.py", "evaluation/score_vqa.py", "data/text.py"):
        file = project.folder / "workflow_scripts" / name
        file.write_text(file.read_text() + "\n# a comment\n")
    assert not project.planned()


def test_an_edit_of_a_scorer_reruns_that_scorer_and_the_report_only(project):
    file = project.folder / "workflow_scripts/evaluation/score_vqa.py"
    file.write_text(file.read_text() + "\nEDITED = True\n")
    planned = project.planned()
    assert planned["score"] == 2, "OK-VQA without its training and after it"
    assert set(planned) <= REPORT | {"score"}


def test_an_edit_of_what_a_program_imports_reruns_it(project):
    file = project.folder / "workflow_scripts/data/text.py"
    file.write_text(file.read_text() + "\nEDITED = True\n")
    assert project.planned()["filter_pairs"] == 1


def test_a_misspelt_setting_stops_before_anything_runs(finished):
    output = finished.snakemake("--dry-run", succeeds=False, finetune="{learnig_rate: 0.1}")
    assert "finetune.learnig_rate = '0.1'" in output
    assert "did you mean learning_rate?" in output
    assert "Traceback" not in output
