# From scores to the page. The report's folder is the only one without an id: it shows what the configuration says now.


rule collect_results:
    input:
        scores=SCORES,
        reported="expected/report.yaml",
    output:
        f"{R}/report/results.json",
    log:
        f"{R}/logs/collect_results.log",
    benchmark:
        f"{R}/benchmarks/collect_results.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("collect_results", mem_mb=1000, runtime=10),
    params:
        code=code_digest("workflow_scripts.report.collect_results"),
    shell:
        "python -m workflow_scripts.report.collect_results --scores {input.scores:q}"
        " --reported {input.reported:q} --output {output:q} 2>&1 | tee {log:q}"


rule render_tables:
    input:
        results=f"{R}/report/results.json",
        scores=SCORES,
        reported="expected/report.yaml",
        expected=EXPECTED,
    output:
        report(
            directory(f"{R}/report/tables"),
            patterns=["{name}.csv"],
            caption="captions/tables.rst",
            category="Tables",
            labels={"table": "{name}"},
        ),
    log:
        f"{R}/logs/render_tables.log",
    benchmark:
        f"{R}/benchmarks/render_tables.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("render_tables", mem_mb=1000, runtime=10),
    params:
        settings=REPORT_SETTINGS,
        code=code_digest("workflow_scripts.report.render_tables"),
    shell:
        "python -m workflow_scripts.report.render_tables --settings {params.settings:q} --results {input.results:q}"
        " --scores {input.scores:q} --reported {input.reported:q} --expected {input.expected:q} --output {output:q} 2>&1 | tee {log:q}"


