# What the inputs and the command lines of rules are made from, by their wildcards; no rules here.

# Sources


def world_of(product):
    """The miniature world that something is fetched from; None where it is the outside."""
    for role in ("world", "annotations", "urls"):
        for one in (made_of if isinstance(made_of := product.parents.get(role, ()), tuple) else (made_of,)):
            return one if role == "world" else world_of(one)


def web(wildcards):
    """What stands before a command that needs the web: nothing, or a server on loopback for as long as it runs."""
    world = world_of(product_of(wildcards))
    if world:
        return f"python -m workflow_scripts.miniature.web --root {shlex.quote(at(world, 'web'))} --"
    return OUTSIDE


def published(wildcards):
    """What has to be there before something is fetched."""
    world = world_of(product_of(wildcards))
    return [*([marker(world)] if world else []), *CHECKED]


def checksums(wildcards):
    """The world's files have checksums of their own."""
    world = world_of(product_of(wildcards))
    return ["--checksums", at(world, "checksums.json")] if world else []


def local_files(wildcards):
    """The files of a data set that lie on this machine: when they change, what is made from them does."""
    return [file.file for file in ROWS.source(own_name(wildcards)).files if file.file and Path(file.file).is_file()]


def from_mirror(wildcards):
    """The flag for commands that read a data set or an image set in the form that the mirror has."""
    product = product_of(wildcards)
    rows = load_catalogue(SETTINGS.catalogue)
    row = rows.image_set(product.name) if product.area == "urls" else rows.source(product.name)
    return ["--from-mirror"] if is_on_mirror(row.mirror_host, MIRROR) else []


def source_row(wildcards):
    """What a row says of files: where they are and what they have to be; dates and sizes decide nothing."""
    dated = {"checked", "size"}
    return [file.model_dump_json(exclude_none=True, exclude=dated) for file in ROWS.source(own_name(wildcards)).files]


def image_set_row(wildcards):
    return ROWS.image_set(own_name(wildcards)).model_dump_json(include={"lists", "archive", "folder", "mirror_images"})


def pictures_of(wildcards):
    """The folder that holds the pictures of an image set: what came in an archive, or a folder of a user's own."""
    product = product_of(wildcards)
    archive = product.inputs.get("archive")
    return at(archive) if archive else ROWS.image_set(product.name).folder


def maximum_images(wildcards):
    maximum = SCALE.maximum_images.get(own_name(wildcards))
    return ["--maximum", maximum] if maximum else []


# Samples and questions


def sources(wildcards):
    """`--source DATA_SET [SPLIT] ANNOTATIONS IMAGES` for each data set that samples or questions are read from."""
    product = product_of(wildcards)
    parts = product.definition.get("samples") or product.definition["parts"]
    names = list(dict.fromkeys(part["data_set"] for part in parts))
    split = ["train"] if product.rule == "filter_pairs" else []
    rows = zip(names, product.inputs["annotations"], product.inputs["images"], strict=True)
    return [word for name, files, images in rows for word in ("--source", name, *split, at(files), at(images))]


def split_file(wildcards):
    """The list of what is held out, where the scale has one."""
    splits = product_of(wildcards).inputs.get("splits")
    return ["--split-file", at(splits, "splits.json")] if splits else []


def exclude(wildcards):
    """The list of images that samples leave out, if any."""
    exclusions = product_of(wildcards).inputs.get("exclusions")
    return ["--exclude", marker(exclusions)] if exclusions else []


def filter_settings(wildcards):
    return settings_json(product_of(wildcards).settings.filter)


def exclusion_sources(wildcards):
    """`--evaluation DATA_SET ANNOTATIONS` and `--training IMAGE_SET ANNOTATIONS` for each."""
    product = product_of(wildcards)
    words = []
    for kind, names in (("evaluation", "images_of"), ("training", "exclusions_from")):
        role = "evaluations" if kind == "evaluation" else "training"
        for name, files in zip(product.definition[names], product.inputs[role], strict=True):
            words += [f"--{kind}", name, at(files)]
    return words


# Models


def world_settings(wildcards):
    return settings_json(product_of(wildcards).parents["world"].settings)


def fetched_models(chains_of_experiments):
    """The models that experiments take from others, by name."""
    roles = type(SCALE.pretrained).model_fields
    found = (chain.pretrained(role) for chain in chains_of_experiments for role in roles)
    return sorted({model.name for model in found if model})


def encoder_options(wildcards):
    sizes = product_of(wildcards).definition
    return ["--vit-model", sizes["vit_model"], "--image-size", sizes["image_size"]]


def vision_weights(wildcards):
    """The vision encoder's own file, as the catalogue names it."""
    encoder = product_of(wildcards).parents["vision_encoder"]
    return at(encoder, ROWS.model(encoder.name).files[0].name)


# Image sets in parts


def parts_of(product):
    """In how many parts a product of an image set is made."""
    images = product if product.area == "images" else product.parents["images"]
    return images.definition["parts"]


def part_manifests(wildcards):
    """The manifests of all parts of an image set, or of its features."""
    product = product_of(wildcards)
    return [at(product, "parts", str(part), "manifest.json") for part in range(parts_of(product))]


def number_of_parts(wildcards):
    return parts_of(product_of(wildcards))


def part_of_source(wildcards):
    """The part of the images that a part of the features is computed from."""
    return at(product_of(wildcards).parents["images"], "parts", wildcards.part, "manifest.json")


def in_parts(area, packed=None):
    """A pattern for the folders of image sets, or of their features, that are made in parts."""
    found = [one for one in PRODUCTS.values() if one.rule == f"join_{area}"]
    if packed is not None:
        found = [one for one in found if is_packed(one) == packed]
    return any_of(found)


