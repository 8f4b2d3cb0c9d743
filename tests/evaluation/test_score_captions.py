import itertools
import json
import math
import random
import shutil
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from workflow_scripts.evaluation.caption_tokens import tokenise
from workflow_scripts.evaluation.meteor import meteor, meteor_counts
from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_captions import Caption, bleu, bleu_counts, cider, main

WORDS = ("a", "dog", "runs", "on", "the", "beach", "two", "boys", "play", "in", "water", "red", "ball", "with")


def random_captions(count, seed=0):
    generator = random.Random(seed)

    def sentence():
        return " ".join(generator.choice(WORDS) for _ in range(generator.randrange(1, 12)))

    found = []
    for number in range(count):
        references = tuple(sentence() for _ in range(generator.randrange(1, 6)))
        near = generator.choice(references).split()
        near[generator.randrange(len(near))] = generator.choice(WORDS)
        prediction = generator.choice([sentence(), " ".join(near), generator.choice(references), ""])
        found.append(Caption(f"set/{number}", prediction, references))
    return found


def grams(sentence, order):
    words = sentence.split()
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def plain_bleu(captions, highest):
    """BLEU as its paper defines it: clipped precisions of the corpus and the brevity penalty."""
    logarithms, ours, theirs = [], 0, 0
    for order in range(1, highest + 1):
        matched = total = 0
        for one in captions:
            found = grams(one.prediction, order)
            most = Counter()
            for reference in one.references:
                most |= grams(reference, order)
            matched += sum((found & most).values())
            total += sum(found.values())
        logarithms.append(math.log(matched / total))
    for one in captions:
        length = len(one.prediction.split())
        ours += length
        theirs += min((abs(len(r.split()) - length), len(r.split())) for r in one.references)[1]
    return min(1, math.exp(1 - theirs / ours)) * math.exp(sum(logarithms) / highest)


def plain_cider(captions):
    """CIDEr-D as its paper defines it: clipped cosine of tf-idf vectors, orders averaged, a penalty on length."""
    number = len(captions)
    scores = np.zeros(number)
    for order in range(1, 5):
        documents = Counter(gram for one in captions for gram in {g for r in one.references for g in grams(r, order)})
        for row, one in enumerate(captions):
            for reference in one.references:
                ours, theirs = (
                    {g: n * math.log(number / max(1, documents[g])) for g, n in grams(text, order).items()}
                    for text in (one.prediction, reference)
                )
                product = sum(min(ours[g], theirs[g]) * theirs[g] for g in ours if g in theirs)
                norms = math.sqrt(sum(v**2 for v in ours.values()) * sum(v**2 for v in theirs.values()))
                # pycocoevalcap counts the bigrams as the length
                lengths = [max(0, len(text.split()) - 1) for text in (one.prediction, reference)]
                penalty = math.exp(-((lengths[0] - lengths[1]) ** 2) / (2 * 6.0**2))
                if norms:
                    scores[row] += 10 * penalty * product / norms / len(one.references) / 4
    return scores


def test_bleu_equals_an_independent_implementation():
    captions = random_captions(200)
    ours = bleu(bleu_counts(captions).sum(axis=0))
    assert np.allclose(ours, [plain_bleu(captions, order) for order in range(1, 5)], rtol=1e-7)


def test_cider_equals_an_independent_implementation():
    captions = random_captions(200, seed=1)
    assert np.allclose(cider(captions), plain_cider(captions), rtol=1e-9)


def test_bleu_of_our_counts_is_that_of_the_public_scorer():
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    captions = random_captions(100, seed=2)
    scorer = BleuScorer(n=4)
    for one in captions:
        scorer += (one.prediction, list(one.references))
    assert np.allclose(bleu(bleu_counts(captions).sum(axis=0)), scorer.compute_score(option="closest")[0], rtol=1e-12)


