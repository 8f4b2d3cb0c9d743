# The survey: nine answers of the finetuned system that people rate, and what they have said until now.


rule choose_survey_questions:
    input:
        marker(SURVEY_BENCHMARK),
    output:
        f"{R}/survey/questions.parquet",
    log:
        f"{R}/logs/choose_survey_questions.log",
    benchmark:
        f"{R}/benchmarks/choose_survey_questions.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("choose_survey_questions", mem_mb=1000, runtime=10),
    params:
        code=code_digest("workflow_scripts.survey.choose_questions"),
    shell:
        "python -m workflow_scripts.survey.choose_questions --questions {input:q} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule predict_survey:
    input:
        **{role: marker(given) for role, given in SURVEY_SEEN.items()},
        questions=f"{R}/survey/questions.parquet",
        language_model=marker(CHAIN.language_model),
        adaptor=marker(SURVEY_RUN),
    output:
        f"{R}/survey/predictions.jsonl",
    log:
        f"{R}/logs/predict_survey.log",
    benchmark:
        f"{R}/benchmarks/predict_survey.tsv"
    conda:
        "../envs/environment.yaml"
    threads: job_threads("predict", 1)
    resources:
        **job("predict", mem_mb=2000, runtime=60),
    params:
        images=[word for role, given in SURVEY_SEEN.items() for word in option(role, given)],
        language_model=folders_of("language_model"),
        settings=settings_json(SCALE.predict.model_copy(update={"max_new_tokens": SCALE.survey.max_new_tokens})),
        code=code_digest("workflow_scripts.evaluation.predict"),
    shell:
        "python -m workflow_scripts.evaluation.predict --questions {input.questions:q} {params.images:q}"
        " --language-model {params.language_model:q} --adaptor {input.adaptor:q} --settings {params.settings:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule build_survey:
    input:
        predictions=f"{R}/survey/predictions.jsonl",
        images=marker(SURVEY_BENCHMARK.parents["images"]),
        run=at(SURVEY_RUN, "run.json"),
    output:
        f"{R}/survey/survey.json",
    log:
        f"{R}/logs/build_survey.log",
    benchmark:
        f"{R}/benchmarks/build_survey.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_survey", mem_mb=1000, runtime=10),
    params:
        images=folders_of("images"),
        code=code_digest("workflow_scripts.survey.build_survey"),
    shell:
        "python -m workflow_scripts.survey.build_survey --predictions {input.predictions:q} --images {params.images:q}"
        " --run {input.run:q} --output {output:q} 2>&1 | tee {log:q}"


# The responses come from people and not from a rule: where there are none yet, the table says so.
rule summarise_survey:
    input:
        survey=f"{R}/survey/survey.json",
        responses=[RESPONSES] if Path(RESPONSES).exists() else [],
        reported="expected/report.yaml",
    output:
        report(
            directory(f"{R}/report/survey"),
            patterns=["{name}.csv"],
            caption="captions/survey.rst",
            category="Tables",
            labels={"table": "{name}"},
        ),
    log:
        f"{R}/logs/summarise_survey.log",
    benchmark:
        f"{R}/benchmarks/summarise_survey.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("summarise_survey", mem_mb=1000, runtime=10),
    params:
        responses=RESPONSES,
        code=code_digest("workflow_scripts.survey.summarise"),
    shell:
        "python -m workflow_scripts.survey.summarise --survey {input.survey:q} --responses {params.responses:q}"
        " --reported {input.reported:q} --output {output:q} 2>&1 | tee {log:q}"