rule render_figures:
    input:
        scores=SCORES,
        runs=RUN_FILES,
    output:
        report(
            directory(f"{R}/report/figures"),
            patterns=["{name}.svg"],
            caption="captions/figures.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    log:
        f"{R}/logs/render_figures.log",
    benchmark:
        f"{R}/benchmarks/render_figures.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("render_figures", mem_mb=1000, runtime=10),
    params:
        code=code_digest("workflow_scripts.report.render_figures"),
    shell:
        "python -m workflow_scripts.report.render_figures --scores {input.scores:q} --runs {input.runs:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule choose_examples:
    input:
        predictions=example_predictions,
        images=example_images,
    output:
        f"{R}/report/examples/{{benchmark}}.json",
    log:
        f"{R}/logs/choose_examples/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/choose_examples/{{benchmark}}.tsv"
    wildcard_constraints:
        benchmark="|".join(EXAMPLES) or "(?!)",
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("choose_examples", mem_mb=1000, runtime=10),
    params:
        title=example_title,
        images=folders_of("images"),
        code=code_digest("workflow_scripts.report.choose_examples"),
    shell:
        "python -m workflow_scripts.report.choose_examples --title {params.title:q}"
        " --predictions {input.predictions:q} --images {params.images:q} --output {output:q} 2>&1 | tee {log:q}"


rule choose_captions:
    input:
        predictions=example_predictions,
        shuffled=shuffled_predictions,
        images=example_images,
    output:
        f"{R}/report/examples/{{benchmark}}.json",
    log:
        f"{R}/logs/choose_captions/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/choose_captions/{{benchmark}}.tsv"
    wildcard_constraints:
        benchmark="|".join(OF_CAPTIONS) or "(?!)",
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("choose_captions", mem_mb=1000, runtime=10),
    params:
        title=example_title,
        images=folders_of("images"),
        code=code_digest("workflow_scripts.report.choose_captions"),
    shell:
        "python -m workflow_scripts.report.choose_captions --title {params.title:q}"
        " --predictions {input.predictions:q} --shuffled {input.shuffled:q} --images {params.images:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule draw_attention:
    input:
        questions=marker(CHAIN.benchmark(CHAIN.retrieval_benchmark)),
        images=marker(CHAIN.images(CHAIN.indexed_image_sets[0])),
        feature_extractor=marker(CHAIN.feature_extractor),
    output:
        f"{R}/report/attention.json",
    log:
        f"{R}/logs/draw_attention.log",
    benchmark:
        f"{R}/benchmarks/draw_attention.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("draw_attention", mem_mb=4000, runtime=20),
    params:
        images=folders_of("images"),
        feature_extractor=folders_of("feature_extractor"),
        code=code_digest("workflow_scripts.report.draw_attention"),
    shell:
        "python -m workflow_scripts.report.draw_attention --questions {input.questions:q} --images {params.images:q}"
        " --feature-extractor {params.feature_extractor:q} --output {output:q} 2>&1 | tee {log:q}"


rule render_page:
    input:
        **page_inputs(RUN_FILES),
        tracking=f"{R}/report/mlflow_runs.json",
    output:
        report(REPORT, caption="captions/page.rst", category="Report", labels={"page": "whole report"}),
    log:
        f"{R}/logs/render_page.log",
    benchmark:
        f"{R}/benchmarks/render_page.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("render_page", mem_mb=1000, runtime=10),
    params:
        settings=REPORT_SETTINGS,
        survey=survey_option,
        experiments=["--more-experiments", *MORE_EXPERIMENTS] if MORE_EXPERIMENTS else [],
        times=f"{R}/benchmarks",
        code=code_digest("workflow_scripts.report.render_page"),
    shell:
        "python -m workflow_scripts.report.render_page --settings {params.settings:q} --results {input.results:q}"
        " --scores {input.scores:q} --reported {input.reported:q} --expected {input.expected:q}"
        " --figures {input.figures:q} --examples {input.examples:q} --sheet {input.sheet:q} --runs {input.runs:q}"
        " --image-manifests {input.images:q} --pairs {input.pairs:q} --mixes {input.mixes:q}"
        " --attention {input.attention:q} {params.survey:q} {params.experiments:q} --times {params.times:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


# Asked for where there is a Chromium to print with; without one, the page is the report.
rule render_pdf:
    input:
        REPORT,
    output:
        PDF,
    log:
        f"{R}/logs/render_pdf.log",
    benchmark:
        f"{R}/benchmarks/render_pdf.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("render_pdf", mem_mb=1500, runtime=10),
    params:
        code=code_digest("workflow_scripts.report.render_pdf"),
    shell:
        "python -m workflow_scripts.report.render_pdf --page {input:q} --output {output:q} 2>&1 | tee {log:q}"


rule import_runs:
    input:
        scores=SCORES,
        runs=RUN_FILES,
        tables=f"{R}/report/tables",
        figures=f"{R}/report/figures",
    output:
        f"{R}/report/mlflow_runs.json",
    log:
        f"{R}/logs/import_runs.log",
    benchmark:
        f"{R}/benchmarks/import_runs.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("import_runs", mem_mb=1500, runtime=20),
    params:
        results=folder_above_output,
        tracking=TRACKING_URI,
        scale=SETTINGS.scale,
        code=code_digest("workflow_scripts.tracking.import_runs"),
    shell:
        "python -m workflow_scripts.tracking.import_runs --results {params.results:q}"
        " --tracking-uri {params.tracking:q} --experiment {params.scale:q} --done {output:q} 2>&1 | tee {log:q}"


rule check_expected:
    input:
        results=f"{R}/report/results.json",
        scores=SCORES,
        expected=EXPECTED,
    output:
        f"{R}/report/checked.txt",
    log:
        f"{R}/logs/check_expected.log",
    benchmark:
        f"{R}/benchmarks/check_expected.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("check_expected", mem_mb=1000, runtime=10),
    params:
        code=code_digest("workflow_scripts.report.check_expected"),
    shell:
        "python -m workflow_scripts.report.check_expected --results {input.results:q} --scores {input.scores:q}"
        " --expected {input.expected:q} 2>&1 | tee {log:q} {output:q}"


rule render_cards:
    input:
        images=IMAGE_MANIFESTS,
        tables=[at(product, "manifest.json") for product in TABLES],
        exclusions=[marker(product) for product in REPORT_PRODUCTS if product.rule == "list_exclusions"],
        runs=RUN_FILES,
        results=f"{R}/report/results.json",
    output:
        data=f"{R}/report/data_card.md",
        model=f"{R}/report/model_card.md",
    log:
        f"{R}/logs/render_cards.log",
    benchmark:
        f"{R}/benchmarks/render_cards.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("render_cards", mem_mb=1000, runtime=10),
    params:
        scale=SETTINGS.scale,
        about=SCALE.description,
        exclusions=exclusions_option,
        code=code_digest("workflow_scripts.report.render_cards"),
    shell:
        "python -m workflow_scripts.report.render_cards --scale {params.scale:q} --about {params.about:q}"
        " --images {input.images:q} --tables {input.tables:q} {params.exclusions:q} --runs {input.runs:q}"
        " --results {input.results:q} --output-data {output.data:q} --output-model {output.model:q} 2>&1 | tee {log:q}"
