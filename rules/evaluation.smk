# Predicting and scoring are separate rules: a score is computed again from its predictions in a second.


rule predict:
    input:
        unpack(made_from),
    output:
        f"{R}/evaluation/{{benchmark}}/{{key}}/predictions.jsonl",
    log:
        f"{R}/logs/predict/{{benchmark}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/predict/{{benchmark}}/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("predict"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("predict", 1)
    resources:
        **job("predict", mem_mb=2000, runtime=240),
    params:
        options=predict_options,
        settings=own_settings,
        code=code_digest("workflow_scripts.evaluation.predict"),
    shell:
        "python -m workflow_scripts.evaluation.predict {params.options:q} --settings {params.settings:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule guess_question_only:
    input:
        unpack(made_from),
    output:
        f"{R}/evaluation/{{benchmark}}/{{key}}/predictions.jsonl",
    log:
        f"{R}/logs/guess_question_only/{{benchmark}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/guess_question_only/{{benchmark}}/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("guess_question_only"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("guess_question_only", mem_mb=1000, runtime=10),
    params:
        given=given,
        tasks=question_only_tasks,
        code=code_digest("workflow_scripts.evaluation.guess_question_only"),
    shell:
        "python -m workflow_scripts.evaluation.guess_question_only {params.given:q} {params.tasks:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule score:
    input:
        predictions=f"{R}/evaluation/{{benchmark}}/{{key}}/predictions.jsonl",
        questions=questions_table,
        run=evaluated_run,
    output:
        f"{R}/evaluation/{{benchmark}}/{{key}}/scores.json",
    log:
        f"{R}/logs/score/{{benchmark}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/score/{{benchmark}}/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("predict", "guess_question_only"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        # The Java program of METEOR takes most of it.
        **job("score", mem_mb=3000, runtime=10),
    params:
        scorer=scorer,
        options=figure_options,
        code=scorer_code,
    shell:
        "python -m {params.scorer} --predictions {input.predictions:q} --questions {input.questions:q}"
        " {params.options:q} --output {output:q} 2>&1 | tee {log:q}"


rule rank_images:
    input:
        unpack(made_from),
    output:
        similarity=f"{R}/evaluation/{{benchmark}}/{{key}}/similarity.npy",
        captions=f"{R}/evaluation/{{benchmark}}/{{key}}/captions.json",
    log:
        f"{R}/logs/rank_images/{{benchmark}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/rank_images/{{benchmark}}/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("rank_images"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("rank_images", 1)
    resources:
        **job("rank_images", mem_mb=2000, runtime=60),
    params:
        method=retrieval_method,
        given=given,
        captions=all_captions,
        code=code_digest("workflow_scripts.evaluation.rank_images"),
    shell:
        "python -m workflow_scripts.evaluation.rank_images --method {params.method} {params.given:q}"
        " {params.captions} --output-similarity {output.similarity:q}"
        " --output-captions {output.captions:q} 2>&1 | tee {log:q}"


rule rerank_images:
    input:
        unpack(made_from),
        captions=ranked_captions,
    output:
        similarity=f"{R}/evaluation/{{benchmark}}/{{key}}/similarity.npy",
        image_to_text=f"{R}/evaluation/{{benchmark}}/{{key}}/image_to_text.npy",
    log:
        f"{R}/logs/rerank_images/{{benchmark}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/rerank_images/{{benchmark}}/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("rerank_images"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("rerank_images", 1)
    resources:
        **job("rerank_images", mem_mb=2000, runtime=120),
    params:
        options=reranking_options,
        settings=own_settings,
        code=code_digest("workflow_scripts.evaluation.rerank_images"),
    shell:
        "python -m workflow_scripts.evaluation.rerank_images --similarity {input.ranked:q}"
        " --captions {input.captions:q} {params.options:q} --settings {params.settings:q}"
        " --output-similarity {output.similarity:q} --output-image-to-text {output.image_to_text:q} 2>&1 | tee {log:q}"


rule score_retrieval:
    input:
        similarity=f"{R}/evaluation/{{benchmark}}/{{key}}/similarity.npy",
        captions=ranked_captions,
        image_to_text=image_to_text,
        made_of=similarity_made_of,
    output:
        f"{R}/evaluation/{{benchmark}}/{{key}}/scores.json",
    log:
        f"{R}/logs/score_retrieval/{{benchmark}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/score_retrieval/{{benchmark}}/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("rank_images", "rerank_images"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("score_retrieval", mem_mb=2000, runtime=10),
    params:
        back=image_to_text_option,
        options=figure_options,
        headline=headline,
        code=code_digest("workflow_scripts.evaluation.score_retrieval"),
    shell:
        "python -m workflow_scripts.evaluation.score_retrieval --similarity {input.similarity:q}"
        " --captions {input.captions:q} {params.back:q} --made-of {input.made_of:q} {params.options:q}"
        " --headline {params.headline} --output {output:q} 2>&1 | tee {log:q}"
