"""Say whether two experiments differ: a paired bootstrap over the images of two scores.json of one benchmark.

Both answered the same questions, so that the difference of each question is resampled and not the two scores apart:
what makes a question hard for both cancels out. The two differ where the 95 % interval of the difference leaves out 0.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.evaluation.bootstrap import resampled_means
from workflow_scripts.given_files import read_given_json

RESAMPLES = 10_000
FEWEST_IMAGES = 6
"""Of fewer images no result is rarer than one in twenty: that all differ to one side happens once in 2^(n - 1)."""


class NotComparableError(ValueError):
    """Why two scorings cannot be compared, as a sentence."""


@dataclass(frozen=True)
class Comparison:
    """The difference of two scores, B minus A, in their unit (per cent or points)."""

    a: float
    b: float
    difference: float
    ci95: tuple[float, float]
    p_value: float
    """Two-sided: twice the share of the resamples on the rarer side of 0 (0 itself on both), at least 2 / resamples.

    Never below 2^(1 - images), the chance that so many images differ to one side where there is no difference.
    """
    n: int
    images: int

    @property
    def differ(self) -> bool:
        """Whether the interval of the difference leaves out 0, of as many images as can tell."""
        return self.images >= FEWEST_IMAGES and (self.ci95[0] > 0 or self.ci95[1] < 0)


def compare(
    first: Mapping[str, Any], second: Mapping[str, Any], seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Compare the contents of two scores.json; other questions in one than in the other are a ValueError."""
    ours, theirs = _answers(first), _answers(second)
    lonely = ours.keys() ^ theirs.keys()
    if lonely:
        raise ValueError(
            f"{first['id']} and {second['id']} are not of the same questions: {len(lonely)} stand in one of them only, "
            f"{min(lonely)} among them; score both on one benchmark."
        )
    images = first["image_of_question"]
    names = list(ours)
    a, b = (np.array([values[name] for name in names], dtype=float) for values in (ours, theirs))
    seen = len({images[name] for name in names})
    if seen < 2:
        raise NotComparableError(
            f"{first['id']} and {second['id']} are of one image: a bootstrap over images needs two or more."
        )
    means = resampled_means(b - a, [images[name] for name in names], seed, resamples)
    low, high = np.percentile(means, [2.5, 97.5])
    rarer = min(float(np.mean(means <= 0)), float(np.mean(means >= 0)))
    return Comparison(
        a=round(float(a.mean()), 4),
        b=round(float(b.mean()), 4),
        difference=round(float((b - a).mean()), 4),
        ci95=(round(float(low), 4), round(float(high), 4)),
        p_value=min(1.0, max(2 * rarer, 2 / resamples, 2.0 ** (1 - seen))),
        n=len(names),
        images=seen,
    )


def verdict(first: str, second: str, found: Comparison) -> str:
    """The comparison in words."""
    low, high = found.ci95
    outcome = "they do not differ significantly"
    if found.images < FEWEST_IMAGES:
        outcome = f"fewer than {FEWEST_IMAGES} images cannot tell"
    if found.differ:
        outcome = f"{second if found.difference > 0 else first} is better"
    return (
        f"{first} {found.a:.2f}, {second} {found.b:.2f}: difference {found.difference:+.2f} [{low:+.2f}, {high:+.2f}], "
        f"p = {found.p_value:.4f}, n = {found.n} questions about "
        f"{found.images} images; {outcome}"
    )


def _answers(scores: Mapping[str, Any]) -> Mapping[str, float]:
    if isinstance(scores, Mapping) and scores.get("absent") and "per_question" not in scores:
        raise NotComparableError(f"{scores.get('id')} has no score of each question. {scores['absent']}")
    if not isinstance(scores, Mapping) or not scores.get("per_question") or not scores.get("image_of_question"):
        raise ValueError(
            "A file of scores has no per_question with image_of_question; score its predictions again with one of "
            "workflow_scripts.evaluation.score_*."
        )
    return scores["per_question"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, metavar="A.json", help="scores.json of one experiment")
    parser.add_argument("second", type=Path, metavar="B.json", help="scores.json of the other")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--output", type=Path, help="JSON to write the comparison to")
    arguments = parser.parse_args(argv)
    if arguments.resamples < 100:
        raise ValueError(f"--resamples {arguments.resamples}: an interval of 95 % needs 100 or more.")
    first, second = read_given_json(arguments.first), read_given_json(arguments.second)
    found = compare(first, second, arguments.seed, arguments.resamples)
    names = [first["id"], second["id"]]
    if names[0] == names[1]:
        names = [str(arguments.first), str(arguments.second)]
    print(verdict(*names, found))
    if arguments.output:
        write_json(arguments.output, {"names": names, **asdict(found), "differ": found.differ})


if __name__ == "__main__":
    run_command(main)
