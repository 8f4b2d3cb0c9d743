import json
import subprocess
import sys

import numpy as np
import pytest

from workflow_scripts.evaluation.paired_bootstrap import compare, main
from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_exact_match import main as score_exact_match


def scores(values, images=None, id="x"):
    names = [f"q{number}" for number in range(len(values))]
    images = images or [f"set/{number}" for number in range(len(values))]
    return {
        "id": id,
        "per_question": dict(zip(names, map(float, values), strict=True)),
        "image_of_question": dict(zip(names, images, strict=True)),
    }


def plain_paired_bootstrap(a, b, images, resamples=4000):
    """The textbook procedure: draw images with replacement, average the differences of their questions."""
    generator = np.random.default_rng(9)
    names = sorted(set(images))
    differences = {name: [y - x for x, y, image in zip(a, b, images, strict=True) if image == name] for name in names}
    drawn = [[differences[names[i]] for i in generator.choice(len(names), len(names))] for _ in range(resamples)]
    return np.percentile([np.mean(np.concatenate(one)) for one in drawn], [2.5, 97.5])


def test_the_interval_of_the_difference_equals_that_of_the_textbook_procedure_up_to_its_noise():
    generator = np.random.default_rng(2)
    images = [f"set/{number // 3}" for number in range(300)]
    a = 100 * (generator.random(300) < 0.5)
    b = np.where(generator.random(300) < 0.8, a, 100 - a)
    found = compare(scores(a, images), scores(b, images))
    assert np.allclose(found.ci95, plain_paired_bootstrap(a, b, images), atol=0.8)
    assert found.difference == pytest.approx(np.mean(b) - np.mean(a), abs=1e-3)
    assert (found.n, found.images) == (300, 100)


def test_a_small_difference_that_is_the_same_everywhere_is_significant_though_the_scores_spread():
    a = np.random.default_rng(0).uniform(0, 90, 200)
    found = compare(scores(a), scores(a + 1))
    assert found.differ
    assert found.ci95 == pytest.approx((1, 1))
    assert found.p_value <= 2e-4


def test_noise_is_no_difference_and_the_same_is_none():
    generator = np.random.default_rng(1)
    a, b = (100 * (generator.random(200) < 0.5) for _ in range(2))
    assert not compare(scores(a), scores(b)).differ
    same = compare(scores(a), scores(a))
    assert (same.difference, same.p_value, same.differ) == (0, 1, False)


def test_the_order_of_the_two_only_turns_the_sign():
    generator = np.random.default_rng(4)
    a, b = generator.uniform(0, 100, 50), generator.uniform(20, 100, 50)
    one, other = compare(scores(a), scores(b)), compare(scores(b), scores(a))
    assert one.difference == -other.difference
    assert one.ci95 == pytest.approx((-other.ci95[1], -other.ci95[0]), abs=2)


def test_other_questions_and_scores_without_questions_are_errors():
    with pytest.raises(ValueError, match="not of the same questions: 1 stand in one of them only, q2"):
        compare(scores([0, 1, 2]), scores([0, 1]))
    with pytest.raises(ValueError, match="has no per_question"):
        compare(scores([0]), {"id": "x", "figures": []})


def test_the_command_compares_the_files_that_scorers_write(tmp_path, question):
    rows = [question(number) for number in range(40)]
    for name, right in (("a", 10), ("b", 30)):
        said = ["cat"] * right + ["dog"] * (40 - right)
        write_predictions(tmp_path / f"{name}.jsonl", rows, [None] * 40, said)
        files = [f"--predictions={tmp_path / name}.jsonl", f"--output={tmp_path / name}.json"]
        score_exact_match([*files, f"--id=vg.exact_match.{name}"])
    command = [sys.executable, "-m", "workflow_scripts.evaluation.paired_bootstrap"]
    command += [str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--output", str(tmp_path / "o.json")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "vg.exact_match.a 25.00, vg.exact_match.b 75.00: difference +50.00" in printed
    assert "vg.exact_match.b is better" in printed
    found = json.loads((tmp_path / "o.json").read_text())
    assert (found["difference"], found["differ"], found["n"]) == (50.0, True, 40)


def test_too_few_resamples_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="--resamples 5"):
        main(["a.json", "b.json", "--resamples", "5"])
