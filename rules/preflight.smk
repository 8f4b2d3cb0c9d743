# Before anything long starts, where a scale asks for it: GPUs, bf16, NCCL, disk and access to gated models.

if SCALE.preflight:

    rule preflight:
        output:
            f"{R}/preflight/checked.json",
        log:
            f"{R}/logs/preflight.log",
        benchmark:
            f"{R}/benchmarks/preflight.tsv"
        conda:
            "../envs/environment.yaml"
        threads: job_threads("preflight", 1)
        resources:
            **job("preflight", mem_mb=4000, runtime=10),
        params:
            web=OUTSIDE,
            # Those of other experiments are asked for by the jobs that fetch them, which come right after it.
            catalogue=CATALOGUE,
            models=fetched_models(REPORTED.values()),
            settings=settings_json(SCALE.preflight),
            code=code_digest("workflow_scripts.preflight.check"),
        shell:
            "{params.web} python -m workflow_scripts.preflight.check --models {params.models:q}"
            " {params.catalogue:q} --settings {params.settings:q} --output {output:q} 2>&1 | tee {log:q}"
