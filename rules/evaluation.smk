# Predicting and scoring are separate rules: a score is computed again from its predictions in a second.


rule predict:
    input:
        unpack(evaluation_images),
        questions=lambda wildcards: at(evaluation_of(wildcards).benchmark, "questions.parquet"),
        language_model=lambda wildcards: at(evaluation_of(wildcards).run.parents["language_model"], "SHA256SUMS"),
        adaptor=lambda wildcards: at(evaluation_of(wildcards).run, "adaptor.safetensors"),
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
    log:
        f"{R}/logs/predict/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/predict/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="|".join(SCORERS),
        evaluation="(?!question_only-).+",
    conda:
        "../envs/environment.yaml"
    threads: job_threads("predict", 1)
    resources:
        **job("predict", mem_mb=2000, runtime=240),
    params:
        images=lambda wildcards, input: image_options(input),
        language_model=lambda wildcards, input: folder(input.language_model),
        settings=lambda wildcards: settings_json(evaluation_of(wildcards).product.settings),
        shuffle=lambda wildcards: ["--shuffle-images"] if evaluation_of(wildcards).shuffle_images else [],
        code=code_digest("workflow_scripts.evaluation.predict"),
    shell:
        "python -m workflow_scripts.evaluation.predict --questions {input.questions:q}"
        " {params.images:q} --language-model {params.language_model:q} --adaptor {input.adaptor:q}"
        " --settings {params.settings:q} {params.shuffle} --output {output:q} 2>&1 | tee {log:q}"


rule guess_question_only:
    input:
        questions=lambda wildcards: at(evaluation_of(wildcards).benchmark, "questions.parquet"),
        mix=lambda wildcards: at(evaluation_of(wildcards).product.parents["mix"], "samples.parquet"),
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
    log:
        f"{R}/logs/guess_question_only/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/guess_question_only/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="visual_genome|daquar",
        evaluation="question_only-.+",
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("guess_question_only", mem_mb=1000, runtime=10),
    params:
        # Captions and truths are no answers to questions about rooms; Visual Genome's guess is of its whole mix.
        tasks=lambda wildcards: ["--tasks", "vqa"] if wildcards.benchmark == "daquar" else [],
        code=code_digest("workflow_scripts.evaluation.guess_question_only"),
    shell:
        "python -m workflow_scripts.evaluation.guess_question_only --mix {input.mix:q}"
        " --questions {input.questions:q} {params.tasks} --output {output:q} 2>&1 | tee {log:q}"


rule score_exact_match:
    input:
        predictions=f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
        run=evaluated_run,
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/scores.json",
    log:
        f"{R}/logs/score_exact_match/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/score_exact_match/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="|".join(scored_by("score_exact_match")),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("score_exact_match", mem_mb=1000, runtime=10),
    params:
        options=score_options,
        code=code_digest("workflow_scripts.evaluation.score_exact_match"),
    shell:
        "python -m workflow_scripts.evaluation.score_exact_match --predictions {input.predictions:q}"
        " {params.options:q} --output {output:q} 2>&1 | tee {log:q}"


rule score_vqa:
    input:
        predictions=f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
        run=evaluated_run,
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/scores.json",
    log:
        f"{R}/logs/score_vqa/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/score_vqa/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="|".join(scored_by("score_vqa")),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("score_vqa", mem_mb=1000, runtime=10),
    params:
        options=score_options,
        code=code_digest("workflow_scripts.evaluation.score_vqa"),
    shell:
        "python -m workflow_scripts.evaluation.score_vqa --predictions {input.predictions:q}"
        " {params.options:q} --output {output:q} 2>&1 | tee {log:q}"


rule score_rec:
    input:
        predictions=f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
        questions=lambda wildcards: at(evaluation_of(wildcards).benchmark, "questions.parquet"),
        run=evaluated_run,
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/scores.json",
    log:
        f"{R}/logs/score_rec/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/score_rec/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="|".join(scored_by("score_rec")),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("score_rec", mem_mb=1000, runtime=10),
    params:
        options=score_options,
        code=code_digest("workflow_scripts.evaluation.score_rec"),
    shell:
        "python -m workflow_scripts.evaluation.score_rec --predictions {input.predictions:q}"
        " --questions {input.questions:q} {params.options:q} --output {output:q} 2>&1 | tee {log:q}"


rule score_captions:
    input:
        predictions=f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
        run=evaluated_run,
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/scores.json",
    log:
        f"{R}/logs/score_captions/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/score_captions/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="|".join(scored_by("score_captions")),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        # The Java program of METEOR takes most of it.
        **job("score_captions", mem_mb=3000, runtime=10),
    params:
        options=score_options,
        suffix=lambda wildcards: f"--suffix={evaluation_of(wildcards).suffix}",
        code=code_digest("workflow_scripts.evaluation.score_captions"),
    shell:
        "python -m workflow_scripts.evaluation.score_captions --predictions {input.predictions:q}"
        " {params.options:q} {params.suffix:q} --output {output:q} 2>&1 | tee {log:q}"


