# Pretraining and all finetunings of the adaptor: one program, different samples and settings.


rule train_adaptor:
    input:
        unpack(made_from),
        manifest=samples_manifest,
    output:
        adaptor=f"{R}/{{stage}}/{{key}}/adaptor.safetensors",
        run=f"{R}/{{stage}}/{{key}}/run.json",
    log:
        f"{R}/logs/train_adaptor/{{stage}}/{{key}}.log",
    benchmark:
        f"{R}/benchmarks/train_adaptor/{{stage}}/{{key}}.tsv"
    wildcard_constraints:
        stage=STAGES,
        key=made_by("train_adaptor"),
    conda:
        "../envs/environment.yaml"
    threads: unless_failed(job_threads("train_adaptor", 1), 1)
    resources:
        **training_resources(),
        # Nodes that train together, and in place of `gpu` the GPUs of each of them, as in gres: gpu:4.
        nodes=1,
        gres="",
        tasks_per_gpu=0,
        attempt=this_attempt,
    params:
        folder=output_folder,
        given=run_options,
        initial_adaptor=initial_adaptor,
        settings=own_settings,
        batch_size=batch_size,
        identity=identity,
        label=own_name,
        tracking=TRACKING_URI,
        scale=SETTINGS.scale,
        code=code_digest("workflow_scripts.training.train_adaptor"),
    # SLURM sends SIGTERM to all processes of a job: tee has to outlive the training, which says why it ends.
    shell:
        "python -m workflow_scripts.training.launch --nodes {resources.nodes} --gpu {resources.gpu}"
        " --gres={resources.gres:q} --batch-size {params.batch_size} -- --run-folder {params.folder:q}"
        " --stage {wildcards.stage} --label {params.label:q} --samples {input.samples:q}"
        " --samples-manifest {input.manifest:q} {params.given:q} {params.initial_adaptor:q}"
        " --settings {params.settings:q} --identity {params.identity:q} --attempt {resources.attempt}"
        " --tracking-uri {params.tracking:q} --experiment {params.scale:q}"
        " --code-digest {params.code} 2>&1 | {{ trap '' TERM; tee {log:q}; }}"