def is_packed(product):
    return bool(product.inputs.get("archive") or ROWS.image_set(product.name).folder)


def archive_manifest(wildcards):
    archive = product_of(wildcards).inputs.get("archive")
    return [marker(archive)] if archive else []


# Features


def feature_source(wildcards):
    """What features are computed from: an image set, or the tokens of its images where these are there."""
    parents = product_of(wildcards).parents
    return parents.get("tokens") or parents["images"]


def feature_source_manifest(wildcards):
    return marker(feature_source(wildcards))


def feature_source_option(wildcards, input):
    return [f"--{feature_source(wildcards).area}", folder(input.source)]


def feature_extractor_sums(wildcards):
    return marker(product_of(wildcards).parents["feature_extractor"])


# Trainings


def run_of(wildcards):
    return BY_KEY[wildcards.key]


def run_options(wildcards):
    """The models and the images of a training as options; its samples have a manifest beside them."""
    run = run_of(wildcards)
    left_out = ["samples", "initial_adaptor", *(["feature_extractor"] if "features" in run.parents else [])]
    return options_of(run, left_out)


def samples_manifest(wildcards):
    return at(run_of(wildcards).parents["samples"], "manifest.json")


def initial_adaptor(wildcards):
    parent = run_of(wildcards).parents.get("initial_adaptor")
    return ["--initial-adaptor", marker(parent)] if parent else []


def batch_size(wildcards):
    return run_of(wildcards).settings.batch_size


def identity(wildcards):
    return json.dumps(run_of(wildcards).identity)


def training_processes(wildcards):
    """GPUs of a training: the job's, or fewer where a batch would not divide among them."""
    gpus = job("train_adaptor")["gpu"]
    return max((number for number in range(1, gpus + 1) if batch_size(wildcards) % number == 0), default=0)


def unless_failed(asked, instead):
    """What a training asks for, or something else in a repetition that has only to say which error it finds."""

    def found(wildcards, attempt):
        if attempt > 1 and Path(at(run_of(wildcards), "failure.json")).exists():
            return instead
        return asked(wildcards) if callable(asked) else asked

    return found


def this_attempt(wildcards, attempt):
    return attempt


def training_resources():
    """Memory, minutes, GPUs, disk and partition of a training."""
    asked = {**job("train_adaptor", mem_mb=2500, runtime=60), "gpu": training_processes}
    little = {"gpu": 0, "mem_mb": 2000, "runtime": 10, "slurm_partition": default_resource("slurm_partition", "cpu")}
    return {name: unless_failed(value, little.get(name, value)) for name, value in asked.items()}


# Evaluations


def evaluation_of(wildcards):
    return EVALUATION_OF[wildcards.key]


def seen_options(product):
    """What a system sees of images: features, or images and the extractor."""
    roles = ("features",) if "features" in product.parents else ("images", "feature_extractor")
    return [word for role in roles for word in option(role, product.parents[role])]


def predict_options(wildcards):
    evaluation = evaluation_of(wildcards)
    parents = evaluation.product.parents
    models = [word for role in ("questions", "language_model") for word in option(role, parents[role])]
    shuffle = ["--shuffle-images"] if evaluation.shuffle_images else []
    return [*seen_options(evaluation.product), *models, "--adaptor", marker(parents["run"]), *shuffle]


def question_only_tasks(wildcards):
    tasks = evaluation_of(wildcards).row.question_only_tasks
    return ["--tasks", *tasks] if tasks else []


def scorer(wildcards):
    return f"workflow_scripts.evaluation.score_{evaluation_of(wildcards).row.scorer}"


def scorer_code(wildcards):
    return code_digest(scorer(wildcards))


def questions_table(wildcards):
    return marker(evaluation_of(wildcards).benchmark)


def evaluated_run(wildcards):
    """run.json of the training that was evaluated; nothing for a guess without a model."""
    run = evaluation_of(wildcards).run
    return [at(run, "run.json")] if run else []


def figure_options(wildcards, input):
    """The options that every scorer has: what its figures are called, their split and the training's run.json."""
    evaluation = evaluation_of(wildcards)
    options = ["--id", evaluation.figure, "--benchmark", evaluation.row.figures, "--split", evaluation.split]
    options += [f"--suffix={evaluation.suffix}"] if evaluation.suffix else []
    options += evaluation.row.scorer_options
    run = input.get("run")
    return options + (["--run", *run] if run else [])


def retrieval_method(wildcards):
    return product_of(wildcards).definition["method"]


def all_captions(wildcards):
    return ["--all-captions"] if evaluation_of(wildcards).row.captions == "all" else []


def headline(wildcards):
    return f"{evaluation_of(wildcards).row.captions}_caption{'s' * (evaluation_of(wildcards).row.captions == 'all')}"


def first_ranking(wildcards):
    """The folder with the captions of a search: those of the first look, where there was a second one."""
    product = product_of(wildcards)
    return product.inputs.get("ranked", product)


def ranked_captions(wildcards):
    return at(first_ranking(wildcards), "captions.json")


def image_to_text(wildcards):
    """The array of the way back, which re-ranking alone writes."""
    product = product_of(wildcards)
    return [at(product, "image_to_text.npy")] if product.rule == "rerank_images" else []


def image_to_text_option(wildcards, input):
    return ["--image-to-text-similarity", *input.image_to_text] if input.image_to_text else []


def similarity_made_of(wildcards):
    """Manifests of images or features, and checksums of the model, that a similarity was computed from."""
    product = product_of(wildcards)
    found = [marker(made_of) for role, made_of in product.inputs.items() if role not in ("benchmark", "ranked")]
    return [path for one in found for path in ([one] if isinstance(one, str) else one)]


def reranking_options(wildcards):
    return options_of(product_of(wildcards), leave_out=["ranked"])
