# What the inputs and the command lines of rules are made from, by their wildcards; no rules here.


def feature_source(wildcards):
    """What features are computed from: an image set, or the tokens of its pictures where these are there."""
    parents = FEATURES[wildcards.features].parents
    return parents.get("tokens") or parents["images"]


def part_manifests(product):
    """The manifests of all parts of an image set, or of its features."""
    return [at(product, "parts", str(part), "manifest.json") for part in range(CHAIN.parts_of(product))]


def run_of(wildcards):
    return RUNS[f"{wildcards.stage}/{wildcards.run}"]


def images_for(run, names):
    """Image sets as a training of the adaptor, or who predicts with it, reads them: features, or the pictures."""
    if run.settings.features == "cached":
        return {"features": [at(CHAIN.features(name), "manifest.json") for name in names]}
    return {
        "images": [at(CHAIN.images(name), "manifest.json") for name in names],
        "feature_extractor": at(CHAIN.feature_extractor, "SHA256SUMS"),
    }


def image_options(input):
    """The same as options of a command."""
    if input.get("features"):
        return ["--features", *folders(input.features)]
    return ["--images", *folders(input.images), "--feature-extractor", folder(input.feature_extractor)]


def run_images(wildcards):
    """What a training reads of its images."""
    run = run_of(wildcards)
    return images_for(run, CHAIN_OF_RUN[run.path].sample_image_sets(run.area))


def run_initial_adaptor(wildcards):
    parent = run_of(wildcards).parents.get("initial_adaptor")
    return [at(parent, "adaptor.safetensors")] if parent else []


def evaluation_of(wildcards):
    return BY_PATH[f"evaluation/{wildcards.benchmark}/{wildcards.evaluation}"]


def evaluation_images(wildcards):
    """What predictions read of a benchmark's images."""
    return images_for(evaluation_of(wildcards).run, [CHAIN.benchmark_image_set(wildcards.benchmark)])


def evaluated_run(wildcards):
    """run.json of the training that was evaluated; nothing for a guess without a model."""
    run = evaluation_of(wildcards).run
    return [at(run, "run.json")] if run else []


def score_options(wildcards, input):
    """The options that every scorer of answers has: the figure's id, its split and the training's run.json."""
    run = ["--run", str(input.run)] if input.run else []
    split = split_name(wildcards.benchmark, SCALE.evaluation_split)
    return ["--id", evaluation_of(wildcards).figure, "--split", split, *run]


def retrieval_inputs(wildcards):
    """What a retrieval method compares the captions with."""
    image_set = RETRIEVAL[wildcards.benchmark]
    if wildcards.method == "blip2":
        return {
            "features": [at(CHAIN.features(image_set), "manifest.json")],
            "model": at(CHAIN.feature_extractor, "SHA256SUMS"),
        }
    if wildcards.method == "linear_baseline":
        return {
            "tokens": [at(CHAIN.tokens(image_set), "manifest.json")],
            "model": at(CHAIN.linear_baseline, "SHA256SUMS"),
        }
    images = [at(CHAIN.images(image_set), "manifest.json")]
    if wildcards.method in CLIPS:
        return {"images": images, "model": at(CLIPS[wildcards.method], "SHA256SUMS")}
    training = [at(CHAIN.images(name), "manifest.json") for name in SCALE.roles.pretraining]
    return {"images": images, "pairs": at(CHAIN.pairs, "samples.parquet"), "training": training}


def retrieval_options(wildcards, input):
    """The same as command-line options, in the order of the inputs' names."""
    # Flickr8k's figures are of all five captions of a picture, as in its literature; COCO's of the first, as reported.
    every = ["--all-captions"] if wildcards.benchmark.startswith("flickr8k") else []
    return [*retrieval_method_options(wildcards, input), *every]


def ranked(wildcards, name):
    """A file of a retrieval method; the captions of the second look are those of the first."""
    method = "blip2" if name == "captions.json" and wildcards.method == "blip2_itm" else wildcards.method
    return f"{R}/evaluation/{wildcards.benchmark}/{method}-{RETRIEVAL_ID}/{name}"


def image_to_text_similarity(wildcards):
    """The array of the way back, which re-ranking alone writes."""
    return [ranked(wildcards, "image_to_text.npy")] if wildcards.method == "blip2_itm" else []


def reranking_inputs(wildcards):
    """The pictures of a retrieval benchmark, or their tokens where the vision encoder is frozen."""
    image_set = RETRIEVAL[wildcards.benchmark]
    return at(CHAIN.tokens(image_set) if SCALE.q_former else CHAIN.images(image_set), "manifest.json")