def test_bleu_of_a_hand_computed_case():
    counts = bleu_counts([Caption("a", "the dog runs", ("the dog sleeps now", "a dog runs in the sun")), *()])
    # unigrams 3 of 3, bigrams 2 of 2 ("the dog", "dog runs"), trigrams 0 of 1; 3 words against 4
    assert counts.tolist() == [[3, 2, 0, 0, 3, 2, 1, 0, 3, 4]]
    assert bleu(counts[0])[:2] == pytest.approx([math.exp(1 - 4 / 3)] * 2, rel=1e-6)


def test_cider_of_hand_computed_cases():
    captions = [Caption("a", "one two", ("one two",)), Caption("b", "three four", ("five six",))]
    # each n-gram of one image has the idf log 2; orders 3 and 4 do not exist, so that half of 10 is the most
    assert cider(captions).tolist() == pytest.approx([5.0, 0.0])


@pytest.fixture
def score(tmp_path, question, monkeypatch):
    """Scores pairs of a caption and its references; where `java` is not wanted, there is none on the PATH."""

    def run(captions, *options, java=False):
        if not java:
            monkeypatch.setenv("PATH", str(tmp_path))
        rows = [question(n, answer=references[0], answers=references) for n, (_, references) in enumerate(captions)]
        write_predictions(tmp_path / "p.jsonl", rows, [r["image"] for r in rows], [said for said, _ in captions])
        files = ["--predictions", str(tmp_path / "p.jsonl"), "--output", str(tmp_path / "s.json")]
        main([*files, "--id", "flickr8k.captions", *options])
        scores = json.loads((tmp_path / "s.json").read_text())
        return scores, {figure["id"]: figure for figure in scores["figures"]}

    return run


def test_figures_have_names_units_intervals_and_the_split(score):
    pairs = [(one.prediction, list(one.references)) for one in random_captions(60, seed=3)]
    scores, figures = score(
        pairs, "--suffix", "_shuffled_images", "--benchmark", "flickr8k.captions", "--split", "validation"
    )
    names = [f"flickr8k.captions.{name}_shuffled_images" for name in ("cider", "bleu_4", "bleu_3", "bleu_2", "bleu_1")]
    assert list(figures) == names
    assert scores["id"] == "flickr8k.captions_shuffled_images"
    assert (scores["benchmark"], scores["split"]) == ("flickr8k.captions", "validation")
    for figure in figures.values():
        assert figure["ci95"][0] < figure["value"] < figure["ci95"][1]
        assert figure["n"] == 60
    assert [figures[name]["unit"] for name in names[:2]] == ["points", "%"]
    assert "Java" in scores["definition"]


def test_without_java_there_is_no_meteor_and_a_reason(score):
    scores, figures = score([("a dog runs here", ["a dog"]), ("a cat", ["a cat"])])
    assert "flickr8k.captions.meteor" not in figures
    assert (
        scores["absent"]
        == "METEOR was not computed: its public program needs Java, and there is no `java` on the PATH."
    )


def test_a_java_that_fails_is_a_reason_too(score, tmp_path, monkeypatch):
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\ncat > /dev/null\necho 'a first line' >&2\necho 'no memory for a machine' >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    scores, figures = score([("a dog runs here", ["a dog"]), ("a cat", ["a cat"])], java=True)
    assert "flickr8k.captions.meteor" not in figures
    assert scores["absent"].endswith("its Java program failed and said: no memory for a machine")


needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="METEOR's public program needs Java")


@needs_java
@pytest.mark.slow
def test_meteor_is_that_of_the_public_scorer_of_each_caption_and_of_all():
    from pycocoevalcap.meteor.meteor import Meteor

    # The public scorer stops at a caption of no words.
    captions = [one for one in random_captions(120, seed=6) if one.prediction]
    captions.append(Caption("same", "two boys play in the water", ("two boys play in the water",)))
    captions.append(Caption("other", "quokka", ("two boys play in the water", "zebra")))
    ids = [one.image for one in captions]
    of_all, of_each = Meteor().compute_score(
        {one.image: list(one.references) for one in captions}, {one.image: [one.prediction] for one in captions}
    )
    counts = meteor_counts([one.prediction for one in captions], [one.references for one in captions])
    assert np.allclose(meteor(counts), of_each, rtol=0, atol=1e-12)
    assert meteor(counts.sum(axis=0)) == pytest.approx(of_all, abs=1e-12)
    assert dict(zip(ids, meteor(counts), strict=True))["same"] == 1
    assert dict(zip(ids, meteor(counts), strict=True))["other"] == 0


