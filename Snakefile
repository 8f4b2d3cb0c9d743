# Reproduces an image search system with natural-language queries, from URLs to the report.
# `snakemake --cores all` makes the report of the scale named in config.yaml.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/arguments.smk"
include: "rules/shown.smk"
include: "rules/miniature.smk"
include: "rules/preflight.smk"
include: "rules/sources.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/q_former.smk"
include: "rules/features.smk"
include: "rules/parts.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/search.smk"


if HAS_SURVEY:

    include: "rules/survey.smk"


include: "rules/report.smk"
include: "rules/experiments.smk"


onstart:
    begin()


rule all:
    default_target: True
    input:
        REPORT,
        CARDS,
        [PDF] if find_chromium() else [],


rule experiments:
    input:
        rules.tabulate_experiments.output,
        EXPERIMENTS_PAGE,
