# The frozen extractor's output for every picture, computed once and read by training, evaluation and search.


rule extract_features:
    input:
        source=lambda wildcards: at(feature_source(wildcards), "manifest.json"),
        feature_extractor=at(CHAIN.feature_extractor, "SHA256SUMS"),
    output:
        f"{R}/features/{{features}}/manifest.json",
    log:
        f"{R}/logs/extract_features/{{features}}.log",
    benchmark:
        f"{R}/benchmarks/extract_features/{{features}}.tsv"
    wildcard_constraints:
        features=any_of(made(FEATURES.values(), in_parts=False)),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("extract_features", 1)
    resources:
        **job("extract_features", mem_mb=2000, runtime=120),
    params:
        folder=lambda wildcards, output: folder(output[0]),
        source=lambda wildcards, input: [f"--{feature_source(wildcards).area}", folder(input.source)],
        feature_extractor=lambda wildcards, input: folder(input.feature_extractor),
        batch_size=SCALE.index.batch_size,
        code=code_digest("workflow_scripts.features.extract_features"),
    shell:
        "python -m workflow_scripts.features.extract_features {params.source:q}"
        " --feature-extractor {params.feature_extractor:q} --output {params.folder:q}"
        " --batch-size {params.batch_size} 2>&1 | tee {log:q}"
