# Where a scale has a pretrained vision encoder: its tokens of every picture, once, and what learns from them.

if SCALE.q_former:

    rule encode_images:
        input:
            images=lambda wildcards: at(TOKENS[wildcards.tokens].parents["images"], "manifest.json"),
            vision_encoder=at(CHAIN.pretrained("vision_encoder"), "SHA256SUMS"),
        output:
            f"{R}/tokens/{{tokens}}/manifest.json",
        log:
            f"{R}/logs/encode_images/{{tokens}}.log",
        benchmark:
            f"{R}/benchmarks/encode_images/{{tokens}}.tsv"
        priority: 30
        conda:
            "../envs/environment.yaml"
        threads: workflow.cores
        resources:
            **job("encode_images", mem_mb=3000, runtime=120),
        params:
            folder=lambda wildcards, output: folder(output[0]),
            images=lambda wildcards, input: folder(input.images),
            weights=VISION_WEIGHTS,
            code=code_digest("workflow_scripts.features.encode_images"),
        shell:
            "OMP_NUM_THREADS={threads} python -m workflow_scripts.features.encode_images --images {params.images:q}"
            " --weights {params.weights:q} --output {params.folder:q} 2>&1 | tee {log:q}"

    rule train_q_former:
        input:
            pairs=at(CHAIN.pairs, "samples.parquet"),
            tokens=[at(CHAIN.tokens(name), "manifest.json") for name in SCALE.roles.pretraining],
            vision_encoder=at(CHAIN.pretrained("vision_encoder"), "SHA256SUMS"),
            text_encoder=at(CHAIN.pretrained("text_encoder"), "SHA256SUMS"),
        output:
            at(CHAIN.feature_extractor, "SHA256SUMS"),
        log:
            f"{R}/logs/train_q_former.log",
        benchmark:
            f"{R}/benchmarks/train_q_former.tsv"
        priority: 20
        conda:
            "../envs/environment.yaml"
        threads: workflow.cores
        resources:
            **job("train_q_former", mem_mb=5000, runtime=240),
        params:
            folder=lambda wildcards, output: folder(output[0]),
            tokens=lambda wildcards, input: folders(input.tokens),
            weights=VISION_WEIGHTS,
            text_encoder=lambda wildcards, input: folder(input.text_encoder),
            settings=settings_json(SCALE.q_former),
            code=code_digest("workflow_scripts.small_models.train_q_former"),
        shell:
            "OMP_NUM_THREADS={threads} python -m workflow_scripts.small_models.train_q_former --pairs {input.pairs:q}"
            " --tokens {params.tokens:q} --vision-weights {params.weights:q} --text-encoder {params.text_encoder:q}"
            " --settings {params.settings:q} --output {params.folder:q} 2>&1 | tee {log:q}"


if CHAIN.linear_baseline:

    rule train_linear_baseline:
        input:
            pairs=at(CHAIN.pairs, "samples.parquet"),
            tokens=[at(CHAIN.tokens(name), "manifest.json") for name in SCALE.roles.pretraining],
        output:
            at(CHAIN.linear_baseline, "SHA256SUMS"),
        log:
            f"{R}/logs/train_linear_baseline.log",
        benchmark:
            f"{R}/benchmarks/train_linear_baseline.tsv"
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("train_linear_baseline", mem_mb=3000, runtime=60),
        params:
            folder=lambda wildcards, output: folder(output[0]),
            tokens=lambda wildcards, input: folders(input.tokens),
            settings=settings_json(SCALE.linear_baseline),
            code=code_digest("workflow_scripts.small_models.train_linear_baseline"),
        shell:
            "python -m workflow_scripts.small_models.train_linear_baseline --pairs {input.pairs:q}"
            " --tokens {params.tokens:q} --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"
