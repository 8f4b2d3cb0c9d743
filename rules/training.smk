# Pretraining and all finetunings of the adaptor: one program, different samples and settings.


rule train_adaptor:
    input:
        unpack(run_images),
        samples=lambda wildcards: at(run_of(wildcards).parents["samples"], "samples.parquet"),
        manifest=lambda wildcards: at(run_of(wildcards).parents["samples"], "manifest.json"),
        language_model=lambda wildcards: at(run_of(wildcards).parents["language_model"], "SHA256SUMS"),
        initial_adaptor=run_initial_adaptor,
    output:
        adaptor=f"{R}/{{stage}}/{{run}}/adaptor.safetensors",
        run=f"{R}/{{stage}}/{{run}}/run.json",
    log:
        f"{R}/logs/train_adaptor/{{stage}}/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/train_adaptor/{{stage}}/{{run}}.tsv"
    wildcard_constraints:
        stage="pretrain|finetune|finetune_okvqa|finetune_refcoco",
    conda:
        "../envs/environment.yaml"
    threads: unless_failed(job_threads("train_adaptor", 1), 1)
    resources:
        **training_resources(),
        # Nodes that train together, and in place of `gpu` the GPUs of each of them, as in gres: gpu:4.
        nodes=1,
        gres="",
        tasks_per_gpu=0,
        attempt=lambda wildcards, attempt: attempt,
    params:
        folder=lambda wildcards, output: folder(output[0]),
        images=lambda wildcards, input: image_options(input),
        language_model=lambda wildcards, input: folder(input.language_model),
        initial_adaptor=lambda wildcards, input: (
            ["--initial-adaptor", input.initial_adaptor] if input.initial_adaptor else []
        ),
        settings=lambda wildcards: settings_json(run_of(wildcards).settings),
        batch_size=lambda wildcards: run_of(wildcards).settings.batch_size,
        identity=lambda wildcards: json.dumps(run_of(wildcards).identity),
        label=lambda wildcards: run_of(wildcards).name,
        tracking=TRACKING_URI,
        scale=SETTINGS.scale,
        code=code_digest("workflow_scripts.training.train_adaptor"),
    # SLURM sends SIGTERM to all processes of a job: tee has to outlive the training, which says why it ends.
    shell:
        "python -m workflow_scripts.training.launch --nodes {resources.nodes} --gpu {resources.gpu}"
        " --gres={resources.gres:q} --batch-size {params.batch_size} -- --run-folder {params.folder:q}"
        " --stage {wildcards.stage} --label {params.label:q} --samples {input.samples:q}"
        " --samples-manifest {input.manifest:q} {params.images:q}"
        " --language-model {params.language_model:q} {params.initial_adaptor:q}"
        " --settings {params.settings:q} --identity {params.identity:q} --attempt {resources.attempt}"
        " --tracking-uri {params.tracking:q} --experiment {params.scale:q}"
        " --code-digest {params.code} 2>&1 | {{ trap '' TERM; tee {log:q}; }}"
