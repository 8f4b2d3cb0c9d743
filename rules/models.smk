# The frozen models of a scale, trained here into the real models' own formats. The longest training goes first.

if not SCALE.world:

    rule write_text_corpus:
        input:
            unpack(made_from),
        output:
            f"{R}/corpora/{{key}}/manifest.json",
        log:
            f"{R}/logs/write_text_corpus/{{key}}.log",
        benchmark:
            f"{R}/benchmarks/write_text_corpus/{{key}}.tsv"
        wildcard_constraints:
            key=made_by("write_text_corpus"),
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("write_text_corpus", mem_mb=2000, runtime=30),
        params:
            given=given,
            folder=output_folder,
            seed=SCALE.language_model.seed,
            code=code_digest("workflow_scripts.small_models.write_text_corpus"),
        shell:
            "python -m workflow_scripts.small_models.write_text_corpus {params.given:q}"
            " --seed {params.seed} --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_feature_extractor:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/train_feature_extractor/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/train_feature_extractor/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("train_feature_extractor"),
    priority: 20
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("train_feature_extractor", mem_mb=2500, runtime=120),
    params:
        given=given,
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.small_models.train_feature_extractor"),
    shell:
        "python -m workflow_scripts.small_models.train_feature_extractor {params.given:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_language_model:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/train_language_model/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/train_language_model/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("train_language_model"),
    priority: 10
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("train_language_model", mem_mb=2500, runtime=120),
    params:
        given=given,
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.small_models.train_language_model"),
    shell:
        "python -m workflow_scripts.small_models.train_language_model {params.given:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_clip:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/train_clip/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/train_clip/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("train_clip"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("train_clip", mem_mb=2500, runtime=120),
    params:
        given=given,
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.small_models.train_clip"),
    shell:
        "python -m workflow_scripts.small_models.train_clip {params.given:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule convert_gguf:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/convert_gguf/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/convert_gguf/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("convert_gguf"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("convert_gguf", mem_mb=4000, runtime=30),
    params:
        fetched=folders_of("pretrained"),
        folder=output_folder,
        code=code_digest("workflow_scripts.sources.convert_gguf"),
    shell:
        "python -m workflow_scripts.sources.convert_gguf --gguf {params.fetched:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule assemble_feature_extractor:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/assemble_feature_extractor/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/assemble_feature_extractor/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("assemble_feature_extractor"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("assemble_feature_extractor", mem_mb=2000, runtime=30),
    params:
        fetched=folders_of("pretrained"),
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.sources.assemble_feature_extractor"),
    shell:
        "python -m workflow_scripts.sources.assemble_feature_extractor --fetched {params.fetched:q}"
        " --geometry {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
