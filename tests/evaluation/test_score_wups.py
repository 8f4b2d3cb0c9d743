import json

import pytest

from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_wups import answer_set, main, thresholded, wups
from workflow_scripts.evaluation.wordnet import WordNet, find_wordnet

# A world of eleven nouns: entity > thing > (furniture > (chair > armchair, table), animal > (dog, cat)); "cat" is also
# a kind of furniture. The second column is the offset, the last the offset of the hypernym.
NOUNS = (
    ("entity", 1, None),
    ("thing", 2, 1),
    ("furniture", 3, 2),
    ("chair", 4, 3),
    ("armchair", 5, 4),
    ("table", 6, 3),
    ("animal", 7, 2),
    ("dog", 8, 7),
    ("cat", 9, 7),
    ("cat", 10, 3),
    ("garbage_can", 11, 3),
)


@pytest.fixture
def folder(tmp_path):
    """The nouns as WordNet's own files have them, with a line of licence."""
    licence = "  1 This software and database is provided as it is.  \n"
    path = tmp_path / "wordnet"
    path.mkdir()
    data, index = [licence], [licence]
    for word, offset, parent in NOUNS:
        pointers = f"001 @ {parent:08d} n 0000" if parent else "000"
        data.append(f"{offset:08d} 03 n 01 {word} 0 {pointers} | what it is; @ 99 \n")
    for word in dict.fromkeys(word for word, _, _ in NOUNS):
        offsets = [offset for name, offset, _ in NOUNS if name == word]
        index.append(f"{word} n {len(offsets)} 1 @ {len(offsets)} 0 {' '.join(f'{o:08d}' for o in offsets)}  \n")
    (path / "data.noun").write_text("".join(data))
    (path / "index.noun").write_text("".join(index))
    (path / "noun.exc").write_text("doggies dog\n")
    return path


@pytest.fixture
def wordnet(folder):
    return WordNet.read(folder)


def test_wu_palmer_of_hand_computed_cases(wordnet):
    # depths with the root at 1: thing 2, furniture and animal 3, chair, table, dog, cat 4, armchair 5
    assert wordnet.similarity("chair", "table") == pytest.approx(2 * 3 / (4 + 4))
    assert wordnet.similarity("armchair", "chair") == pytest.approx(2 * 4 / (5 + 4))
    assert wordnet.similarity("chair", "dog") == pytest.approx(2 * 2 / (4 + 4))
    assert wordnet.similarity("dog", "dog") == 1.0


def test_the_best_of_all_senses_counts(wordnet):
    assert wordnet.similarity("cat", "dog") == pytest.approx(2 * 3 / 8)
    assert wordnet.similarity("cat", "table") == pytest.approx(2 * 3 / 8)


def test_plurals_and_irregular_forms_are_known_and_others_are_not(wordnet):
    assert wordnet.synsets("chairs") == wordnet.synsets("chair") == [4]
    assert wordnet.synsets("doggies") == [8]
    assert wordnet.synsets("wardrobe") == []
    assert wordnet.similarity("wardrobe", "chair") == 0.0


def test_wups_of_hand_computed_sets(wordnet):
    plain, strict = thresholded(wordnet, 0.0), thresholded(wordnet, 0.9)
    assert wups(("table",), ("chair",), plain) == pytest.approx(0.75)
    assert wups(("table",), ("chair",), strict) == pytest.approx(0.075)
    # left: chair 1, table .75 -> .75; right: chair 1 -> the smaller
    assert wups(("chair", "table"), ("chair",), plain) == pytest.approx(0.75)
    # left: table -> max(.75, .5); right: chair .75 times dog .5
    assert wups(("table",), ("chair", "dog"), plain) == pytest.approx(0.375)
    assert wups(("dog", "chair"), ("chair", "dog"), strict) == 1.0
    assert wups((), ("chair",), plain) == 0.0
    assert wups(("wardrobe",), ("wardrobe",), strict) == 1.0  # unknown and equal


def test_an_answer_is_a_set_of_normalised_words():
    assert answer_set("The garbage_bin, Lamp,lamp ,") == ("garbage bin", "lamp")
    assert answer_set(" , ") == ()


@pytest.fixture
def score(tmp_path, question):
    def run(pairs, *options, id="daquar.exact_match.after"):
        rows = [question(n, answer=a, kind="object" if n % 2 else "count") for n, (_, a) in enumerate(pairs)]
        write_predictions(tmp_path / "p.jsonl", rows, [row["image"] for row in rows], [said for said, _ in pairs])
        files = ["--predictions", str(tmp_path / "p.jsonl"), "--output", str(tmp_path / "s.json"), "--id", id]
        main([*files, *options])
        scores = json.loads((tmp_path / "s.json").read_text())
        return scores, {figure["id"]: figure["value"] for figure in scores["figures"]}

    return run


PAIRS = [("dog, chair", "chair, dog"), ("table", "chair"), ("it is a garbage_can", "garbage can"), ("", "dog")]


def test_the_command_gives_all_measures_by_kind(score, folder, plain_break_down):
    scores, values = score(PAIRS, "--wordnet", str(folder))
    assert values == {
        "daquar.exact_match.after": 25.0,
        "daquar.exact_match.after.contained": 50.0,
        "daquar.wups_0.9.after": pytest.approx(100 * (1 + 0.075) / 4),
        "daquar.wups_0.0.after": pytest.approx(100 * (1 + 0.75) / 4),
    }
    assert plain_break_down(scores["breakdown"]) == {"count": (50.0, 2), "object": (0.0, 2)}
    assert scores["breakdowns"]["wups_0.0"]["object"]["value"] == pytest.approx(37.5)
    assert (scores["absent"], scores["empty_predictions"]) == (None, 1)


def test_without_wordnet_its_figures_are_absent_and_the_scores_say_why(score, monkeypatch, capsys):
    monkeypatch.setattr("workflow_scripts.evaluation.score_wups.find_wordnet", lambda folder: None)
    scores, values = score(PAIRS)
    assert list(values) == ["daquar.exact_match.after", "daquar.exact_match.after.contained"]
    assert "wordnet-base" in scores["absent"]
    assert "WUPS was not computed" in capsys.readouterr().err


def test_an_experiments_figures_keep_its_name(score, folder):
    _, values = score(PAIRS, "--wordnet", str(folder), id="daquar.exact_match.after@mlp")
    assert "daquar.wups_0.9.after@mlp" in values


def test_wrong_inputs_are_errors_that_say_what_to_do(score, tmp_path, folder):
    with pytest.raises(ValueError, match=r"lacks index\.noun"):
        score(PAIRS, "--wordnet", str(tmp_path))
    with pytest.raises(ValueError, match="must have a part exact_match"):
        score(PAIRS, id="daquar")
    with pytest.raises(ValueError, match="Question q0 has no answer"):
        score([("a", " , ")])
    (folder / "data.noun").write_text("damaged\n")
    with pytest.raises(ValueError, match="does not hold WordNet's files"):
        score(PAIRS, "--wordnet", str(folder))


@pytest.mark.skipif(find_wordnet() is None, reason="WordNet's files are not installed (Debian: wordnet-base)")
def test_similarities_of_the_real_wordnet_are_nltks():
    wordnet = WordNet.read(find_wordnet())
    # max over senses of wup_similarity of NLTK 3.10 on the same files
    assert wordnet.similarity("dog", "cat") == pytest.approx(0.8571428571428571)
    assert wordnet.similarity("chair", "table") == pytest.approx(0.8421052631578947)
    assert wordnet.similarity("curtain", "blinds") == pytest.approx(0.9411764705882353)
