# Pretraining and all finetunings of the adaptor: one program, different samples and settings.


rule train_adaptor:
    input:
        samples=lambda wildcards: samples_of(run_of(wildcards)),
        manifest=lambda wildcards: manifest_of(run_of(wildcards).parents["samples"]),
        features=lambda wildcards: feature_manifests_of(run_of(wildcards)),
        language_model=lambda wildcards: model_of(run_of(wildcards), "language_model"),
        initial_adaptor=lambda wildcards: initial_adaptor_of(run_of(wildcards)),
    output:
        adaptor=f"{R}/{{stage}}/{{run}}/adaptor.safetensors",
        run=f"{R}/{{stage}}/{{run}}/run.json",
    params:
        folder=f"{R}/{{stage}}/{{run}}",
        launch=lambda wildcards: launcher(training_settings(run_of(wildcards))),
        features=lambda wildcards, input: folders(input.features),
        language_model=lambda wildcards, input: folders(input.language_model),
        initial_adaptor=lambda wildcards, input: (
            ["--initial-adaptor", *input.initial_adaptor] if input.initial_adaptor else []
        ),
        settings=lambda wildcards: settings_json(run_of(wildcards)),
        identity=lambda wildcards: identity_json(run_of(wildcards)),
        label=lambda wildcards: run_of(wildcards).name,
        tracking=TRACKING_URI,
        scale=SETTINGS.scale,
        code=code_digest("workflow_scripts.training.train_adaptor"),
    log:
        f"{R}/logs/train_adaptor/{{stage}}/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/train_adaptor/{{stage}}/{{run}}.tsv"
    wildcard_constraints:
        stage="pretrain|finetune|finetune_okvqa|finetune_refcoco",
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=0,
    conda:
        "../envs/environment.yaml"
    shell:
        "{params.launch} -m workflow_scripts.training.train_adaptor --run-folder {params.folder:q}"
        " --stage {wildcards.stage} --label {params.label:q} --samples {input.samples:q}"
        " --samples-manifest {input.manifest:q} --features {params.features:q}"
        " --language-model {params.language_model:q} {params.initial_adaptor:q}"
        " --settings {params.settings:q} --identity {params.identity:q}"
        " --tracking-uri {params.tracking:q} --experiment {params.scale:q}"
        " --code-digest {params.code} 2>&1 | tee {log:q}"
