# The miniature world: published as the outside publishes its data, and written out for the small models to learn from.

if SCALE.world:

    rule publish:
        output:
            at(CHAIN.world, "published.json"),
        log:
            f"{R}/logs/publish.log",
        benchmark:
            f"{R}/benchmarks/publish.tsv"
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("publish", mem_mb=1500, runtime=30),
        params:
            folder=lambda wildcards, output: folder(output[0]),
            settings=settings_json(SCALE.world),
            code=code_digest("workflow_scripts.miniature.publish"),
        shell:
            "python -m workflow_scripts.miniature.publish --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"

    rule write_vision_corpus:
        output:
            at(CHAIN.corpus("vision"), "manifest.json"),
        log:
            f"{R}/logs/write_vision_corpus.log",
        benchmark:
            f"{R}/benchmarks/write_vision_corpus.tsv"
        priority: 20
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("write_vision_corpus", mem_mb=1500, runtime=30),
        params:
            folder=lambda wildcards, output: folder(output[0]),
            settings=settings_json(SCALE.world),
            code=code_digest("workflow_scripts.miniature.corpus"),
        shell:
            "python -m workflow_scripts.miniature.corpus --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"

    rule write_text_corpus:
        output:
            at(CHAIN.corpus("text"), "manifest.json"),
        log:
            f"{R}/logs/write_text_corpus.log",
        benchmark:
            f"{R}/benchmarks/write_text_corpus.tsv"
        priority: 10
        conda:
            "../envs/environment.yaml"
        threads: 1
        resources:
            **job("write_text_corpus", mem_mb=1500, runtime=30),
        params:
            folder=lambda wildcards, output: folder(output[0]),
            settings=settings_json(SCALE.world),
            code=code_digest("workflow_scripts.miniature.text_corpus"),
        shell:
            "python -m workflow_scripts.miniature.text_corpus --settings {params.settings:q}"
            " --output {params.folder:q} 2>&1 | tee {log:q}"
