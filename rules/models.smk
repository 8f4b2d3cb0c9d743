# The frozen models of a scale, trained here into the real models' own formats.


rule train_feature_extractor:
    input:
        at(CHAIN.corpus("vision"), "manifest.json"),
    output:
        at(CHAIN.feature_extractor, "SHA256SUMS"),
    params:
        corpus=at(CHAIN.corpus("vision")),
        folder=at(CHAIN.feature_extractor),
        settings=settings_json(SCALE.feature_extractor),
        code=code_digest("workflow_scripts.small_models.train_feature_extractor"),
    log:
        f"{R}/logs/train_feature_extractor.log",
    benchmark:
        f"{R}/benchmarks/train_feature_extractor.tsv"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=120,
        gpu=0,
    conda:
        "../envs/environment.yaml"
    shell:
        "python -m workflow_scripts.small_models.train_feature_extractor --corpus {params.corpus:q}"
        " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_language_model:
    input:
        at(CHAIN.corpus("text"), "manifest.json"),
    output:
        at(CHAIN.language_model, "SHA256SUMS"),
    params:
        corpus=at(CHAIN.corpus("text")),
        folder=at(CHAIN.language_model),
        settings=settings_json(SCALE.language_model),
        code=code_digest("workflow_scripts.small_models.train_language_model"),
    log:
        f"{R}/logs/train_language_model.log",
    benchmark:
        f"{R}/benchmarks/train_language_model.tsv"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=120,
        gpu=0,
    conda:
        "../envs/environment.yaml"
    shell:
        "python -m workflow_scripts.small_models.train_language_model --corpus {params.corpus:q}"
        " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"


if CHAIN.clip:

    rule train_clip:
        input:
            at(CHAIN.corpus("vision"), "manifest.json"),
        output:
            at(CHAIN.clip, "SHA256SUMS"),
        params:
            corpus=at(CHAIN.corpus("vision")),
            folder=at(CHAIN.clip),
            settings=settings_json(SCALE.clip),
            code=code_digest("workflow_scripts.small_models.train_clip"),
        log:
            f"{R}/logs/train_clip.log",
        benchmark:
            f"{R}/benchmarks/train_clip.tsv"
        threads: 1
        resources:
            mem_mb=2500,
            runtime=120,
            gpu=0,
        conda:
            "../envs/environment.yaml"
        shell:
            "python -m workflow_scripts.small_models.train_clip --corpus {params.corpus:q}"
            " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"