def similarity_made_of(wildcards):
    """Manifests of pictures or features, and checksums of the model, that a similarity was computed from."""
    if wildcards.method == "blip2_itm":
        return [reranking_inputs(wildcards), at(CHAIN.feature_extractor, "SHA256SUMS")]
    given = retrieval_inputs(wildcards).values()
    return [path for paths in given for path in (paths if isinstance(paths, list) else [paths])]


def retrieval_headline(wildcards):
    return "all_captions" if wildcards.benchmark.startswith("flickr8k") else "first_caption"


def retrieval_method_options(wildcards, input):
    if wildcards.method == "blip2":
        return ["--features", *folders(input.features), "--feature-extractor", folder(input.model)]
    if wildcards.method == "linear_baseline":
        return ["--tokens", *folders(input.tokens), "--linear-baseline", folder(input.model)]
    if wildcards.method in CLIPS:
        return ["--images", *folders(input.images), "--clip", folder(input.model)]
    return [
        "--images",
        *folders(input.images),
        "--training-pairs",
        input.pairs,
        "--training-images",
        *folders(input.training),
    ]


def listing_data_set(image_set):
    """The data set whose captions an image set of pretraining has."""
    return REGISTRY.image_set(image_set).lists[0].data_set


def sources_of(names, manifests):
    """`--source NAME ANNOTATIONS IMAGES` for each name, from the manifests of both, in turn."""
    paths = folders(manifests)
    triples = zip(names, paths[::2], paths[1::2], strict=True)
    return [word for triple in triples for word in ("--source", *triple)]


def exclusions_of(product):
    """The list of pictures that a table of samples leaves out, if any."""
    exclusions = product.parents.get("exclusions")
    return [f"{R}/{exclusions.path}/exclusions.json"] if exclusions else []


def exclusion_sources(wildcards, input):
    """`--evaluation NAME ANNOTATIONS` and `--training IMAGE_SET ANNOTATIONS` for each."""
    chosen = SCALE_OF_EXCLUSIONS[wildcards.exclusions].exclude
    evaluations = zip(EVALUATION_SOURCES, folders(input.evaluations), strict=True)
    training = zip(TRAINING_SOURCES, folders(input.training), strict=True)
    return [
        *(word for name, path in evaluations if name in chosen for word in ("--evaluation", name, path)),
        *(word for name, path in training for word in ("--training", name, path)),
    ]


def exclude_option(wildcards, input):
    return ["--exclude", *input.exclude] if input.exclude else []


def training_processes(wildcards):
    """GPUs of a training: the job's, or fewer where a batch would not divide among them."""
    batch = run_of(wildcards).settings.batch_size
    gpus = job("train_adaptor")["gpu"]
    return max((number for number in range(1, gpus + 1) if batch % number == 0), default=0)


def unless_failed(asked, instead):
    """What a training asks for, or something else in a repetition that has only to say which error it finds."""

    def found(wildcards, attempt):
        if attempt > 1 and Path(at(run_of(wildcards), "failure.json")).exists():
            return instead
        return asked(wildcards) if callable(asked) else asked

    return found


def training_resources():
    """Memory, minutes, GPUs, disk and partition of a training."""
    asked = {**job("train_adaptor", mem_mb=2500, runtime=60), "gpu": training_processes}
    little = {"gpu": 0, "mem_mb": 2000, "runtime": 10, "slurm_partition": default_resource("slurm_partition", "cpu")}
    return {name: unless_failed(value, little.get(name, value)) for name, value in asked.items()}


def mix_sources(wildcards):
    """Data set and image set of each part of a mix."""
    roles = SCALE.roles
    return {
        "visual_genome_mix": [("visual_genome", roles.visual_genome), ("minigpt4", roles.descriptions)],
        "okvqa_mix": [("okvqa", roles.okvqa_train)],
        "refcoco_mix": [("refcoco", roles.refcoco)],
        "photo_mix": [("daquar", roles.daquar), *((listing_data_set(name), name) for name in roles.pretraining)],
    }[MIXES[wildcards.mix].name]


def asked_by(wildcards):
    """The data set that a benchmark's questions come from."""
    name = BENCHMARKS[wildcards.asked].name
    if name in ("visual_genome", "okvqa", "refcoco", "gqa"):
        return name
    return listing_data_set(CHAIN.benchmark_image_set(name))


def benchmark_images(wildcards):
    return next(iter(BENCHMARKS[wildcards.asked].parents.values()))


def listed_by(wildcards):
    """The data sets whose annotations name the pictures of an image set."""
    return [entry.data_set for entry in REGISTRY.image_set(IMAGES[wildcards.images].name).lists]


def archive_of(wildcards):
    """The data set whose archive holds the pictures of an image set."""
    return archive_with(IMAGES[wildcards.images].name)


def maximum_images(wildcards):
    maximum = SCALE.maximum_images.get(IMAGES[wildcards.images].name)
    return ["--maximum", maximum] if maximum else []
