# All rows of the configuration's `experiments`, the table of what they came to, and the report with it:
# `snakemake experiments`.


rule tabulate_experiments:
    input:
        scores=EXPERIMENT_SCORES,
        runs=EXPERIMENT_RUNS,
        templates=[
            "workflow_scripts/report/templates/report.css",
            "workflow_scripts/report/templates/provenance.html.j2",
            "workflow_scripts/report/templates/experiments.html.j2",
        ],
    output:
        multiext(f"{R}/experiments/", "index.html", "experiments.md", "experiments.csv", "experiments.tex"),
    log:
        f"{R}/logs/tabulate_experiments.log",
    benchmark:
        f"{R}/benchmarks/tabulate_experiments.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("tabulate_experiments", mem_mb=1000, runtime=10),
    params:
        experiments=json.dumps(EXPERIMENTS),
        title=f"Experiments at scale {SETTINGS.scale}",
        warning=(
            []
            if SCALE.figures_are_meaningful
            else ["--warning", "The figures on this page mean nothing: the scale is for tests."]
        ),
        folder=output_folder,
        code=code_digest("workflow_scripts.report.tabulate_experiments"),
    shell:
        "python -m workflow_scripts.report.tabulate_experiments --experiments {params.experiments:q}"
        " --runs {input.runs:q} --title {params.title:q} {params.warning:q} --output {params.folder:q}"
        " 2>&1 | tee {log:q}"


# The runs of the report are there before: two imports side by side would make runs twice.
use rule import_runs as import_experiments with:
    input:
        scores=EXPERIMENT_SCORES,
        runs=EXPERIMENT_RUNS,
        report=f"{R}/report/mlflow_runs.json",
    output:
        f"{R}/experiments/mlflow_runs.json",
    log:
        f"{R}/logs/import_experiments.log",
    benchmark:
        f"{R}/benchmarks/import_experiments.tsv"


use rule render_page as render_page_with_experiments with:
    input:
        **page_inputs(EXPERIMENT_RUNS),
        of_experiments=EXPERIMENT_SCORES,
        tracking=f"{R}/experiments/mlflow_runs.json",
    output:
        report(
            EXPERIMENTS_PAGE,
            caption="captions/page.rst",
            category="Report",
            labels={"page": "whole report, with the experiments"},
        ),
    log:
        f"{R}/logs/render_page_with_experiments.log",
    benchmark:
        f"{R}/benchmarks/render_page_with_experiments.tsv"
    params:
        settings=REPORT_SETTINGS,
        survey=survey_option,
        experiments=["--experiments", json.dumps(EXPERIMENTS)],
        times=f"{R}/benchmarks",
        code=code_digest("workflow_scripts.report.render_page"),
