# All rows of the configuration's `experiments`, and the table of what they came to: `snakemake experiments`.


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
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.report.tabulate_experiments"),
    shell:
        "python -m workflow_scripts.report.tabulate_experiments --experiments {params.experiments:q}"
        " --runs {input.runs:q} --title {params.title:q} {params.warning:q} --output {params.folder:q}"
        " 2>&1 | tee {log:q}"
