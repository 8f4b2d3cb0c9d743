"""The whole system in small: what is trained, what the loss sees, and that batches answer as single samples do."""

import pytest
import torch

from workflow_scripts.models.adaptor import build_adaptor
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel

QUERIES = ["what colour is the cat?", "", "how many kites are left of the dog on the beach?"]


@pytest.fixture
def system(language_model_folder):
    torch.manual_seed(0)
    model, tokenizer = load_language_model(language_model_folder)
    return VisionLanguageModel(build_adaptor("linear", 16, 48), model, Prompt(tokenizer))


def ids(system, queries, answers):
    before, after = zip(*(system.prompt.prefix_ids(query) for query in queries), strict=True)
    return before, after, [system.prompt.answer_ids(answer) for answer in answers]


def test_only_the_adaptor_learns_and_the_language_model_stays_in_eval_mode(system):
    trained = [name for name, parameter in system.named_parameters() if parameter.requires_grad]
    assert trained == ["adaptor.projection.weight", "adaptor.projection.bias"]
    system.train()
    assert system.adaptor.training
    assert not system.language_model.training
    system.loss(torch.randn(2, 32, 16), QUERIES[:2], ["red", "a red cat"]).backward()
    assert system.adaptor.projection.weight.grad.abs().sum() > 0


def test_labels_cover_the_answer_and_its_end_and_nothing_else(system):
    answers = ["red", "</s> a red cat"]
    _, mask, labels = system.training_inputs(torch.randn(2, 32, 16), *ids(system, QUERIES[:2], answers))
    for row, attention, query, answer in zip(labels, mask, QUERIES[:2], answers, strict=True):
        before, after = system.prompt.prefix_ids(query)
        prefix = len(before) + 32 + len(after)
        answer_ids = system.prompt.answer_ids(answer)
        assert row[:prefix].eq(-100).all()
        assert row[prefix : prefix + len(answer_ids)].tolist() == answer_ids
        assert row[prefix + len(answer_ids) :].eq(-100).all()
        assert attention.sum() == prefix + len(answer_ids)


def test_loss_is_that_of_the_full_logits(system):
    features, answers = torch.randn(3, 32, 16), ["red", "a red cat sits.", "on the beach"]
    embeds, mask, labels = system.training_inputs(features, *ids(system, QUERIES, answers))
    reference = system.language_model(inputs_embeds=embeds, attention_mask=mask, labels=labels).loss
    torch.testing.assert_close(system.loss(features, QUERIES, answers), reference)


def test_samples_packed_behind_their_image_have_the_loss_and_gradient_of_single_ones(system):
    features = torch.randn(2, 32, 16)
    answers = ["red", "a red cat sits.", "on the beach"]
    image_of = [1, 0, 1]
    before, after, answer_ids = ids(system, QUERIES, answers)
    gradients = []
    for inputs, images in ((features[image_of], None), (features, image_of)):
        system.zero_grad()
        loss = system(inputs, before, after, answer_ids, images)
        loss.backward()
        gradients.append((loss.detach(), system.adaptor.projection.weight.grad.clone()))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_a_sample_without_an_answer_is_refused(system):
    before, after = system.prompt.prefix_ids("what?")
    with pytest.raises(ValueError, match="sample 1 of the batch is empty"):
        system(torch.randn(2, 32, 16), [before] * 2, [after] * 2, [system.prompt.answer_ids("red"), [2]])


def test_training_and_inference_see_the_same_prefix(system, monkeypatch):
    features = torch.randn(1, 32, 16)
    seen = {}
    generate = system.language_model.generate

    def spy(inputs_embeds, **options):
        seen["prefix"] = inputs_embeds
        return generate(inputs_embeds=inputs_embeds, **options)

    monkeypatch.setattr(system.language_model, "generate", spy)
    system.generate(features, QUERIES[:1], max_new_tokens=2)
    embeds, _, labels = system.training_inputs(features, *ids(system, QUERIES[:1], ["red"]))
    prefix = int(labels[0].ne(-100).nonzero()[0])
    torch.testing.assert_close(embeds[:, :prefix], seen["prefix"], atol=0, rtol=0)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_left_padded_batch_answers_as_its_samples_alone(system, num_beams):
    features = torch.randn(3, 32, 16)
    together = system.generate(features, QUERIES, max_new_tokens=8, num_beams=num_beams)
    alone = [
        system.generate(features[index : index + 1], [query], max_new_tokens=8, num_beams=num_beams)[0]
        for index, query in enumerate(QUERIES)
    ]
    assert together == alone
    assert len(set(together)) == 3


def test_temperature_samples_and_zero_does_not(system):
    features = torch.randn(1, 32, 16)
    greedy = {system.generate(features, ["what?"], max_new_tokens=8)[0] for _ in range(3)}
    sampled = {system.generate(features, ["what?"], max_new_tokens=8, temperature=5.0)[0] for _ in range(5)}
    assert len(greedy) == 1
    assert len(sampled) > 1


def test_the_language_model_answers_plain_text_prompts(system):
    answers = system.generate(None, ["what colour is the cat?", "how many?"], max_new_tokens=6)
    alone = system.generate(None, ["what colour is the cat?"], max_new_tokens=6)
    assert answers[0] == alone[0]
    assert all(isinstance(answer, str) and answer for answer in answers)


def test_one_image_caption_pair_is_overfitted_until_greedy_generation_returns_its_caption(system):
    features, caption = torch.randn(1, 32, 16), "a red cat sits left of the blue dog."
    optimizer = torch.optim.AdamW(system.adaptor.parameters(), lr=0.02)
    assert system.generate(features, [""], max_new_tokens=16) != [caption]
    for _ in range(400):
        loss = system.loss(features, [""], [caption])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.02:
            break
    assert system.generate(features, [""], max_new_tokens=16) == [caption]


def test_an_adaptor_for_another_width_is_refused(language_model_folder):
    model, tokenizer = load_language_model(language_model_folder)
    with pytest.raises(ValueError, match="embeddings are 48 wide"):
        VisionLanguageModel(build_adaptor("linear", 16, 64), model, Prompt(tokenizer))
