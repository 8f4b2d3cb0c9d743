"""The learning rate as a pure function of the step."""

import math

from workflow_scripts.config.training import TrainingSettings


def learning_rate(step: int, steps_per_epoch: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step: linear from start to peak during the warm-up, then a cosine to the end.

    The cosine begins where the warm-up ends, so that the curve has no jump, and its last step has
    `learning_rate_end` exactly.
    """
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        share = step / warmup
        return settings.learning_rate_start + share * (settings.learning_rate - settings.learning_rate_start)
    last = settings.epochs * steps_per_epoch - 1
    share = min(1.0, (step - warmup) / max(1, last - warmup))
    height = 0.5 * (1 + math.cos(math.pi * share))
    return settings.learning_rate_end + height * (settings.learning_rate - settings.learning_rate_end)
