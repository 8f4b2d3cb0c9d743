# Where a scale has a pretrained vision encoder: its tokens of every picture, once, and what learns from them.


rule encode_images:
    input:
        unpack(made_from),
    output:
        f"{R}/tokens/{{key}}/manifest.json",
    log:
        f"{R}/logs/encode_images/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/encode_images/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("encode_images"),
    priority: 30
    conda:
        "../envs/environment.yaml"
    threads: all_cores()
    resources:
        **job("encode_images", mem_mb=3000, runtime=120),
    params:
        folder=output_folder,
        images=folders_of("images"),
        weights=vision_weights,
        encoder=encoder_options,
        code=code_digest("workflow_scripts.features.encode_images"),
    shell:
        "OMP_NUM_THREADS={threads} python -m workflow_scripts.features.encode_images --images {params.images:q}"
        " --weights {params.weights:q} {params.encoder:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_q_former:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/train_q_former/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/train_q_former/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("train_q_former"),
    priority: 20
    conda:
        "../envs/environment.yaml"
    threads: all_cores()
    resources:
        **job("train_q_former", mem_mb=5000, runtime=240),
    params:
        tokens=folders_of("tokens"),
        weights=vision_weights,
        text_encoder=folders_of("text_encoder"),
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.small_models.train_q_former"),
    shell:
        "OMP_NUM_THREADS={threads} python -m workflow_scripts.small_models.train_q_former --pairs {input.pairs:q}"
        " --tokens {params.tokens:q} --vision-weights {params.weights:q} --text-encoder {params.text_encoder:q}"
        " --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"


rule train_linear_baseline:
    input:
        unpack(made_from),
    output:
        f"{R}/models/{{key}}/SHA256SUMS",
    log:
        f"{R}/logs/train_linear_baseline/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/train_linear_baseline/{{key}}.tsv"
    wildcard_constraints:
        key=made_by("train_linear_baseline"),
    conda:
        "../envs/environment.yaml"
    threads: 1
    resources:
        **job("train_linear_baseline", mem_mb=3000, runtime=60),
    params:
        given=given,
        folder=output_folder,
        settings=own_settings,
        code=code_digest("workflow_scripts.small_models.train_linear_baseline"),
    shell:
        "python -m workflow_scripts.small_models.train_linear_baseline {params.given:q} --settings {params.settings:q}"
        " --output {params.folder:q} 2>&1 | tee {log:q}"
