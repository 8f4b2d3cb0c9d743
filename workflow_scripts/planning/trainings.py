"""The trainings of the adaptor in a plan: what dominates at the size of the report."""

from workflow_scripts.chain import Chain
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.planning.context import (
    DISK_BYTES_PER_SECOND,
    PICTURE_SECONDS,
    START_SECONDS,
    STEP_SECONDS,
    Context,
)
from workflow_scripts.planning.estimate import CALIBRATED, FORMULA, MEASURED, Job, Stage
from workflow_scripts.planning.flops import (
    LanguageModel,
    adaptor_parameters,
    adaptor_step,
    low_rank_step,
    online_features,
    q_former_parameters,
)
from workflow_scripts.planning.geometry import feature_extractor_of, language_model_of
from workflow_scripts.planning.known import known
from workflow_scripts.planning.measured import steps_done, throughput
from workflow_scripts.planning.memory import dividing_devices, extractor_memory, micro_batch, training_memory
from workflow_scripts.planning.sizes import SampleSizes, samples_of

# Between what fits by the formula and what a device has: fragmentation, and batches longer than assumed.
USABLE_MEMORY = 0.92
# Threads of a process that read and decode pictures where features are online; the device waits for them.
READERS = 8


def training_stage(context: Context, chain: Chain, stage: str) -> Stage:
    """Return what a training stage of an experiment costs on the machine."""
    run = chain.run(stage)
    settings = run.settings
    assert isinstance(settings, TrainingSettings)
    machine = context.machine
    model = language_model_of(chain, context.results)
    geometry = feature_extractor_of(chain, context.results)
    features = (geometry.num_query_token, geometry.qformer_width)
    samples = samples_of(chain, stage, context.results, geometry.num_query_token)
    devices = dividing_devices(settings, machine.gpus) if machine.has_gpus else 1
    tokens = samples.tokens - features[0] * (1 - 1 / settings.samples_per_image)
    flops = adaptor_step(model, settings.adaptor, features, tokens, samples.answer_tokens)
    flops += low_rank_step(model, settings.low_rank, tokens)
    looking = 0.0
    if settings.features == "online":
        around = features[0] + known()["prompt_tokens"]["count"] + samples.answer_tokens
        query = max(0.0, samples.tokens - around) if settings.q_former_query else 0.0
        looking = online_features(geometry, query, settings.train_q_former)
        flops += looking

    folder = context.results / run.path
    done = context.is_done(run, "adaptor.safetensors")
    steps = settings.epochs * (samples.count // settings.batch_size)
    own = throughput(folder) if context.ran_here or not done else None
    utilisation, was_measured = context.utilisation(flops)
    step = _step_seconds(context, model, settings, devices, flops * settings.batch_size, utilisation)
    if own:
        step = settings.batch_size / own
    elif looking:
        step += settings.batch_size / devices * PICTURE_SECONDS / READERS
    basis = MEASURED if own else CALIBRATED if was_measured else FORMULA
    left = steps - (0 if done else steps_done(folder))

    trained = adaptor_parameters(settings.adaptor, geometry.qformer_width, model.width)
    if settings.train_q_former:
        trained += round(q_former_parameters(geometry))
    if settings.low_rank:
        trained += model.low_rank_parameters(settings.low_rank)
    weights = model.parameters * (2 if machine.has_gpus else 4)
    notes = [
        f"{flops:.3g} FLOPs a sample, {samples.tokens:.0f} tokens of which {samples.answer_tokens:.0f} are answer "
        f"({samples.basis}); {steps:,} steps of {settings.batch_size}",
    ]
    if looking:
        notes.append(f"{100 * looking / flops:.0f} % of the FLOPs for pictures, in every epoch: online features")
    if was_measured and not own:
        notes.append(f"{100 * utilisation:.2g} % of the peak, as measured in the training of the nearest size")
    if machine.has_gpus and devices < machine.gpus:
        notes.append(f"{devices} of {machine.gpus} GPUs: a batch of {settings.batch_size} divides among no more")
    if left < steps and not done:
        notes.append(f"{steps - left:,} steps are done")
    memory, problems = _memory(context, (model, geometry), trained, settings, devices, samples)
    name = stage if run.name == "report" else f"{stage} ({run.name})"
    return Stage(
        name=name,
        amount=f"{samples.count:,} samples x {settings.epochs}",
        jobs=(Job(run.path, left * step, done, devices if machine.has_gpus else 0),),
        basis=basis,
        resumes=True,
        startup_seconds=START_SECONDS[machine.has_gpus] + weights / DISK_BYTES_PER_SECOND,
        # Checkpoints (weights and both means in fp32), what is trained twice, token ids and places.
        disk_bytes=trained * (12 * settings.keep_checkpoints + 8) + samples.count * (4 * samples.tokens + 40),
        memory_bytes=memory,
        notes=tuple(notes),
        problems=tuple(f"{name}: {problem}" for problem in problems),
    )


def _step_seconds(
    context: Context,
    model: LanguageModel,
    settings: TrainingSettings,
    devices: int,
    flops: float,
    utilisation: float,
) -> float:
    """Seconds of a step: its operations, and at ZeRO stage 3 the weights that come from others, twice a pass."""
    machine = context.machine
    passes = settings.batch_size // devices // micro_batch(settings, devices)
    gathered = 0.0
    if settings.zero_stage == 3 and devices > 1:
        weights = 2 * model.parameters * (devices - 1) / devices
        gathered = 2 * passes * weights / (machine.interconnect_gb_per_second * 1e9)
    return flops / (devices * machine.flops_per_second(utilisation)) + gathered + STEP_SECONDS[machine.has_gpus]


def _memory(
    context: Context,
    models: tuple[LanguageModel, QformerGeometry],
    trained: int,
    settings: TrainingSettings,
    devices: int,
    samples: SampleSizes,
) -> tuple[float, list[str]]:
    """Return bytes of a device, and a sentence where it has fewer, with settings that would fit."""
    machine = context.machine
    model, geometry = models
    answers = min(samples.longest, samples.longest * samples.answer_tokens / samples.tokens * 2)
    lengths = (float(samples.longest), answers)

    def needed(changed: TrainingSettings) -> float:
        training = training_memory(model, trained, changed, devices, lengths, machine.has_gpus).total
        return training + extractor_memory(changed, geometry, devices)

    total, usable = needed(settings), machine.memory_gb * 1e9 * USABLE_MEMORY
    if total <= usable:
        return total, []
    share = settings.batch_size // devices
    micros = [count for count in range(share, 0, -1) if share % count == 0]
    stages = [settings.zero_stage] + ([3] if devices > 1 and settings.zero_stage != 3 else [])
    for stage in stages:
        for micro in micros:
            changed = settings.model_copy(update={"zero_stage": stage, "micro_batch_size": micro})
            if needed(changed) <= usable:
                way = f"zero_stage = {stage} and micro_batch_size = {micro} take {needed(changed) / 1e9:.1f} GB"
                return total, [f"takes {total / 1e9:.1f} GB of {machine.memory_gb:.0f} GB a device; {way}."]
    return total, [
        f"takes {total / 1e9:.1f} GB of {machine.memory_gb:.0f} GB a device, and no micro_batch_size or zero_stage "
        "makes it fit; take devices with more memory, or more of them."
    ]
