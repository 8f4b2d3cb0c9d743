# What the adaptor learns from and what it is asked: filtered pairs, finetuning mixes, benchmarks.


rule list_exclusions:
    input:
        evaluations=[at(CHAIN.annotations(name), "manifest.json") for name in EVALUATION_SOURCES.values()],
        training=[at(CHAIN.annotations(name), "manifest.json") for name in TRAINING_SOURCES.values()],
    output:
        f"{R}/data/{{exclusions}}/exclusions.json",
    log:
        f"{R}/logs/list_exclusions/{{exclusions}}.log",
    benchmark:
        f"{R}/benchmarks/list_exclusions/{{exclusions}}.tsv"
    wildcard_constraints:
        exclusions=any_of(EXCLUSIONS.values()),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("list_exclusions", mem_mb=2000, runtime=30),
    params:
        sources=exclusion_sources,
        code=code_digest("workflow_scripts.data.list_exclusions"),
    shell:
        "python -m workflow_scripts.data.list_exclusions {params.sources:q} --output {output:q} 2>&1 | tee {log:q}"


rule filter_pairs:
    input:
        sources=[
            at(product, "manifest.json")
            for name in SCALE.roles.pretraining
            for product in (CHAIN.annotations(listing_data_set(name)), CHAIN.images(name))
        ],
        exclude=lambda wildcards: exclusions_of(PAIRS[wildcards.pairs]),
    output:
        samples=f"{R}/data/{{pairs}}/samples.parquet",
        manifest=f"{R}/data/{{pairs}}/manifest.json",
    log:
        f"{R}/logs/filter_pairs/{{pairs}}.log",
    benchmark:
        f"{R}/benchmarks/filter_pairs/{{pairs}}.tsv"
    wildcard_constraints:
        pairs=any_of(PAIRS.values()),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("filter_pairs", mem_mb=2000, runtime=60),
    params:
        sources=lambda wildcards, input: sources_of(SCALE.roles.pretraining, input.sources),
        exclude=exclude_option,
        settings=lambda wildcards: settings_json(PAIRS[wildcards.pairs].settings),
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.data.filter_pairs"),
    shell:
        "python -m workflow_scripts.data.filter_pairs {params.sources:q} {params.exclude:q}"
        " --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule build_mix:
    input:
        sources=lambda wildcards: [
            at(product, "manifest.json")
            for data_set, image_set in mix_sources(wildcards)
            for product in (CHAIN.annotations(data_set), CHAIN.images(image_set))
        ],
        splits=SPLITS,
        exclude=lambda wildcards: exclusions_of(MIXES[wildcards.mix]),
    output:
        samples=f"{R}/data/{{mix}}/samples.parquet",
        manifest=f"{R}/data/{{mix}}/manifest.json",
    log:
        f"{R}/logs/build_mix/{{mix}}.log",
    benchmark:
        f"{R}/benchmarks/build_mix/{{mix}}.tsv"
    wildcard_constraints:
        mix="[a-z_]+_mix-[0-9a-f]+",
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_mix", mem_mb=2000, runtime=60),
    params:
        sources=lambda wildcards, input: sources_of([data_set for data_set, _ in mix_sources(wildcards)], input.sources),
        splits=SPLIT_FILE,
        exclude=exclude_option,
        settings=lambda wildcards: settings_json(MIXES[wildcards.mix].settings),
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.data.build_mix"),
    shell:
        "python -m workflow_scripts.data.build_mix {params.sources:q} {params.splits:q} {params.exclude:q}"
        " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule merge_samples:
    input:
        lambda wildcards: [at(part, "samples.parquet") for part in MIXED_PAIRS[wildcards.mixed].parents.values()],
    output:
        samples=f"{R}/data/{{mixed}}/samples.parquet",
        manifest=f"{R}/data/{{mixed}}/manifest.json",
    log:
        f"{R}/logs/merge_samples/{{mixed}}.log",
    benchmark:
        f"{R}/benchmarks/merge_samples/{{mixed}}.tsv"
    wildcard_constraints:
        mixed=any_of(MIXED_PAIRS.values()),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("merge_samples", mem_mb=2000, runtime=60),
    params:
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.data.merge_samples"),
    shell:
        "python -m workflow_scripts.data.merge_samples --samples {input:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule build_benchmark:
    input:
        annotations=lambda wildcards: at(CHAIN.annotations(asked_by(wildcards)), "manifest.json"),
        images=lambda wildcards: at(benchmark_images(wildcards), "manifest.json"),
        splits=SPLITS,
    output:
        questions=f"{R}/questions/{{asked}}/questions.parquet",
        manifest=f"{R}/questions/{{asked}}/manifest.json",
    log:
        f"{R}/logs/build_benchmark/{{asked}}.log",
    benchmark:
        f"{R}/benchmarks/build_benchmark/{{asked}}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_benchmark", mem_mb=2000, runtime=30),
    params:
        name=lambda wildcards: BENCHMARKS[wildcards.asked].name,
        image_set=lambda wildcards: benchmark_images(wildcards).name,
        annotations=lambda wildcards, input: folder(input.annotations),
        images=lambda wildcards, input: folder(input.images),
        splits=SPLIT_FILE,
        split=SCALE.evaluation_split,
        settings=lambda wildcards: settings_json(BENCHMARKS[wildcards.asked].settings),
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.data.build_benchmark"),
    shell:
        "python -m workflow_scripts.data.build_benchmark --benchmark {params.name:q}"
        " --image-set {params.image_set:q} --annotations {params.annotations:q} --images {params.images:q}"
        " --split {params.split} {params.splits:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
