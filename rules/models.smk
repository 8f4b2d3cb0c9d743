# The frozen models of a scale, trained here into the real models' own formats. The longest training goes first.

if not SCALE.world:

    rule write_text_corpus:
        input:
            pairs=at(CHAIN.pairs, "samples.parquet"),
            mix=[at(CHAIN.mix("photo_mix"), "samples.parquet")] if SCALE.mix_photo else [],
        output:
            at(CHAIN.corpus("text"), "manifest.json"),
        log:
            f"{R}/logs/write_text_corpus.log",
        benchmark:
            f"{R}/benchmarks/write_text_corpus.tsv"
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("write_text_corpus", mem_mb=2000, runtime=30),
        params:
            mix=lambda wildcards, input: ["--mix", *input.mix] if input.mix else [],
            folder=lambda wildcards, output: folder(output[0]),
            seed=SCALE.language_model.seed,
            code=code_digest("workflow_scripts.small_models.write_text_corpus"),
        shell:
            "python -m workflow_scripts.small_models.write_text_corpus --pairs {input.pairs:q} {params.mix:q}"
            " --seed {params.seed} --output {params.folder:q} 2>&1 | tee {log:q}"


if SCALE.feature_extractor:

    rule train_feature_extractor:
        input:
            at(CHAIN.corpus("vision"), "manifest.json"),
        output:
            at(CHAIN.feature_extractor, "SHA256SUMS"),
        log:
            f"{R}/logs/train_feature_extractor.log",
        benchmark:
            f"{R}/benchmarks/train_feature_extractor.tsv"
        priority: 20
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("train_feature_extractor", mem_mb=2500, runtime=120),
        params:
            corpus=lambda wildcards, input: folder(input[0]),
            folder=lambda wildcards, output: folder(output[0]),
            settings=settings_json(SCALE.feature_extractor),
            code=code_digest("workflow_scripts.small_models.train_feature_extractor"),
        shell:
            "python -m workflow_scripts.small_models.train_feature_extractor --corpus {params.corpus:q}"
            " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_language_model:
    input:
        lambda wildcards: at(LANGUAGE_MODELS[wildcards.model].parents["corpus"], "manifest.json"),
    output:
        f"{R}/models/{{model}}/SHA256SUMS",
    log:
        f"{R}/logs/train_language_model/{{model}}.log",
    benchmark:
        f"{R}/benchmarks/train_language_model/{{model}}.tsv"
    wildcard_constraints:
        model=any_of(model for model in LANGUAGE_MODELS.values() if "corpus" in model.parents),
    priority: 10
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("train_language_model", mem_mb=2500, runtime=120),
    params:
        corpus=lambda wildcards, input: folder(input[0]),
        folder=lambda wildcards, output: folder(output[0]),
        settings=lambda wildcards: settings_json(LANGUAGE_MODELS[wildcards.model].settings),
        code=code_digest("workflow_scripts.small_models.train_language_model"),
    shell:
        "python -m workflow_scripts.small_models.train_language_model --corpus {params.corpus:q}"
        " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule convert_gguf:
    input:
        lambda wildcards: at(LANGUAGE_MODELS[wildcards.model].parents["pretrained"], "SHA256SUMS"),
    output:
        f"{R}/models/{{model}}/SHA256SUMS",
    log:
        f"{R}/logs/convert_gguf/{{model}}.log",
    benchmark:
        f"{R}/benchmarks/convert_gguf/{{model}}.tsv"
    wildcard_constraints:
        model=any_of(model for model in LANGUAGE_MODELS.values() if "pretrained" in model.parents),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("convert_gguf", mem_mb=4000, runtime=30),
    params:
        fetched=lambda wildcards, input: folder(input[0]),
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.sources.convert_gguf"),
    shell:
        "python -m workflow_scripts.sources.convert_gguf --gguf {params.fetched:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


if FETCHED_EXTRACTOR:

    rule assemble_feature_extractor:
        input:
            at(FETCHED_EXTRACTOR, "SHA256SUMS"),
        output:
            at(CHAIN.feature_extractor, "SHA256SUMS"),
        log:
            f"{R}/logs/assemble_feature_extractor.log",
        benchmark:
            f"{R}/benchmarks/assemble_feature_extractor.tsv"
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("assemble_feature_extractor", mem_mb=2000, runtime=30),
        params:
            fetched=lambda wildcards, input: folder(input[0]),
            folder=lambda wildcards, output: folder(output[0]),
            geometry=settings_json(SCALE.feature_extractor_geometry),
            code=code_digest("workflow_scripts.sources.assemble_feature_extractor"),
        shell:
            "python -m workflow_scripts.sources.assemble_feature_extractor --fetched {params.fetched:q}"
            " --geometry {params.geometry:q} --output {params.folder:q} 2>&1 | tee {log:q}"


if SCALE.clip:

    rule train_clip:
        input:
            at(CHAIN.corpus("vision"), "manifest.json"),
        output:
            at(CHAIN.clip, "SHA256SUMS"),
        log:
            f"{R}/logs/train_clip.log",
        benchmark:
            f"{R}/benchmarks/train_clip.tsv"
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("train_clip", mem_mb=2500, runtime=120),
        params:
            corpus=lambda wildcards, input: folder(input[0]),
            folder=lambda wildcards, output: folder(output[0]),
            settings=settings_json(SCALE.clip),
            code=code_digest("workflow_scripts.small_models.train_clip"),
        shell:
            "python -m workflow_scripts.small_models.train_clip --corpus {params.corpus:q}"
            " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"
