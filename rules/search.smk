# The index over the pictures of the retrieval benchmark, and others that the scale names, and a sheet of what it finds.


rule build_index:
    input:
        unpack(made_from),
    output:
        f"{R}/search/{{key}}/index.json",
    log:
        f"{R}/logs/build_index/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/build_index/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("build_index"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("build_index", mem_mb=2000, runtime=60),
    params:
        folder=output_folder,
        given=given,
        settings=own_settings,
        code=code_digest("workflow_scripts.search.build"),
    shell:
        "python -m workflow_scripts.search.build {params.given:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule search_sheet:
    input:
        index=marker(CHAIN.index),
        questions=marker(CHAIN.benchmark(CHAIN.retrieval_benchmark)),
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
        index=folders_of("index"),
        queries=SCALE.queries,
        code=code_digest("workflow_scripts.search.sheet"),
    shell:
        "python -m workflow_scripts.search.sheet --index {params.index:q} --queries {params.queries:q}"
        " --benchmark {input.questions:q} --output {output:q} 2>&1 | tee {log:q}"
