# Image sets that a scale has fetched in `parts`: the pictures and the features of each part are a job of their own, by
# the rules of whole sets in a folder below the set's. A part that failed runs again alone.
localrules:
    cut_url_list,


rule cut_url_list:
    input:
        f"{R}/urls/{{images}}.parquet",
    output:
        f"{R}/images/{{images}}/parts/{{part}}/listed.parquet",
    log:
        f"{R}/logs/cut_url_list/{{images}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/cut_url_list/{{images}}/{{part}}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("cut_url_list", mem_mb=1000, runtime=10),
    params:
        parts=lambda wildcards: SCALE.parts[IMAGES[wildcards.images].name],
        samples_per_shard=SCALE.download.samples_per_shard,
        code=code_digest("workflow_scripts.sources.cut_url_list"),
    shell:
        "python -m workflow_scripts.sources.cut_url_list --url-list {input:q} --part {wildcards.part}"
        " --parts {params.parts} --samples-per-shard {params.samples_per_shard} --output {output:q} 2>&1 | tee {log:q}"


use rule download_images as download_part with:
    input:
        urls=rules.cut_url_list.output[0],
        web=WEB_READY,
    output:
        f"{R}/images/{{images}}/parts/{{part}}/manifest.json",
    log:
        f"{R}/logs/download_part/{{images}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/download_part/{{images}}/{{part}}.tsv"
    wildcard_constraints:
        images=one_of(IMAGES, packed=False, in_parts=True),


use rule pack_images as pack_part with:
    input:
        urls=rules.cut_url_list.output[0],
        archive=lambda wildcards: at(CHAIN.annotations(archive_of(wildcards)), "manifest.json"),
    output:
        f"{R}/images/{{images}}/parts/{{part}}/manifest.json",
    log:
        f"{R}/logs/pack_part/{{images}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/pack_part/{{images}}/{{part}}.tsv"
    wildcard_constraints:
        images=one_of(IMAGES, packed=True, in_parts=True),


rule join_images:
    input:
        lambda wildcards: part_manifests(IMAGES[wildcards.images]),
    output:
        f"{R}/images/{{images}}/manifest.json",
    log:
        f"{R}/logs/join_images/{{images}}.log",
    benchmark:
        f"{R}/benchmarks/join_images/{{images}}.tsv"
    wildcard_constraints:
        images=any_of(made(IMAGES.values(), in_parts=True)),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("join_images", mem_mb=8000, runtime=60),
    params:
        parts=lambda wildcards, input: folders(input),
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.sources.join_images"),
    shell:
        "python -m workflow_scripts.sources.join_images --parts {params.parts:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


use rule extract_features as extract_part with:
    input:
        source=lambda wildcards: at(feature_source(wildcards), "parts", wildcards.part, "manifest.json"),
        feature_extractor=at(CHAIN.feature_extractor, "SHA256SUMS"),
    output:
        f"{R}/features/{{features}}/parts/{{part}}/manifest.json",
    log:
        f"{R}/logs/extract_part/{{features}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/extract_part/{{features}}/{{part}}.tsv"
    wildcard_constraints:
        features=any_of(made(FEATURES.values(), in_parts=True)),


rule join_features:
    input:
        parts=lambda wildcards: part_manifests(FEATURES[wildcards.features]),
        images=lambda wildcards: at(feature_source(wildcards), "manifest.json"),
    output:
        f"{R}/features/{{features}}/manifest.json",
    log:
        f"{R}/logs/join_features/{{features}}.log",
    benchmark:
        f"{R}/benchmarks/join_features/{{features}}.tsv"
    wildcard_constraints:
        features=any_of(made(FEATURES.values(), in_parts=True)),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("join_features", mem_mb=8000, runtime=240),
    params:
        parts=lambda wildcards, input: folders(input.parts),
        images=lambda wildcards, input: folder(input.images),
        folder=lambda wildcards, output: folder(output[0]),
        code=code_digest("workflow_scripts.features.join_features"),
    shell:
        "python -m workflow_scripts.features.join_features --parts {params.parts:q} --images {params.images:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
