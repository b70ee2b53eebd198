"""The vocabulary: counted in the training split and nowhere else, in an order that never depends on chance."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsa_lite.data.records import Dataset, Record, Sentence
from vsa_lite.words.vocabulary import END_WORD, Vocabulary

WORDS = st.sampled_from(["a", "dog", "ball", "é", "狗", "ab", "a-b"])
SENTENCES = st.lists(st.lists(WORDS, max_size=8).map(tuple), min_size=1, max_size=12)


def dataset(**sentences):
    """One picture for each split, with these sentences."""
    records = [
        Record(number, f"{split}.jpg", Path(f"{split}.jpg"), split, tuple(Sentence(s, tuple(s.split())) for s in texts))
        for number, (split, texts) in enumerate(sentences.items())
    ]
    return Dataset("made up", records)


def flickr8k():
    path = Path(os.environ.get("VSA_LITE_DATA", "absent")) / "flickr8k"
    if not path.exists():
        pytest.skip("Flickr8k is not here: set VSA_LITE_DATA")
    from vsa_lite.data.karpathy import load_flickr8k

    return load_flickr8k(path)


def test_words_of_validation_and_test_never_enter_however_often_they_occur():
    data = dataset(train=["a dog", "a dog", "a cat"], val=["zebra dog cat"] * 9, test=["yak yak yak cat"] * 9)
    vocabulary = Vocabulary.from_dataset(data, 2)
    assert vocabulary.words == (END_WORD, "a", "dog")  # "cat" occurs once in training, 18 times elsewhere
    assert vocabulary.counts == (3, 3, 2)
    only_test = dataset(test=["a dog"])
    with pytest.raises(ValueError, match="no record in the split 'train'"):
        Vocabulary.from_dataset(only_test, 1)


def test_flickr8k_has_2537_words_and_the_end():
    data = flickr8k()
    vocabulary = Vocabulary.from_dataset(data)
    assert len(vocabulary) == 2538  # as in the paper
    assert len(vocabulary.words[1:]) == 2537
    train = Counter(t for r in data if r.split == "train" for s in r.sentences for t in s.tokens)
    assert dict(zip(vocabulary.words[1:], vocabulary.counts[1:], strict=True)) == {
        word: n for word, n in train.items() if n >= 5
    }
    assert vocabulary.counts[Vocabulary.END] == 30_000
    everywhere = Vocabulary.from_sentences(s.tokens for r in data for s in r.sentences)
    assert len(everywhere) > 2538  # what counting the other splits too would have let in


@given(SENTENCES, st.integers(1, 4))
def test_order_counts_and_threshold(sentences, minimum_count):
    counts = Counter(word for sentence in sentences for word in sentence)
    expected = sorted((-n, word) for word, n in counts.items() if n >= minimum_count)
    if not expected:
        with pytest.raises(ValueError, match=f"no word occurs {minimum_count} times"):
            Vocabulary.from_sentences(sentences, minimum_count)
        return
    vocabulary = Vocabulary.from_sentences(iter(sentences), minimum_count)
    assert vocabulary.words == (END_WORD, *(word for _, word in expected))
    assert vocabulary.counts == (len(sentences), *(-n for n, _ in expected))
    assert [vocabulary.index(word) for word in vocabulary.words] == list(range(len(vocabulary)))
    shuffled = Vocabulary.from_sentences([s[::-1] for s in sentences[::-1]], minimum_count)
    assert shuffled.to_dict() == vocabulary.to_dict()  # ties go by the alphabet, not by who came first


@given(SENTENCES, st.lists(st.lists(WORDS | st.sampled_from(["unknown", END_WORD, ""]), max_size=9), max_size=5))
def test_round_trips_drop_unknown_words_and_nothing_else(sentences, others):
    vocabulary = Vocabulary.from_sentences([*sentences, ["a"]], 1)
    for tokens in others:
        indices, positions = vocabulary.encode(tokens), vocabulary.known(tokens)
        assert vocabulary.decode(indices) == [t for t in tokens if t in vocabulary.words[1:]]
        assert vocabulary.decode(indices) == [tokens[p] for p in positions]
        assert Vocabulary.END not in indices
        assert vocabulary.decode([*indices, Vocabulary.END, *indices]) == vocabulary.decode(indices)
    content = json.loads(json.dumps(vocabulary.to_dict()))
    again = Vocabulary.from_dict(content)
    assert (again.words, again.counts, again.digest()) == (vocabulary.words, vocabulary.counts, vocabulary.digest())


def test_the_end_is_no_word_that_a_sentence_can_say():
    vocabulary = Vocabulary(["dog"], [1, 1])
    assert END_WORD not in vocabulary
    assert "dog" in vocabulary
    assert vocabulary.encode([END_WORD, "dog"]) == [1]
    assert vocabulary.index(END_WORD) == Vocabulary.END == 0


def test_the_digest_tells_words_and_order_but_not_counts():
    digest = Vocabulary(["a", "b"], [1, 1, 1]).digest()
    assert digest == Vocabulary(["a", "b"], [9, 8, 7]).digest()
    assert len({digest, *(Vocabulary(w, [1] * (len(w) + 1)).digest() for w in (["b", "a"], ["ab"], ["a"], []))}) == 5


def test_it_shows_itself():
    shown = repr(Vocabulary([f"w{n}" for n in range(1234)], [1] * 1235))
    assert "1,234 words" in shown
    assert "w0, w1" in shown
    assert len(shown) < 120


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary(["a", "b", "a"], [1] * 4), "'a' stands there twice"),
        (lambda: Vocabulary([END_WORD], [1, 1]), "'<end>' stands there twice"),
        (lambda: Vocabulary(["a", ""], [1] * 3), "must be a list of strings that are not empty"),
        (lambda: Vocabulary(["a", 3], [1] * 3), "must be a list of strings"),
        (lambda: Vocabulary([["a"]], [1, 1]), "must be a list of strings"),
        (lambda: Vocabulary("abc", [1] * 4), "must be a list of strings"),
        (lambda: Vocabulary(["a"], [1]), "counts must be 2 numbers"),
        (lambda: Vocabulary(["a"], [1, -1]), "none below 0"),
        (lambda: Vocabulary.from_sentences([["a"]], 0), "minimum_count must be at least 1, got 0"),
        (lambda: Vocabulary.from_sentences([]), "made from no sentence"),
        (lambda: Vocabulary.from_sentences([[]]), "no word occurs 5 times in these 1 sentences; lower minimum_count"),
        (lambda: Vocabulary.from_sentences(["a dog"]), "got the text 'a dog': tokenise it first"),
        (lambda: Vocabulary(["a"], [1, 1]).encode("a"), "got the text 'a': tokenise it first"),
        (lambda: Vocabulary(["a"], [1, 1]).known("a"), "got the text 'a': tokenise it first"),
        (lambda: Vocabulary(["a"], [1, 1]).decode([2]), "word index 2 is out of range: the vocabulary has 2 words"),
        (lambda: Vocabulary(["a"], [1, 1]).decode([-1]), "word index -1 is out of range"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_word_is_named():
    with pytest.raises(KeyError, match="'cat' is not among the 1 words of the vocabulary"):
        Vocabulary(["dog"], [1, 1]).index("cat")
