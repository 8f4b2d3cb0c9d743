# What the adaptor learns from and what it is asked: filtered captions, drawn samples, benchmarks.


rule list_exclusions:
    input:
        unpack(made_from),
    output:
        f"{R}/exclusions/{{key}}/exclusions.json",
    log:
        f"{R}/logs/list_exclusions/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/list_exclusions/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("list_exclusions"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("list_exclusions", mem_mb=2000, runtime=30),
    params:
        sources=exclusion_sources,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.data.list_exclusions"),
    shell:
        "python -m workflow_scripts.data.list_exclusions {params.sources:q} {params.catalogue:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule filter_pairs:
    input:
        unpack(made_from),
    output:
        samples=f"{R}/data/{{key}}/samples.parquet",
        manifest=f"{R}/data/{{key}}/manifest.json",
    log:
        f"{R}/logs/filter_pairs/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/filter_pairs/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("filter_pairs"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("filter_pairs", mem_mb=2000, runtime=60),
    params:
        sources=sources,
        exclude=exclude,
        settings=filter_settings,
        folder=output_folder,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.data.filter_pairs"),
    shell:
        "python -m workflow_scripts.data.filter_pairs {params.sources:q} {params.exclude:q}"
        " --settings {params.settings:q} {params.catalogue:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule build_mix:
    input:
        unpack(made_from),
    output:
        samples=f"{R}/data/{{key}}/samples.parquet",
        manifest=f"{R}/data/{{key}}/manifest.json",
    log:
        f"{R}/logs/build_mix/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/build_mix/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("build_mix"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_mix", mem_mb=2000, runtime=60),
    params:
        sources=sources,
        splits=split_file,
        exclude=exclude,
        settings=own_settings,
        folder=output_folder,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.data.build_mix"),
    shell:
        "python -m workflow_scripts.data.build_mix {params.sources:q} {params.splits:q} {params.exclude:q}"
        " --settings {params.settings:q} {params.catalogue:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule merge_samples:
    input:
        unpack(made_from),
    output:
        samples=f"{R}/data/{{key}}/samples.parquet",
        manifest=f"{R}/data/{{key}}/manifest.json",
    log:
        f"{R}/logs/merge_samples/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/merge_samples/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("merge_samples"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("merge_samples", mem_mb=2000, runtime=60),
    params:
        given=given,
        folder=output_folder,
        code=code_digest("workflow_scripts.data.merge_samples"),
    shell:
        "python -m workflow_scripts.data.merge_samples {params.given:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule build_benchmark:
    input:
        unpack(made_from),
    output:
        questions=f"{R}/questions/{{key}}/questions.parquet",
        manifest=f"{R}/questions/{{key}}/manifest.json",
    log:
        f"{R}/logs/build_benchmark/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/build_benchmark/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("build_benchmark"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_benchmark", mem_mb=2000, runtime=30),
    params:
        name=own_name,
        sources=sources,
        splits=split_file,
        split=SCALE.evaluation_split,
        settings=own_settings,
        folder=output_folder,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.data.build_benchmark"),
    shell:
        "python -m workflow_scripts.data.build_benchmark --benchmark {params.name:q} {params.sources:q}"
        " --split {params.split} {params.splits:q} --settings {params.settings:q} {params.catalogue:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
