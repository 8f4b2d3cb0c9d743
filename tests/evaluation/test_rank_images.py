import numpy as np
import pytest
import torch
from PIL import Image

from workflow_scripts.evaluation.colour_histogram import BINS, ColourRegression, colour_histogram
from workflow_scripts.evaluation.rank_images import list_captions, main
from workflow_scripts.features.token_store import TokenWriter
from workflow_scripts.models.linear_baseline import LinearBaseline

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "yellow": (230, 230, 10)}


def picture(colour, size=64):
    image = Image.new("RGB", (size, size), (240, 240, 240))
    image.paste(COLOURS[colour], (8, 8, 40, 40))
    return image


def test_a_histogram_has_length_one_and_tells_colours_apart_not_places():
    red, moved = picture("red"), Image.new("RGB", (64, 64), (240, 240, 240))
    moved.paste(COLOURS["red"], (30, 30, 62, 62))
    histograms = [colour_histogram(image) for image in (red, moved, picture("blue"))]
    assert histograms[0].shape == (BINS**3,)
    assert np.allclose(np.linalg.norm(histograms, axis=1), 1)
    assert histograms[0] @ histograms[1] > 0.98 > histograms[0] @ histograms[2]


def test_the_words_of_a_caption_predict_the_colours_of_its_picture():
    names = list(COLOURS) * 10
    histograms = np.stack([colour_histogram(picture(name)) for name in names])
    regression = ColourRegression.fit([f"a {name} square" for name in names], histograms)
    similarity = regression.similarity([f"the {name} thing" for name in COLOURS], histograms[:4])
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_caption_of_unknown_words_prefers_no_picture_over_others_of_its_colour():
    names = list(COLOURS) * 5
    histograms = np.stack([colour_histogram(picture(name)) for name in names])
    regression = ColourRegression.fit([f"a {name} square" for name in names], histograms)
    similarity = regression.similarity(["zzz"], histograms)
    assert np.isfinite(similarity).all()
    assert np.allclose(similarity[0, :4], similarity[0, 4:8])


def test_captions_point_to_their_image_and_groups_to_all_of_theirs(question):
    rows = [question(number, answer=f"caption {number}", group=number // 2) for number in (3, 0, 2, 1)]
    listing = list_captions(rows, all_captions=False)
    assert listing["images"] == ["set/0", "set/1", "set/2", "set/3"]
    assert [caption["image_index"] for caption in listing["captions"]] == [3, 0, 2, 1]
    assert [sorted(caption["group"]) for caption in listing["captions"]] == [[2, 3], [0, 1], [2, 3], [0, 1]]


def test_all_captions_of_an_image_are_listed_on_demand(question):
    rows = [question(0, answer="one", answers=["one", "two"]), question(1, answer="three", answers=["three"])]
    assert [c["text"] for c in list_captions(rows, all_captions=True)["captions"]] == ["one", "two", "three"]
    assert [c["text"] for c in list_captions(rows, all_captions=False)["captions"]] == ["one", "three"]


def test_an_empty_caption_is_an_error(question):
    with pytest.raises(ValueError, match="1 captions are empty, one of set/0"):
        list_captions([question(0, answer=" ")], all_captions=False)


def test_a_method_without_its_inputs_is_an_error_that_names_them(tmp_path):
    files = ["--benchmark", "b", "--output-similarity", "s", "--output-captions", "c"]
    with pytest.raises(ValueError, match="clip needs --images, --clip"):
        main(["--method", "clip", *files])


def test_the_linear_baseline_compares_the_words_of_captions_with_mean_tokens(tmp_path, question, write_questions):
    torch.manual_seed(0)
    model = LinearBaseline(["red", "blue", "dog"], token_width=6, width=4)
    model.save(tmp_path / "baseline")
    tokens = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float16)
    writer = TokenWriter(tmp_path / "tokens", {"image_set": "set", "encoder_sha256": "x"})
    writer.write_shard(0, ["set/2", "set/0", "set/1"], tokens)
    writer.finish()
    rows = [question(n, answer=text, answers=[text, "a dog"]) for n, text in enumerate(("Red!", "blue dog", "zzz"))]
    files = ["--benchmark", str(write_questions(rows)), "--tokens", str(tmp_path / "tokens"), "--all-captions"]
    files += ["--linear-baseline", str(tmp_path / "baseline"), "--output-captions", str(tmp_path / "c.json")]
    main(["--method", "linear_baseline", *files, "--output-similarity", str(tmp_path / "s.npy")])
    similarity = np.load(tmp_path / "s.npy")
    texts = model.embed_texts(["Red!", "a dog", "blue dog", "a dog", "zzz", "a dog"]).detach().numpy()
    pictures = model.embed_tokens(torch.from_numpy(tokens[[1, 2, 0]].astype(np.float32))).detach().numpy()
    assert np.allclose(similarity, texts @ pictures.T, atol=1e-6)
    assert (similarity[4] == 0).all()  # unknown words prefer no picture
