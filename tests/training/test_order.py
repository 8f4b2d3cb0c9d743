import numpy as np
import pytest

from workflow_scripts.training.order import BatchOrder, beside_their_image, order


def batches(order_, steps):
    return [order_.batch(step).tolist() for step in steps]


def make(count=103, batch_size=8, seed=0, window=4):
    lengths = np.random.default_rng(1).integers(3, 40, count)
    return BatchOrder(lengths, batch_size, seed, window)


def test_order_is_a_permutation_that_seed_and_epoch_decide():
    assert sorted(order(50, 3, 1)) == list(range(50))
    np.testing.assert_array_equal(order(50, 3, 1), order(50, 3, 1))
    assert not np.array_equal(order(50, 3, 1), order(50, 3, 2))
    assert not np.array_equal(order(50, 3, 1), order(50, 4, 1))
    assert not np.array_equal(order(50, 0, 1), order(50, 1, 0))


def test_order_is_that_of_datasets_with_a_generator_an_epoch():
    import datasets

    samples = datasets.Dataset.from_dict({"row": list(range(1000))})
    for seed, epoch in ((0, 0), (0, 1), (7, 3)):
        shuffled = samples.shuffle(generator=np.random.default_rng([seed, epoch]))
        np.testing.assert_array_equal(order(1000, seed, epoch), shuffled["row"][:])


def test_every_sample_comes_at_most_once_in_an_epoch_and_what_fills_no_batch_is_left_out():
    whole = make()
    seen = np.concatenate([whole.batch(step) for step in range(whole.steps_per_epoch)])
    assert len(seen) == len(set(seen.tolist())) == 96
    other = np.concatenate([whole.batch(step) for step in range(whole.steps_per_epoch, 2 * whole.steps_per_epoch)])
    assert set(other.tolist()) != set(seen.tolist())


def test_any_step_is_found_without_the_ones_before_it():
    forwards = batches(make(), range(30))
    fresh = [make().batch(step).tolist() for step in (29, 0, 13)]
    assert fresh == [forwards[29], forwards[0], forwards[13]]


def test_batches_hold_samples_of_similar_length_but_do_not_come_sorted():
    grouped, random = make(4000, 16, window=32), make(4000, 16, window=1)

    def spread(order_):
        return np.mean([np.ptp(order_.lengths[order_.batch(step)]) for step in range(100)])

    assert spread(grouped) < 0.2 * spread(random)
    means = [grouped.lengths[grouped.batch(step)].mean() for step in range(32)]
    assert means != sorted(means)


def test_samples_of_an_image_come_together_and_in_another_company_in_every_epoch():
    images = np.random.default_rng(2).permutation(np.repeat(np.arange(40), 5))
    whole = BatchOrder(np.ones(200), 20, 0, 4, images, together=5)
    epochs = [[whole.batch(step + 10 * epoch) for step in range(10)] for epoch in range(2)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == list(range(200))
        assert all(len(set(images[batch])) == 4 for batch in epoch)
    assert [set(images[batch]) for batch in epochs[0]] != [set(images[batch]) for batch in epochs[1]]


def test_no_more_samples_of_an_image_come_together_than_asked_for():
    images = np.repeat([3, 1, 2], [7, 2, 1])
    arranged = images[np.random.default_rng(0).permutation(10)]
    together = arranged[beside_their_image(arranged, 3, np.random.default_rng(1))]
    assert sorted(together) == sorted(images)
    runs = np.split(together, np.flatnonzero(np.diff(together)) + 1)
    assert all(len(run) <= 3 for run in runs if run[0] != 3)
    assert {len(run) % 3 for run in runs if run[0] == 1} == {2}
    assert sum(len(run) for run in runs if run[0] == 3) == 7


def test_images_with_many_samples_do_not_come_earlier():
    images = np.concatenate([np.repeat(np.arange(100), 8), np.arange(100, 900)])
    whole = BatchOrder(np.ones(1600), 16, 0, 4, images, together=8)
    steps = [
        np.mean([(images[whole.batch(step)] < 100).mean() for step in half]) for half in (range(50), range(50, 100))
    ]
    assert steps[0] == pytest.approx(0.5, abs=0.15)


def test_fewer_samples_than_a_batch_are_an_error():
    with pytest.raises(ValueError, match="batch_size = 8 is more than the 5 samples"):
        make(count=5)


@pytest.mark.parametrize("step", [0, 77, 4 * 15_625 - 1])
def test_a_place_in_three_million_samples_needs_one_permutation_wherever_it_is(step, monkeypatch):
    from workflow_scripts.training import order as module

    made = []
    monkeypatch.setattr(module, "order", lambda *arguments: made.append(arguments) or order(*arguments))
    lengths = np.random.default_rng(0).integers(5, 60, 3_000_000).astype(np.int32)
    assert len(BatchOrder(lengths, 192, 0, 32).batch(step)) == 192
    assert made == [(3_000_000, 0, step // 15_625)]
