"""Memory of one device while the adaptor is trained, from the language model's geometry and the settings."""

from dataclasses import dataclass

from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.planning.flops import LanguageModel, q_former_parameters, vision_encoder

# DeepSpeed's stage3_max_live_parameters: gathered weights that a process holds at a time at ZeRO stage 3.
LIVE_PARAMETERS = 1e9
FRAMEWORK_BYTES = {True: 1.5e9, False: 0.6e9}
"""Assumption: context, kernels and communication buffers on a GPU; interpreter and libraries on a processor."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of one device."""

    weights: float
    adaptor: float
    activations: float
    logits: float
    framework: float

    @property
    def total(self) -> float:
        return self.weights + self.adaptor + self.activations + self.logits + self.framework


def activation_bytes(model: LanguageModel, tokens: float, bytes_per_value: int, low_rank: int | None = None) -> float:
    """What the backward pass through frozen layers needs of T tokens.

    A frozen matrix needs nothing of its input. Kept are the inputs of two norms (in fp32), queries, keys, values and
    output of the attention, and three tensors of the feed-forward part. An addition to a matrix does need its input,
    and what it makes of it.
    """
    values = 4 * model.width + 3 * model.intermediate
    if low_rank:
        values += 3 * model.width + model.intermediate + 7 * low_rank
    return model.layers * tokens * (8 * model.width + bytes_per_value * values)


def training_memory(
    model: LanguageModel,
    adaptor: int,
    settings: TrainingSettings,
    devices: int,
    lengths: tuple[float, float],
    half: bool,
) -> TrainingMemory:
    """Return what training takes on each of some devices.

    Args:
        adaptor: the adaptor's parameters, and those of what is trained beside it.
        lengths: tokens and answer tokens of the longest samples, which batches grouped by length may be full of.
        half: whether the device computes in bf16 or fp16.
    """
    width = 2 if half else 4
    weights = float(model.parameters * width)
    if settings.zero_stage == 3 and devices > 1:
        weights = weights / devices + min(model.parameters, LIVE_PARAMETERS) * width
    # Weights and gradient as computed with; fp32 weights and both of AdamW's means, cut into parts from stage 1 on.
    parts = devices if settings.zero_stage else 1
    micro = micro_batch(settings, devices)
    tokens, answers = lengths
    return TrainingMemory(
        weights=weights,
        adaptor=adaptor * (2 * width + 12 / parts),
        activations=activation_bytes(model, micro * tokens, width, settings.low_rank),
        # Logits, their copy in fp32, the log-softmax and its gradient.
        logits=micro * answers * model.vocabulary * (width + 12),
        framework=FRAMEWORK_BYTES[half],
    )


def extractor_memory(settings: TrainingSettings, geometry: QformerGeometry, devices: int) -> float:
    """What a feature extractor takes on a device beside a training: nothing where features are cached."""
    if settings.features == "cached":
        return 0.0
    return extraction_memory(geometry, micro_batch(settings, devices))


def extraction_memory(geometry: QformerGeometry, pictures: int) -> float:
    """Weights in fp32, and the widest tensors of one layer, a few times, for so many pictures at a time."""
    _, tokens, width, vision = vision_encoder(geometry)
    return 4 * (vision + q_former_parameters(geometry)) + 40 * pictures * tokens * width


def micro_batch(settings: TrainingSettings, devices: int) -> int:
    """Samples of a forward pass of one process, as the training takes them."""
    share = settings.batch_size // devices
    return min(settings.micro_batch_size or share, share)


def dividing_devices(settings: TrainingSettings, devices: int) -> int:
    """The most devices, of so many, among which the batch divides."""
    return max(count for count in range(1, max(1, devices) + 1) if settings.batch_size % count == 0)
