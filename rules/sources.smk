# From the web into shards: annotation files, lists of URLs, pictures.


rule fetch_files:
    input:
        WEB_READY,
    output:
        f"{R}/annotations/{{annotations}}/manifest.json",
    log:
        f"{R}/logs/fetch_files/{{annotations}}.log",
    benchmark:
        f"{R}/benchmarks/fetch_files/{{annotations}}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("fetch_files", mem_mb=1000, runtime=240),
    params:
        web=WEB,
        source=lambda wildcards: ANNOTATIONS[wildcards.annotations].name,
        folder=lambda wildcards, output: folder(output[0]),
        checksums=CHECKSUMS,
        form=lambda wildcards: mirror_flag(load_registry().source(ANNOTATIONS[wildcards.annotations].name)),
        row=lambda wildcards: REGISTRY.source(ANNOTATIONS[wildcards.annotations].name).model_dump_json(),
        code=code_digest("workflow_scripts.sources.fetch_files"),
    shell:
        "{params.web} python -m workflow_scripts.sources.fetch_files --source {params.source:q}"
        " {params.form} {params.checksums:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule list_image_urls:
    input:
        lambda wildcards: [at(CHAIN.annotations(name), "manifest.json") for name in listed_by(wildcards)],
    output:
        f"{R}/urls/{{images}}.parquet",
    log:
        f"{R}/logs/list_image_urls/{{images}}.log",
    benchmark:
        f"{R}/benchmarks/list_image_urls/{{images}}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("list_image_urls", mem_mb=2000, runtime=30),
    params:
        image_set=lambda wildcards: IMAGES[wildcards.images].name,
        annotations=lambda wildcards, input: folders(input),
        maximum=lambda wildcards: maximum_images(wildcards),
        form=lambda wildcards: mirror_flag(load_registry().image_set(IMAGES[wildcards.images].name)),
        row=lambda wildcards: REGISTRY.image_set(IMAGES[wildcards.images].name).model_dump_json(),
        code=code_digest("workflow_scripts.data.list_image_urls"),
    shell:
        "python -m workflow_scripts.data.list_image_urls --image-set {params.image_set:q}"
        " --annotations {params.annotations:q} {params.maximum} {params.form} --output {output:q} 2>&1 | tee {log:q}"


rule download_images:
    input:
        urls=f"{R}/urls/{{images}}.parquet",
        web=WEB_READY,
    output:
        f"{R}/images/{{images}}/manifest.json",
    log:
        f"{R}/logs/download_images/{{images}}.log",
    benchmark:
        f"{R}/benchmarks/download_images/{{images}}.tsv"
    wildcard_constraints:
        images=one_of(IMAGES, packed=False),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("download_images", 1)
    resources:
        **job("download_images", mem_mb=2000, runtime=1440),
    params:
        web=WEB,
        image_set=lambda wildcards: IMAGES[wildcards.images].name,
        folder=lambda wildcards, output: folder(output[0]),
        settings=settings_json(SCALE.download),
        code=code_digest("workflow_scripts.sources.download_images"),
    shell:
        "{params.web} python -m workflow_scripts.sources.download_images --url-list {input.urls:q}"
        " --image-set {params.image_set:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule pack_images:
    input:
        urls=f"{R}/urls/{{images}}.parquet",
        archive=lambda wildcards: at(CHAIN.annotations(archive_of(wildcards)), "manifest.json"),
    output:
        f"{R}/images/{{images}}/manifest.json",
    log:
        f"{R}/logs/pack_images/{{images}}.log",
    benchmark:
        f"{R}/benchmarks/pack_images/{{images}}.tsv"
    wildcard_constraints:
        images=one_of(IMAGES, packed=True),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("pack_images", 1)
    resources:
        **job("pack_images", mem_mb=2000, runtime=120),
    params:
        pictures=lambda wildcards, input: folder(input.archive),
        image_set=lambda wildcards: IMAGES[wildcards.images].name,
        folder=lambda wildcards, output: folder(output[0]),
        settings=settings_json(SCALE.download),
        code=code_digest("workflow_scripts.sources.pack_images"),
    shell:
        "python -m workflow_scripts.sources.pack_images --pictures {params.pictures:q}"
        " --url-list {input.urls:q} --image-set {params.image_set:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule fetch_model:
    input:
        WEB_READY,
    output:
        f"{R}/models/{{model}}/SHA256SUMS",
    log:
        f"{R}/logs/fetch_model/{{model}}.log",
    benchmark:
        f"{R}/benchmarks/fetch_model/{{model}}.tsv"
    wildcard_constraints:
        model="|".join(map(re.escape, MODELS)) or "(?!)",
    priority: 30
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("fetch_model", mem_mb=1000, runtime=240),
    params:
        web=WEB,
        name=lambda wildcards: MODELS[wildcards.model].name,
        folder=lambda wildcards, output: folder(output[0]),
        row=lambda wildcards: REGISTRY.source(MODELS[wildcards.model].name).model_dump_json(),
        code=code_digest("workflow_scripts.sources.fetch_models"),
    shell:
        "{params.web} python -m workflow_scripts.sources.fetch_models --model {params.name:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
