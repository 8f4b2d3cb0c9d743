import numpy as np
import pytest

from workflow_scripts.evaluation.bootstrap import confidence_interval


def plain_bootstrap(values, images, seed, resamples):
    """The textbook procedure: draw images with replacement, take all their values, average."""
    generator = np.random.default_rng(seed)
    names = sorted(set(images))
    by_image = {name: values[[image == name for image in images]] for name in names}
    means = []
    for _ in range(resamples):
        drawn = generator.choice(len(names), size=len(names))
        means.append(np.concatenate([by_image[names[index]] for index in drawn]).mean())
    return np.percentile(means, [2.5, 97.5])


def test_the_interval_equals_that_of_the_textbook_procedure_up_to_its_noise():
    generator = np.random.default_rng(3)
    images = [f"set/{index // 4}" for index in range(400)]
    values = (generator.random(400) < np.repeat(generator.random(100), 4)).astype(float)
    ours = confidence_interval(values, images, resamples=4000)
    assert np.allclose(ours, plain_bootstrap(values, images, 1, 4000), atol=0.008)


def test_questions_about_one_image_are_not_taken_as_independent():
    images = [f"set/{index // 10}" for index in range(200)]
    values = np.repeat([0.0, 1.0] * 10, 10)
    narrow = confidence_interval(values, [f"set/{index}" for index in range(200)])
    wide = confidence_interval(values, images)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_the_interval_is_the_same_for_the_same_seed_whatever_the_order():
    values, images = np.array([0.0, 1.0, 1.0, 0.5]), ["a", "b", "c", "a"]
    order = [2, 0, 3, 1]
    again = confidence_interval(values[order], [images[index] for index in order], seed=5)
    assert again == confidence_interval(values, images, seed=5)


def test_equal_values_have_an_interval_of_no_width():
    assert confidence_interval(np.ones(7), list("abcdefg")) == (1.0, 1.0)


def test_no_value_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        confidence_interval(np.array([]), [])