@needs_java
@pytest.mark.slow
def test_with_java_meteor_is_a_figure_with_an_interval(score):
    scores, figures = score([(one.prediction, list(one.references)) for one in random_captions(40, seed=3)], java=True)
    low, high = figures["flickr8k.captions.meteor"]["ci95"]
    assert low < figures["flickr8k.captions.meteor"]["value"] < high
    assert (figures["flickr8k.captions.meteor"]["n"], scores["absent"]) == (40, None)


def test_meteor_of_a_hand_computed_case():
    counts = np.zeros(23)
    # "dogs run in sand" against "a dog runs in the sand": two words as they are, two by their stems, in two chunks;
    # of them, "in" is a function word, as "a" and "the" are.
    counts[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 22]] = [4, 6, 1, 3, 1, 1, 1, 1, 2, 2, 2, 4, 4]
    matched = (0.75 * 1 + 0.25 * 1) + 0.6 * (0.75 * 2)
    precision, recall = matched / (0.75 * 3 + 0.25 * 1), matched / (0.75 * 3 + 0.25 * 3)
    mean = precision * recall / (0.85 * precision + 0.15 * recall)
    assert meteor(counts) == pytest.approx(mean * (1 - 0.6 * (2 / 4) ** 0.2))
    assert meteor(np.zeros(23)) == 0


def test_perfect_captions_have_the_greatest_scores_whatever_case_and_punctuation(score):
    pairs = [(f"A {a} {b}, in the Snow!", [f"a {a} {b} in the snow"]) for a, b in itertools.pairwise(WORDS)]
    _, figures = score(pairs)
    assert figures["flickr8k.captions.bleu_4"]["value"] == pytest.approx(100, abs=1e-3)
    assert figures["flickr8k.captions.cider"]["value"] == pytest.approx(1000, abs=1e-3)


def test_captions_of_nothing_are_counted_and_score_nothing(score):
    scores, figures = score([("", ["a dog"]), ("...", ["a cat runs"])])
    assert scores["empty_predictions"] == 2
    assert figures["flickr8k.captions.cider"]["value"] == 0
    assert figures["flickr8k.captions.bleu_1"]["value"] == 0


def test_a_question_without_references_is_an_error(score):
    with pytest.raises(ValueError, match="Question q1 has no caption"):
        score([("a dog", ["a dog"]), ("a dog", [" "])])


def test_official_files_give_the_same_figures(score, tmp_path):
    captions = random_captions(20, seed=4)
    _, ours = score([(one.prediction, list(one.references)) for one in captions])
    annotations = [{"image_id": n, "caption": text} for n, one in enumerate(captions) for text in one.references]
    results = [{"image_id": n, "caption": one.prediction} for n, one in enumerate(captions)]
    (tmp_path / "a.json").write_text(json.dumps({"images": [], "annotations": annotations}))
    (tmp_path / "r.json").write_text(json.dumps(results))
    options = [f"--{key}={tmp_path / name}" for key, name in (("annotations", "a.json"), ("predictions", "r.json"))]
    main([*options, "--id=flickr8k.captions", f"--output={tmp_path / 'o.json'}"])
    for figure in json.loads((tmp_path / "o.json").read_text())["figures"]:
        assert figure["value"] == ours[figure["id"]]["value"]
    (tmp_path / "r.json").write_text(json.dumps(results[1:]))
    with pytest.raises(ValueError, match="1 questions without a prediction, 0 among them"):
        main([*options, "--id=x", f"--output={tmp_path / 'o.json'}"])


