import numpy as np
import pytest

from workflow_scripts.evaluation.bootstrap import confidence_interval, median_interval, resampled_sums


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


def test_the_interval_of_a_median_equals_that_of_the_textbook_procedure_up_to_its_noise():
    generator = np.random.default_rng(4)
    images = [f"set/{index // 5}" for index in range(500)]
    values = np.repeat(generator.integers(0, 40, 100), 5) + generator.integers(0, 30, 500)
    draws = np.random.default_rng(1).choice(100, size=(2000, 100))
    plain = np.percentile([np.median(values.reshape(100, 5)[drawn]) for drawn in draws], [2.5, 97.5])
    assert np.allclose(median_interval(values, images), plain, atol=1.5)
    assert median_interval(np.full(9, 3.0), list("abcdefghi")) == (3.0, 3.0)


def test_resampled_sums_have_the_mean_and_the_spread_of_drawing_images():
    generator = np.random.default_rng(5)
    images = [f"set/{index // 2}" for index in range(200)]
    values = generator.random((200, 3))
    sums = resampled_sums(values, images, resamples=4000)
    assert sums.shape == (4000, 3)
    assert np.allclose(sums.mean(axis=0), values.sum(axis=0), rtol=0.01)
    of_images = values.reshape(100, 2, 3).sum(axis=1)
    assert np.allclose(sums.std(axis=0), of_images.std(axis=0) * 10, rtol=0.05)
