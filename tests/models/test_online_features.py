"""The way from pictures and queries to query output, against LAVIS's own on a small model with random weights."""

import pytest
import torch
from tiny_feature_extractor import write_tiny_extractor

WORDS = ["a", "blue", "cat", "kite", "on", "red", "the", "what"]
QUERIES = ["what", "", "the red cat on a blue kite"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    sizes = {"cross_attention_freq": 2, "max_text_length": 12}
    return write_tiny_extractor(tmp_path_factory.mktemp("feature_extractor"), WORDS, seed=1, **sizes)


@pytest.fixture
def extractor(folder):
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    return load_feature_extractor(folder)


@pytest.fixture
def online(extractor):
    """A function that builds the way through this extractor."""
    from workflow_scripts.models.online_features import OnlineFeatures

    return lambda **options: OnlineFeatures(extractor, **options)


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def texts_of(features, queries=QUERIES):
    return [features.text_ids(query) for query in queries]


def test_without_queries_it_is_what_features_are_computed_by(online, extractor, pixels):
    query_output, image_of = online()(pixels, None, [2, 0])
    assert torch.equal(query_output, extractor.extract_images(pixels)[0])
    assert image_of == [2, 0]


def test_with_queries_it_is_lavis_s_multimodal_output(online, extractor, pixels):
    features = online(reads_query=True)
    for query in (QUERIES[0], QUERIES[2]):
        query_output, _ = features(pixels, texts_of(features, [query] * 3))
        sample = {"image": pixels, "text_input": [query] * 3}
        expected = extractor.model.extract_features(sample, mode="multimodal").multimodal_embeds
        torch.testing.assert_close(query_output, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(query_output, extractor.extract_images(pixels)[0], atol=1e-2)


def test_a_sample_s_query_output_does_not_depend_on_its_batch_and_an_empty_query_adds_nothing(
    online, extractor, pixels
):
    features = online(reads_query=True)
    together, _ = features(pixels, texts_of(features))
    for place, ids in enumerate(texts_of(features)):
        alone, _ = features(pixels[place : place + 1], [ids])
        torch.testing.assert_close(alone[0], together[place], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[1], extractor.extract_images(pixels)[0][1], rtol=1e-4, atol=1e-5)


def test_queries_about_one_picture_share_the_vision_encoder_and_have_query_output_of_their_own(online, pixels):
    features = online(reads_query=True)
    shared, image_of = features(pixels[:2], texts_of(features), [1, 0, 1])
    assert image_of is None
    apart, _ = features(pixels[[1, 0, 1]], texts_of(features))
    torch.testing.assert_close(shared, apart, rtol=1e-4, atol=1e-5)


def test_a_long_query_is_cut_at_lavis_s_longest_text(online):
    assert len(online(reads_query=True).text_ids("cat " * 50)) == 12
    assert online().text_ids("cat") == []


@pytest.mark.parametrize("reads_query", [False, True])
def test_what_is_trained_is_what_query_output_is_computed_with_and_the_extractor_stays(
    reads_query, online, extractor, pixels
):
    features = online(reads_query=reads_query, trained=True)
    features(pixels, texts_of(features))[0].square().sum().backward()
    trained = {name for name, value in features.q_former.named_parameters() if value.requires_grad}
    assert trained == {name for name, value in features.q_former.named_parameters() if value.grad is not None}
    assert "query_tokens" in trained
    assert ("bert.embeddings.word_embeddings.weight" in trained) is reads_query
    # What texts alone go through.
    assert ("bert.encoder.layer.0.intermediate.dense.weight" in trained) is reads_query
    with torch.no_grad():
        features.q_former.query_tokens.add_(1)
    assert not any(value.requires_grad for value in extractor.model.parameters())
    assert not torch.equal(features.q_former.query_tokens, extractor.model.query_tokens)


def test_a_trained_q_former_comes_back_from_the_adaptor_s_file(online, extractor, pixels, tmp_path):
    from workflow_scripts.models.adaptor import build_adaptor, load_adaptor, save_adaptor
    from workflow_scripts.models.online_features import READS_QUERY, needs_pictures, online_features_of

    features = online(reads_query=True, trained=True)
    with torch.no_grad():
        for value in features.q_former.parameters():
            value.add_(0.01)
    weights = {name: value for name, value in features.q_former.named_parameters() if value.requires_grad}
    adaptor = build_adaptor("linear", 32, 8)
    save_adaptor(adaptor, tmp_path / "adaptor.safetensors", {READS_QUERY: "true"}, weights)
    assert needs_pictures(tmp_path / "adaptor.safetensors")
    assert load_adaptor(tmp_path / "adaptor.safetensors").state_dict().keys() == adaptor.state_dict().keys()
    loaded = online_features_of(tmp_path / "adaptor.safetensors", extractor)
    expected = features(pixels, texts_of(features))[0]
    torch.testing.assert_close(loaded(pixels, texts_of(loaded))[0], expected, rtol=1e-4, atol=1e-5)

    save_adaptor(adaptor, tmp_path / "plain.safetensors")
    assert not needs_pictures(tmp_path / "plain.safetensors")


def test_weights_of_another_q_former_are_refused(online):
    for weights in ({"query_tokens": torch.zeros(1, 8, 16)}, {"bert.unknown": torch.zeros(1)}):
        with pytest.raises(ValueError, match=r"do not fit this feature extractor \(.+\); take the feature extractor"):
            online(weights=weights)
