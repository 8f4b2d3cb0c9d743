# Image sets that a scale has fetched in `parts`: the pictures and the features of each part are a job of their own, by
# the rules of whole sets in a folder below the set's. A part that failed runs again alone.
localrules:
    cut_url_list,


rule cut_url_list:
    input:
        unpack(made_from),
    output:
        f"{R}/images/{{key}}/parts/{{part}}/listed.parquet",
    log:
        f"{R}/logs/cut_url_list/{{key}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/cut_url_list/{{key}}/{{part}}.tsv"
    wildcard_constraints:
        key=in_parts("images"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("cut_url_list", mem_mb=1000, runtime=10),
    params:
        parts=number_of_parts,
        samples_per_shard=SCALE.download.samples_per_shard,
        code=code_digest("workflow_scripts.sources.cut_url_list"),
    shell:
        "python -m workflow_scripts.sources.cut_url_list --url-list {input.urls:q} --part {wildcards.part}"
        " --parts {params.parts} --samples-per-shard {params.samples_per_shard} --output {output:q} 2>&1 | tee {log:q}"


use rule download_images as download_part with:
    input:
        urls=rules.cut_url_list.output[0],
        web=published,
    output:
        f"{R}/images/{{key}}/parts/{{part}}/manifest.json",
    log:
        f"{R}/logs/download_part/{{key}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/download_part/{{key}}/{{part}}.tsv"
    wildcard_constraints:
        key=in_parts("images", packed=False),


use rule pack_images as pack_part with:
    input:
        urls=rules.cut_url_list.output[0],
        archive=archive_manifest,
    output:
        f"{R}/images/{{key}}/parts/{{part}}/manifest.json",
    log:
        f"{R}/logs/pack_part/{{key}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/pack_part/{{key}}/{{part}}.tsv"
    wildcard_constraints:
        key=in_parts("images", packed=True),


rule join_images:
    input:
        part_manifests,
    output:
        f"{R}/images/{{key}}/manifest.json",
    log:
        f"{R}/logs/join_images/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/join_images/{{key}}.tsv"
    wildcard_constraints:
        key=in_parts("images"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("join_images", mem_mb=8000, runtime=60),
    params:
        parts=input_folders,
        folder=output_folder,
        code=code_digest("workflow_scripts.sources.join_images"),
    shell:
        "python -m workflow_scripts.sources.join_images --parts {params.parts:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


use rule extract_features as extract_part with:
    input:
        source=part_of_source,
        feature_extractor=feature_extractor_sums,
    output:
        f"{R}/features/{{key}}/parts/{{part}}/manifest.json",
    log:
        f"{R}/logs/extract_part/{{key}}/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/extract_part/{{key}}/{{part}}.tsv"
    wildcard_constraints:
        key=in_parts("features"),


rule join_features:
    input:
        parts=part_manifests,
        images=feature_source_manifest,
    output:
        f"{R}/features/{{key}}/manifest.json",
    log:
        f"{R}/logs/join_features/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/join_features/{{key}}.tsv"
    wildcard_constraints:
        key=in_parts("features"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("join_features", mem_mb=8000, runtime=240),
    params:
        parts=folders_of("parts"),
        images=folders_of("images"),
        folder=output_folder,
        code=code_digest("workflow_scripts.features.join_features"),
    shell:
        "python -m workflow_scripts.features.join_features --parts {params.parts:q} --images {params.images:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
