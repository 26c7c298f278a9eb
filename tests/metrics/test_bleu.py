import math

import pytest

from minigen.errors import MinigenError
from minigen.metrics import corpus_bleu


def words(text):
    return text.split()


# The examples of Papineni et al. 2002, sections 2.1 and 2.1.1.
FIRST = words("it is a guide to action which ensures that the military always obeys the commands of the party")
SECOND = words("it is to insure the troops forever hearing the activity guidebook that party direct")
REFERENCES = [
    words("it is a guide to action that ensures that the military will forever heed party commands"),
    words(
        "it is the guiding principle which guarantees the military forces always being under the command of the party"
    ),
    words("it is the practical guide for the army always to heed the directions of the party"),
]


@pytest.mark.parametrize(
    ("candidate", "weights", "expected"),
    [
        (FIRST, [1.0], 17 / 18),  # one reference has as many tokens: no penalty
        (FIRST, [0.0, 1.0], 10 / 17),
        (SECOND, [1.0], 8 / 14 * math.exp(1 - 16 / 14)),
        (SECOND, [0.0, 1.0], 1 / 13 * math.exp(1 - 16 / 14)),
    ],
)
def test_the_precisions_of_the_paper(candidate, weights, expected):
    # The second candidate has 14 tokens, and the nearest reference in length 16.
    assert corpus_bleu([REFERENCES], [candidate], weights) == pytest.approx(expected)


def test_neither_repeating_a_word_nor_saying_little_pays():
    references = [words("the cat is on the mat"), words("there is a cat on the mat")]
    assert corpus_bleu([references], [words("the the the the the the the")], [1.0]) == pytest.approx(2 / 7)
    assert corpus_bleu([REFERENCES], [words("of the")], [1.0]) == pytest.approx(math.exp(1 - 16 / 2))


def test_values_of_nltk_3_10():
    assert corpus_bleu([REFERENCES], [FIRST]) == pytest.approx(0.5045666840058485, rel=1e-12)
    assert corpus_bleu([REFERENCES] * 2, [FIRST, SECOND]) == pytest.approx(0.3043537261305561, rel=1e-12)
    mixed = [REFERENCES, REFERENCES[:1]]
    assert corpus_bleu(mixed, [FIRST, SECOND]) == pytest.approx(0.30126344037064634, rel=1e-12)
    assert corpus_bleu([REFERENCES], [FIRST], (0.5, 0.5)) == pytest.approx(0.7453559924999299, rel=1e-12)
    smooth = [corpus_bleu([REFERENCES], [SECOND], smoothing=kind) for kind in ("none", "epsilon", "add-one")]
    assert smooth == pytest.approx([0, 0.03703131191121491, 0.13111209575157431], rel=1e-12)


def test_smoothing_worked_by_hand():
    # 'a b c' against 'a c d': 2 of 3 words, 0 of 2 pairs.
    references, text = [[words("a c d")]], [words("a b c")]
    assert corpus_bleu(references, text, (0.5, 0.5), "epsilon") == pytest.approx(math.sqrt(2 / 3 * 0.1 / 2))
    assert corpus_bleu(references, text, (0.5, 0.5), "add-one") == pytest.approx(math.sqrt(2 / 3 * 1 / 3))


def test_counts_are_summed_before_they_are_divided():
    references, texts = [[["a"] * 2], [["b"] * 8]], [["a", "x"], ["b"] * 8]
    assert corpus_bleu(references, texts, [1.0]) == pytest.approx(9 / 10)


def test_of_two_references_as_near_in_length_the_shorter_one_counts():
    assert corpus_bleu([[["a"] * 4, ["a"] * 6]], [["a"] * 5], [1.0]) == 1


def test_texts_that_share_nothing_are_empty_or_too_short_score_0():
    assert corpus_bleu([[words("a b c d")]], [words("w x y z")]) == 0
    assert corpus_bleu([[words("a b c d")]], [[]]) == 0
    assert corpus_bleu([[words("a b")]], [words("a b")]) == 0  # no 4-grams; give weights for words and pairs
    assert corpus_bleu([[words("a b")]], [words("a b")], (0.5, 0.5)) == 1


@pytest.mark.parametrize(
    ("references", "hypotheses", "options", "sentence"),
    [
        ([["a b"]], [["a", "b"]], {}, "list of lists of tokens"),
        ([["a", "b"]], [["a", "b"]], {}, "list of lists of tokens"),
        ([[]], [["a"]], {}, "at least one"),
        ([[["a"]]], ["a b"], {}, "cut a string with .split"),
        ([[["a"]]], "a b", {}, "a list of references for each"),
        ([], [], {}, "one hypothesis or more"),
        ([[["a"]]], [["a"], ["b"]], {}, "not 2 hypotheses and 1 lists"),
        ([[["a"]]], [["a"]], {"weights": [0.5]}, "have the sum 1"),
        ([[["a"]]], [["a"]], {"weights": [2.0, -1.0]}, "have the sum 1"),
        ([[["a"]]], [["a"]], {"smoothing": "add_one"}, "did you mean 'add-one'"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(references, hypotheses, options, sentence):
    with pytest.raises(MinigenError, match=sentence):
        corpus_bleu(references, hypotheses, **options)
