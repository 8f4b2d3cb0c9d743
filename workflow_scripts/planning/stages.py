"""All stages of the workflow in a plan, in the order of the data."""

from collections.abc import Callable, Iterable

from workflow_scripts.config.evaluation import PredictSettings
from workflow_scripts.evaluations import evaluations
from workflow_scripts.files.walk import find_all
from workflow_scripts.planning.context import (
    DISK_BYTES_PER_SECOND,
    PICTURE_SECONDS,
    START_SECONDS,
    STEP_SECONDS,
    Context,
)
from workflow_scripts.planning.estimate import CALIBRATED, FORMULA, MEASURED, UNKNOWN, Job, Stage
from workflow_scripts.planning.flops import (
    feature_extraction,
    q_former_image,
    vision_encoder,
)
from workflow_scripts.planning.geometry import feature_extractor_of, language_model_of
from workflow_scripts.planning.known import known
from workflow_scripts.planning.memory import extraction_memory
from workflow_scripts.planning.sizes import images_of, questions_of
from workflow_scripts.planning.small_models import small_model_stages
from workflow_scripts.planning.trainings import training_stage
from workflow_scripts.product import Product

# Assumption: shorter side in pixels of images that are stored as they are; COCO's are 640 by 480 or so.
ORIGINAL_SIZE = 480
# Assumption: pictures a second that a process of img2dataset downloads (its documentation has 1,350 with 16 of them).
DOWNLOADS_PER_SECOND = 80
# Assumption: a job with these many processes fills the link that all jobs share.
PROCESSES_THAT_FILL_THE_LINK = 16
# Assumption: bytes a second from a server to a fetched file.
NETWORK_BYTES_PER_SECOND = 20e6
# JPEG of quality 95, by the pictures of Flickr8k.
BYTES_PER_PIXEL = 0.45
# Pictures that extract_features takes at a time.
EXTRACTION_BATCH = 64


def all_stages(context: Context) -> list[Stage]:
    """Return the stages of a configuration on a machine."""
    trained = {}
    for chain in context.chains.values():
        for stage in chain.stages:
            trained.setdefault(chain.run(stage).path, training_stage(context, chain, stage))
    return [
        *([_sources(context)] if context.chain.scale.world is None else []),
        _downloads(context),
        *([_tokens(context)] if context.chain.scale.q_former else []),
        *small_model_stages(context),
        _features(context),
        *sorted(trained.values(), key=lambda stage: stage.name.split()[0] != "pretrain"),
        _predictions(context),
        _rest(context),
    ]


def _by_path(product: Product) -> str:
    return product.path


def _sources(context: Context) -> Stage:
    """Annotations, archives of pictures and models that are fetched as files; packages of Python count as well."""
    fetched = sorted((one for one in context.products if one.rule in ("fetch_files", "fetch_model")), key=_by_path)
    jobs, disk, unknown = [], 0.0, 0
    for product in fetched:
        source = context.settings.rows.source(product.name)
        disk += source.disk or 0
        unknown += source.size is None
        marker = "manifest.json" if product.area == "annotations" else "SHA256SUMS"
        done = context.is_done(product, marker)
        jobs.append(Job(product.path, (source.size or 0) / NETWORK_BYTES_PER_SECOND, done))
    notes = [f"{NETWORK_BYTES_PER_SECOND / 1e6:g} MB/s to each source assumed; archives stay beside what was in them"]
    if unknown:
        notes.append(f"{unknown} of {len(jobs)} sources have no size in the catalogue and count nothing here")
    return Stage("fetch files", f"{len(jobs)} sources", tuple(jobs), FORMULA, disk_bytes=disk, notes=tuple(notes))