def test_official_files_that_do_not_fit_are_errors(tmp_path):
    right = [{"image_id": 1, "caption": "a dog"}]
    cases = [
        ({"images": []}, right, 'no list "annotations" of'),
        ({"annotations": [{"image_id": 1}]}, right, 'no list "annotations" of'),
        ({"annotations": [{"image_id": 1, "caption": " "}]}, right, "Image 1 of .* has no caption to compare with"),
        ({"annotations": right}, {"1": "a dog"}, "must be a list of"),
        ({"annotations": right}, [{"image_id": 1, "caption": None}], "with captions that are text"),
        ({"annotations": right}, right * 2, "more than once, 1 among them"),
        ({"annotations": right}, [*right, {"image_id": 9, "caption": "a cat"}], "1 unknown questions, 9 among them"),
        ({"annotations": []}, [], "holds no caption"),
    ]
    options = [f"--{key}={tmp_path / f'{key[0]}.json'}" for key in ("annotations", "predictions", "output")]
    for annotations, predictions, message in cases:
        (tmp_path / "a.json").write_text(json.dumps(annotations))
        (tmp_path / "p.json").write_text(json.dumps(predictions))
        with pytest.raises(ValueError, match=message):
            main(options)
    assert not (tmp_path / "o.json").exists()


def test_captions_that_are_very_long_or_in_other_scripts_are_scored_and_counted(score):
    scores, figures = score([("a dog " * 2000, ["a dog"]), ("собака бежит", ["собака бежит"]), ("", ["a cat"])])
    counts = ("empty_predictions", "long_predictions", "other_script_predictions")
    assert [scores[name] for name in counts] == [1, 1, 1]
    assert scores["per_question"]["set/1"] > scores["per_question"]["set/2"] == 0
    assert figures["flickr8k.captions.cider"]["n"] == 3


def test_a_thousand_pictures_with_five_captions_take_seconds(score):
    pairs = [(one.prediction, list(one.references) * 2) for one in random_captions(1000, seed=5)]
    start = time.process_time()
    score(pairs)
    assert time.process_time() - start < 20


def test_a_damaged_predictions_file_is_one_sentence(tmp_path):
    (tmp_path / "p.jsonl").write_text("{")
    command = [sys.executable, "-m", "workflow_scripts.evaluation.score_captions", "--id", "x"]
    command += ["--predictions", str(tmp_path / "p.jsonl"), "--output", str(tmp_path / "s.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, "Line 1 of" in result.stderr, "Traceback" in result.stderr) == (1, True, False)


CASES = {
    "Two dogs run, fast .": "two dogs run fast",
    "A man's hat; the boys' ball": "a man 's hat the boys ball",
    "They don't see what we'll do": "they do n't see what we 'll do",
    "she cannot, he's gonna": "she can not he 's gon na",
    "A T-shirt - blue -- on a black/white dog...": "a t-shirt blue on a black/white dog",
    "1,000 people at 10:30 for $5": "1,000 people at 10:30 for $ 5",
    'the "best" (red) dog!': "the best -lrb- red -rrb- dog",
    "five o'clock at the U.S. shore": "five o'clock at the u.s. shore",
    "": "",
}


@pytest.mark.parametrize(("caption", "expected"), CASES.items())
def test_captions_become_words_as_the_treebank_has_them(caption, expected):
    assert tokenise(caption) == expected


@pytest.mark.skipif(shutil.which("java") is None, reason="pycocoevalcap's own tokeniser needs Java")
@pytest.mark.slow
def test_the_words_are_those_of_pycocoevalcaps_own_tokeniser():
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    captions = [caption for caption in CASES if caption]
    theirs = PTBTokenizer().tokenize({n: [{"caption": caption}] for n, caption in enumerate(captions)})
    assert [theirs[n][0] for n in range(len(captions))] == [tokenise(caption) for caption in captions]
