# From the web, or from this machine, into shards: annotation files, lists of URLs, images, models.


rule fetch_files:
    input:
        published,
        local_files,
    output:
        f"{R}/annotations/{{key}}/manifest.json",
    log:
        f"{R}/logs/fetch_files/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/fetch_files/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("fetch_files"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("fetch_files", mem_mb=1000, runtime=240),
    params:
        web=web,
        source=own_name,
        folder=output_folder,
        checksums=checksums,
        form=from_mirror,
        row=source_row,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.sources.fetch_files"),
    shell:
        "{params.web} python -m workflow_scripts.sources.fetch_files --source {params.source:q}"
        " {params.form} {params.checksums:q} {params.catalogue:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule list_image_urls:
    input:
        unpack(made_from),
    output:
        f"{R}/urls/{{key}}/urls.parquet",
    log:
        f"{R}/logs/list_image_urls/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/list_image_urls/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("list_image_urls"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("list_image_urls", mem_mb=2000, runtime=30),
    params:
        image_set=own_name,
        given=given,
        maximum=maximum_images,
        form=from_mirror,
        row=image_set_row,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.data.list_image_urls"),
    shell:
        "python -m workflow_scripts.data.list_image_urls --image-set {params.image_set:q} {params.given:q}"
        " {params.maximum} {params.form} {params.catalogue:q} --output {output:q} 2>&1 | tee {log:q}"


rule download_images:
    input:
        unpack(made_from),
        web=published,
    output:
        f"{R}/images/{{key}}/manifest.json",
    log:
        f"{R}/logs/download_images/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/download_images/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("download_images"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("download_images", 1)
    resources:
        **job("download_images", mem_mb=2000, runtime=1440),
    params:
        web=web,
        image_set=own_name,
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.sources.download_images"),
    shell:
        "{params.web} python -m workflow_scripts.sources.download_images --url-list {input.urls:q}"
        " --image-set {params.image_set:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule pack_images:
    input:
        unpack(made_from),
    output:
        f"{R}/images/{{key}}/manifest.json",
    log:
        f"{R}/logs/pack_images/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/pack_images/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("pack_images"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("pack_images", 1)
    resources:
        **job("pack_images", mem_mb=2000, runtime=120),
    params:
        pictures=pictures_of,
        image_set=own_name,
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.sources.pack_images"),
    shell:
        "python -m workflow_scripts.sources.pack_images --pictures {params.pictures:q}"
        " --url-list {input.urls:q} --image-set {params.image_set:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule fetch_model:
    input:
        published,
        local_files,
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/fetch_model/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/fetch_model/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("fetch_model"),
    priority: 30
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("fetch_model", mem_mb=1000, runtime=240),
    params:
        web=web,
        name=own_name,
        folder=output_folder,
        row=source_row,
        catalogue=CATALOGUE,
        code=code_digest("workflow_scripts.sources.fetch_models"),
    shell:
        "{params.web} python -m workflow_scripts.sources.fetch_models --model {params.name:q}"
        " {params.catalogue:q} --output {params.folder:q} 2>&1 | tee {log:q}"
