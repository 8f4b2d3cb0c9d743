# The index over the pictures of the retrieval benchmark, and others that the scale names, and a sheet of what it finds.


rule build_index:
    input:
        images=[at(CHAIN.images(name), "manifest.json") for name in CHAIN.indexed_image_sets],
        features=[at(CHAIN.features(name), "manifest.json") for name in CHAIN.indexed_image_sets],
        feature_extractor=at(CHAIN.feature_extractor, "SHA256SUMS"),
    output:
        at(CHAIN.index, "index.json"),
    log:
        f"{R}/logs/build_index.log",
    benchmark:
        f"{R}/benchmarks/build_index.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_index", mem_mb=2000, runtime=60),
    params:
        folder=lambda wildcards, output: folder(output[0]),
        images=lambda wildcards, input: folders(input.images),
        features=lambda wildcards, input: folders(input.features),
        feature_extractor=lambda wildcards, input: folder(input.feature_extractor),
        settings=settings_json(SCALE.index),
        code=code_digest("workflow_scripts.search.build"),
    shell:
        "python -m workflow_scripts.search.build --images {params.images:q} --features {params.features:q}"
        " --feature-extractor {params.feature_extractor:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule search_sheet:
    input:
        index=at(CHAIN.index, "index.json"),
        questions=at(CHAIN.benchmark(CHAIN.retrieval_benchmark), "questions.parquet"),
    output:
        f"{R}/report/sheet.json",
    log:
        f"{R}/logs/search_sheet.log",
    benchmark:
        f"{R}/benchmarks/search_sheet.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("search_sheet", mem_mb=2000, runtime=10),
    params:
        index=lambda wildcards, input: folder(input.index),
        queries=SCALE.queries,
        code=code_digest("workflow_scripts.search.sheet"),
    shell:
        "python -m workflow_scripts.search.sheet --index {params.index:q} --queries {params.queries:q}"
        " --benchmark {input.questions:q} --output {output:q} 2>&1 | tee {log:q}"
