"""The trainings of the frozen models that a scale makes itself."""

from workflow_scripts.planning.context import STEP_SECONDS, Context
from workflow_scripts.planning.estimate import FORMULA, MEASURED, UNKNOWN, Job, Stage
from workflow_scripts.planning.flops import clip_pair, feature_extraction, q_former_image, q_former_text, vision_encoder
from workflow_scripts.planning.geometry import language_model_of
from workflow_scripts.planning.sizes import images_of
from workflow_scripts.product import Product

# A step forward and backward through trained weights is three times a step forward.
TRAINED = 3
TEXT_TOKENS = 20
# Of the miniature's corpus: contexts and tokens that a scene gives, by that of scale mini.
CONTEXTS_A_SCENE, TOKENS_A_CONTEXT = 11, 60


def small_model_stages(context: Context) -> list[Stage]:
    """Return the trainings of feature extractor, CLIP, linear baseline and language model that a scale has."""
    chain = context.chain
    scale = chain.scale
    stages = []
    if scale.feature_extractor:
        stages.append(_stage(context, "train_feature_extractor", chain.feature_extractor, _feature_extractor(context)))
    if scale.q_former:
        stages.append(_stage(context, "train_q_former", chain.feature_extractor, _q_former(context)))
    if scale.linear_baseline and chain.linear_baseline:
        stages.append(_stage(context, "train_linear_baseline", chain.linear_baseline, None))
    if scale.clip and chain.clip and "corpus" in chain.clip.parents:
        work = (
            TRAINED * scale.clip.steps * scale.clip.batch_size * clip_pair(scale.clip, TEXT_TOKENS),
            scale.clip.steps,
        )
        stages.append(_stage(context, "train_clip", chain.clip, work))
    for product in {chain.language_model.key: chain.language_model for chain in context.chains.values()}.values():
        if "corpus" in product.parents:
            stages.append(_stage(context, "train_language_model", product, _language_model(context), product.key))
    return stages


def _feature_extractor(context: Context) -> tuple[float, int]:
    """FLOPs and steps of the three stages: encoder alone, contrast, and matching and captioning beside it."""
    settings = context.chain.scale.feature_extractor
    assert settings is not None
    geometry = settings.geometry
    picture, text = feature_extraction(geometry), q_former_text(geometry, TEXT_TOKENS)
    both = q_former_text(geometry, TEXT_TOKENS + geometry.num_query_token)
    alone = settings.batch_size * settings.vision_steps * vision_encoder(geometry)[0]
    contrast = settings.batch_size * settings.contrast_steps * (picture + text)
    # Matching sees each picture and each text three times: together, and each with a negative.
    whole = settings.first_stage_batch_size * settings.first_stage_steps * (picture + text + 3 * both + both)
    steps = settings.vision_steps + settings.contrast_steps + settings.first_stage_steps
    return TRAINED * (alone + contrast + whole), steps


def _q_former(context: Context) -> tuple[float, int]:
    chain = context.chain
    settings = chain.scale.q_former
    assert settings is not None
    geometry = settings.geometry
    pictures = sum(
        images_of(chain, name, context.results).count
        for name in chain.image_sets_of_samples([chain.scale.caption_samples])
    )
    pair = q_former_image(geometry) + q_former_text(geometry, TEXT_TOKENS)
    steps = round(settings.contrast_epochs * pictures / settings.batch_size)
    last = settings.first_stage_steps * settings.first_stage_batch_size
    return TRAINED * pair * (settings.contrast_epochs * pictures + 5 * last), steps + settings.first_stage_steps


def _language_model(context: Context) -> tuple[float, int] | None:
    scale = context.chain.scale
    if scale.world is None:
        return None
    contexts = (
        scale.language_model.documents or CONTEXTS_A_SCENE * scale.world.text_scenes
    ) * scale.language_model.epochs
    model = language_model_of(context.chain, context.results)
    flops = TRAINED * contexts * model.forward(TOKENS_A_CONTEXT, TOKENS_A_CONTEXT)
    return flops, round(contexts / scale.language_model.batch_size)


def _stage(
    context: Context, rule: str, product: Product, work: tuple[float, int] | None, key: str | None = None
) -> Stage:
    machine = context.machine
    done = context.is_done(product, "SHA256SUMS")
    # Without the product's name in it, a measurement may be of other settings, unless the product is there.
    seconds = context.seconds_of(rule, key) or (context.seconds_of(rule) if done else None)
    basis = MEASURED if seconds else FORMULA if work else UNKNOWN
    if seconds is None and work is not None:
        flops, steps = work
        seconds = flops / machine.flops_per_second() + steps * STEP_SECONDS[machine.has_gpus]
    job = Job(product.path, seconds, done, 1 if machine.has_gpus else 0)
    amount = f"{work[0]:.2g} FLOPs" if work else ""
    return Stage(rule.replace("_", " "), amount, (job,), basis, resumes=rule == "train_q_former")
