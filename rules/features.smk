# The frozen extractor's output for every picture, computed once and read by training, evaluation and search.


rule extract_features:
    input:
        source=feature_source_manifest,
        feature_extractor=feature_extractor_sums,
    output:
        f"{R}/features/{{key}}/manifest.json",
    log:
        f"{R}/logs/extract_features/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/extract_features/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("extract_features"),
    conda:
        "../envs/environment.yaml"
    threads: job_threads("extract_features", 1)
    resources:
        **job("extract_features", mem_mb=2000, runtime=120),
    params:
        folder=output_folder,
        source=feature_source_option,
        feature_extractor=folders_of("feature_extractor"),
        batch_size=SCALE.index.batch_size,
        code=code_digest("workflow_scripts.features.extract_features"),
    shell:
        "python -m workflow_scripts.features.extract_features {params.source:q}"
        " --feature-extractor {params.feature_extractor:q} --output {params.folder:q}"
        " --batch-size {params.batch_size} 2>&1 | tee {log:q}"