rule score_wups:
    input:
        predictions=f"{R}/evaluation/{{benchmark}}/{{evaluation}}/predictions.jsonl",
        run=evaluated_run,
    output:
        f"{R}/evaluation/{{benchmark}}/{{evaluation}}/scores.json",
    log:
        f"{R}/logs/score_wups/{{benchmark}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/score_wups/{{benchmark}}/{{evaluation}}.tsv"
    wildcard_constraints:
        benchmark="|".join(scored_by("score_wups")),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("score_wups", mem_mb=1000, runtime=10),
    params:
        options=score_options,
        code=code_digest("workflow_scripts.evaluation.score_wups"),
    shell:
        "python -m workflow_scripts.evaluation.score_wups --predictions {input.predictions:q}"
        " {params.options:q} --output {output:q} 2>&1 | tee {log:q}"


rule rank_images:
    input:
        unpack(retrieval_inputs),
        questions=lambda wildcards: at(CHAIN.benchmark(wildcards.benchmark), "questions.parquet"),
    output:
        similarity=f"{R}/evaluation/{{benchmark}}/{{method}}-{RETRIEVAL_ID}/similarity.npy",
        captions=f"{R}/evaluation/{{benchmark}}/{{method}}-{RETRIEVAL_ID}/captions.json",
    log:
        f"{R}/logs/rank_images/{{benchmark}}-{{method}}.log",
    benchmark:
        f"{R}/benchmarks/rank_images/{{benchmark}}-{{method}}.tsv"
    wildcard_constraints:
        benchmark="|".join(RETRIEVAL),
        method="|".join(method for method in METHODS if method != "blip2_itm"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("rank_images", 1)
    resources:
        **job("rank_images", mem_mb=2000, runtime=60),
    params:
        method=lambda wildcards: "clip" if wildcards.method in CLIPS else wildcards.method,
        options=retrieval_options,
        code=code_digest("workflow_scripts.evaluation.rank_images"),
    shell:
        "python -m workflow_scripts.evaluation.rank_images --method {params.method}"
        " --benchmark {input.questions:q} {params.options:q} --output-similarity {output.similarity:q}"
        " --output-captions {output.captions:q} 2>&1 | tee {log:q}"


if SCALE.reranking:

    rule rerank_images:
        input:
            similarity=f"{R}/evaluation/{{benchmark}}/blip2-{RETRIEVAL_ID}/similarity.npy",
            captions=f"{R}/evaluation/{{benchmark}}/blip2-{RETRIEVAL_ID}/captions.json",
            model=at(CHAIN.feature_extractor, "SHA256SUMS"),
            pictures=reranking_inputs,
        output:
            similarity=f"{R}/evaluation/{{benchmark}}/blip2_itm-{RETRIEVAL_ID}/similarity.npy",
            image_to_text=f"{R}/evaluation/{{benchmark}}/blip2_itm-{RETRIEVAL_ID}/image_to_text.npy",
        log:
            f"{R}/logs/rerank_images/{{benchmark}}.log",
        benchmark:
            f"{R}/benchmarks/rerank_images/{{benchmark}}.tsv"
        wildcard_constraints:
            benchmark=CHAIN.retrieval_benchmark,
        conda:
            "../envs/environment.yaml"
        threads: job_threads("rerank_images", 1)
        resources:
            **job("rerank_images", mem_mb=2000, runtime=120),
        params:
            pictures=lambda wildcards, input: [
                "--tokens" if SCALE.q_former else "--images",
                folder(input.pictures),
            ],
            model=lambda wildcards, input: folder(input.model),
            settings=settings_json(SCALE.reranking),
            code=code_digest("workflow_scripts.evaluation.rerank_images"),
        shell:
            "python -m workflow_scripts.evaluation.rerank_images --similarity {input.similarity:q}"
            " --captions {input.captions:q} {params.pictures:q} --feature-extractor {params.model:q}"
            " --settings {params.settings:q} --output-similarity {output.similarity:q}"
            " --output-image-to-text {output.image_to_text:q} 2>&1 | tee {log:q}"


rule score_retrieval:
    input:
        similarity=f"{R}/evaluation/{{benchmark}}/{{method}}-{RETRIEVAL_ID}/similarity.npy",
        captions=lambda wildcards: ranked(wildcards, "captions.json"),
        image_to_text=image_to_text_similarity,
        made_of=similarity_made_of,
    output:
        f"{R}/evaluation/{{benchmark}}/{{method}}-{RETRIEVAL_ID}/scores.json",
    log:
        f"{R}/logs/score_retrieval/{{benchmark}}-{{method}}.log",
    benchmark:
        f"{R}/benchmarks/score_retrieval/{{benchmark}}-{{method}}.tsv"
    wildcard_constraints:
        benchmark="|".join(RETRIEVAL),
        method="|".join(METHODS),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("score_retrieval", mem_mb=2000, runtime=10),
    params:
        back=lambda wildcards, input: (
            ["--image-to-text-similarity", *input.image_to_text] if input.image_to_text else []
        ),
        id=lambda wildcards: retrieval_figure(wildcards.benchmark, wildcards.method),
        headline=retrieval_headline,
        split=lambda wildcards: split_name(wildcards.benchmark, SCALE.evaluation_split),
        code=code_digest("workflow_scripts.evaluation.score_retrieval"),
    shell:
        "python -m workflow_scripts.evaluation.score_retrieval --similarity {input.similarity:q}"
        " --captions {input.captions:q} {params.back:q} --made-of {input.made_of:q} --id {params.id:q}"
        " --headline {params.headline} --split {params.split} --output {output:q} 2>&1 | tee {log:q}"