def _downloads(context: Context) -> Stage:
    chain, settings = context.chain, context.chain.scale.download
    jobs, disk, count, rules = [], 0.0, 0, []
    for name in context.image_sets_in("images"):
        product, images = chain.images(name), images_of(chain, name, context.results)
        seconds = context.seconds_of("download_images", product.key) or context.seconds_of("pack_images", product.key)
        rules.append(seconds is not None)
        seconds = seconds or images.asked / (DOWNLOADS_PER_SECOND * settings.processes)
        jobs += _part_jobs(context, product, seconds)
        size = chain.download_of(name).image_size
        disk += images.count * (ORIGINAL_SIZE if size == "original" else size) ** 2 * 4 / 3 * BYTES_PER_PIXEL
        count += images.asked
    note = (
        f"{DOWNLOADS_PER_SECOND} pictures a second assumed for each process; {PROCESSES_THAT_FILL_THE_LINK} of them, "
        "in one job or several, take the whole link"
    )
    return Stage(
        "download images",
        f"{count:,} pictures",
        tuple(jobs),
        _basis(rules),
        resumes=True,
        at_once=max(1, PROCESSES_THAT_FILL_THE_LINK // settings.processes),
        disk_bytes=disk,
        notes=() if all(rules) else (note,),
    )


def _tokens(context: Context) -> Stage:
    flops, tokens, width, _ = vision_encoder(context.chain.scale.q_former.geometry)
    seconds = PICTURE_SECONDS + flops / context.machine.flops_per_second()
    disk = 2 * tokens * width
    names = context.image_sets_in("tokens")
    return _per_image_set(context, "encode_images", names, context.chain.tokens, seconds, disk, memory=3e9)


def _features(context: Context) -> Stage:
    geometry = feature_extractor_of(context.chain, context.results)
    flops = q_former_image(geometry) if context.chain.scale.q_former else feature_extraction(geometry)
    memory = extraction_memory(geometry, EXTRACTION_BATCH) + 1.5e9
    bytes_a_picture = 2 * geometry.num_query_token * (geometry.qformer_width + geometry.embed_dim)
    seconds = flops / context.machine.flops_per_second() + PICTURE_SECONDS
    names = context.image_sets_in("features")
    return _per_image_set(context, "extract_features", names, context.chain.features, seconds, bytes_a_picture, memory)


def _part_jobs(context: Context, product: Product, seconds: float, devices: int = 0) -> list[Job]:
    """The job that makes a product of an image set, or those that make its parts, which share its seconds."""
    done, parts = context.is_done(product, "manifest.json"), context.chain.parts_of(product)
    if parts == 1:
        return [Job(product.path, seconds, done, devices)]
    return [Job(f"{product.path}/parts/{part}", seconds / parts, done, devices) for part in range(parts)]


def _per_image_set(
    context: Context,
    rule: str,
    names: list[str],
    product_of: Callable[[str], Product],
    seconds_a_picture: float,
    bytes_a_picture: float,
    memory: float,
) -> Stage:
    """A rule that goes through the pictures of image sets, shard by shard, keeping the shards that are done."""
    chain = context.chain
    jobs, count, found = [], 0, []
    for name in names:
        product, images = product_of(name), images_of(chain, name, context.results).count
        seconds = context.seconds_of(rule, product.key)
        found.append(seconds is not None)
        start = START_SECONDS[context.machine.has_gpus] * chain.parts_of(product)
        seconds = seconds or images * seconds_a_picture + start
        jobs += _part_jobs(context, product, seconds, 1 if context.machine.has_gpus else 0)
        count += images
    notes = (f"{seconds_a_picture * 1000:.3g} ms a picture, {1000 * PICTURE_SECONDS:.0f} of them to read it",)
    return Stage(
        rule.replace("_", " "),
        f"{count:,} pictures",
        tuple(jobs),
        _basis(found),
        resumes=True,
        disk_bytes=count * bytes_a_picture,
        memory_bytes=memory,
        notes=notes if not all(found) else (),
    )


def _predictions(context: Context) -> Stage:
    machine, jobs, found, total = context.machine, [], [], 0
    weights = 0.0
    for evaluation in evaluations(context.chains.values()):
        if evaluation.run is None:
            continue
        chain = next(chain for chain in context.chains.values() if evaluation.run.path in {r.path for r in chain.runs})
        model, predict = language_model_of(chain, context.results), evaluation.product.settings
        assert isinstance(predict, PredictSettings), "a run answers by settings"
        weights = model.parameters * (2.0 if machine.has_gpus else 4.0)
        count = questions_of(chain, evaluation.benchmark, context.results)
        prompt = known()["prompt_tokens"]["count"] + 32 + 12
        batches = -(-count // predict.batch_size)
        rows = predict.batch_size * predict.num_beams
        effective = machine.flops_per_second(context.utilisation(model.forward(prompt, 1))[0])
        # One token after the other: all weights are read for each, or multiplied where the batch is large.
        token = max(rows * model.forward(1, 1) / effective, weights / (machine.memory_gb_per_second * 1e9))
        batch = predict.batch_size * model.forward(prompt, 1) / effective + predict.max_new_tokens * (
            token + STEP_SECONDS[machine.has_gpus]
        )
        seconds = context.seconds_of("predict", evaluation.product.path.removeprefix("evaluation/"))
        found.append(seconds is not None)
        start = START_SECONDS[machine.has_gpus] + weights / DISK_BYTES_PER_SECOND
        jobs.append(
            Job(
                evaluation.path,
                seconds or batches * batch + start,
                context.is_done(evaluation.product, "scores.json"),
                1 if machine.has_gpus else 0,
            )
        )
        total += count
    return Stage("predict", f"{total:,} answers", tuple(jobs), _basis(found), memory_bytes=weights + 2e9)


def _rest(context: Context) -> Stage:
    """Everything else: parsing, filtering, scoring, figures; known when it ran once."""
    named = {"download_images", "pack_images", "encode_images", "extract_features", "train_adaptor", "predict"}
    folder = context.results / "benchmarks"
    rules = find_all(folder, "*.tsv") if context.ran_here else []
    others = [
        path.relative_to(folder).with_suffix("").as_posix()
        for path in rules
        if (name := path.relative_to(folder).parts[0].removesuffix(".tsv")) not in named
        and not name.startswith("train_")
    ]
    seconds = [context.seconds_of(*place.split("/", 1)) for place in others]
    total = sum(value for value in seconds if value) if seconds else None
    done = (context.results / "report" / "index.html").is_file()
    return Stage("everything else", "", (Job("other rules", total, done),), MEASURED if seconds else UNKNOWN)


def _basis(found: Iterable[bool]) -> str:
    flags = list(found)
    return MEASURED if all(flags) else f"{CALIBRATED}, partly" if any(flags) else FORMULA
