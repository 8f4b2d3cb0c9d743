# The miniature world: published as the outside publishes its data, and written out for the small models to learn from.

if SCALE.world:

    rule publish:
        output:
            f"{R}/world/{{key}}/published.json",
        log:
            f"{R}/logs/publish/{{key}}.log",
        benchmark:
            f"{R}/benchmarks/publish/{{key}}.tsv"
        wildcard_constraints:
            key=made_by("publish"),
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("publish", mem_mb=1500, runtime=30),
        params:
            folder=output_folder,
            settings=own_settings,
            code=code_digest("workflow_scripts.miniature.publish"),
        shell:
            "python -m workflow_scripts.miniature.publish --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"

    rule write_vision_corpus:
        output:
            f"{R}/corpora/{{key}}/manifest.json",
        log:
            f"{R}/logs/write_vision_corpus/{{key}}.log",
        benchmark:
            f"{R}/benchmarks/write_vision_corpus/{{key}}.tsv"
        wildcard_constraints:
            key=made_by("write_vision_corpus"),
        priority: 20
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("write_vision_corpus", mem_mb=1500, runtime=30),
        params:
            folder=output_folder,
            settings=world_settings,
            code=code_digest("workflow_scripts.miniature.corpus"),
        shell:
            "python -m workflow_scripts.miniature.corpus --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"

    rule write_text_corpus:
        output:
            f"{R}/corpora/{{key}}/manifest.json",
        log:
            f"{R}/logs/write_text_corpus/{{key}}.log",
        benchmark:
            f"{R}/benchmarks/write_text_corpus/{{key}}.tsv"
        wildcard_constraints:
            key=made_by("write_text_corpus"),
        priority: 10
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("write_text_corpus", mem_mb=1500, runtime=30),
        params:
            folder=output_folder,
            settings=world_settings,
            code=code_digest("workflow_scripts.miniature.text_corpus"),
        shell:
            "python -m workflow_scripts.miniature.text_corpus --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"
