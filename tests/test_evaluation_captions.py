"""Caption metrics by hand, against naive counting, and against nltk and pycocoevalcap on the same text."""

import builtins
import json
import math
import os
import sys
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsa_lite.data.scenes import make_scenes
from vsa_lite.evaluation import captions
from vsa_lite.evaluation.captions import bleu, caption_metrics, cider_and_rouge, meteor, novel_share

needs_pycocoevalcap = pytest.mark.skipif(not find_spec("pycocoevalcap"), reason="needs vsa-lite[metrics]")
words = st.lists(st.sampled_from("a dog cat red on the mat".split()), max_size=7)
sets = st.lists(
    st.tuples(words, st.lists(words, min_size=1, max_size=5).filter(lambda people: any(people))), min_size=1, max_size=6
)


def lines(*sentences):
    return [sentence.split() for sentence in sentences]


def naive_bleu(candidates, references, n):
    """The formula of Papineni et al., one n-gram after the other; no smoothing."""
    logarithms = []
    for m in range(1, n + 1):
        right = total = 0
        for candidate, people in zip(candidates, references, strict=True):
            grams = [tuple(candidate[i : i + m]) for i in range(len(candidate) - m + 1)]
            total += len(grams)
            for gram, count in Counter(grams).items():
                most = max(
                    sum(tuple(sentence[i : i + m]) == gram for i in range(len(sentence) - m + 1)) for sentence in people
                )
                right += min(count, most)
        if not right:
            return 0.0
        logarithms.append(math.log(right / total))
    c = sum(map(len, candidates))
    r = 0
    for candidate, people in zip(candidates, references, strict=True):
        r += sorted((abs(len(sentence) - len(candidate)), len(sentence)) for sentence in people)[0][1]
    return 100 * min(1.0, math.exp(1 - r / c)) * math.exp(sum(logarithms) / n)


def as_coco(candidates, references):
    people = {k: [" ".join(sentence) for sentence in sentences] for k, sentences in enumerate(references)}
    return people, {k: [" ".join(candidate)] for k, candidate in enumerate(candidates)}


def scenes_text(pictures=150):
    """Sentences that people might have written: one of another picture of like content, against five true ones."""
    sentences = [[list(s.tokens) for s in record.sentences] for record in make_scenes(pictures, 0, 1, seed=3)]
    sentences = sentences[:pictures]
    return [sentences[k - 1][k % 5] for k in range(len(sentences))], sentences


# BLEU


def test_bleu_by_hand():
    # 5 of 6 words are right, 3 of 5 pairs, 1 of 4 triples, no four; lengths are equal
    candidates, references = lines("the cat is on the mat"), [lines("the cat sat on the mat", "a cat")]
    scores = bleu(candidates, references)
    assert scores == {
        "bleu_1": pytest.approx(100 * 5 / 6),
        "bleu_2": pytest.approx(100 * math.sqrt(5 / 6 * 3 / 5)),
        "bleu_3": pytest.approx(100 * (5 / 6 * 3 / 5 * 1 / 4) ** (1 / 3)),
        "bleu_4": 0.0,
    }


def test_a_word_counts_no_more_often_than_a_reference_has_it():
    the = lines("the the the the the the the")
    assert bleu(the, [lines("the cat is on the mat now")], 1)["bleu_1"] == pytest.approx(100 * 2 / 7)


def test_short_sentences_are_punished_by_the_closest_length_and_the_shorter_among_equals():
    candidates = lines("a dog runs")
    assert bleu(candidates, [lines("a dog runs on the grass today")], 1)["bleu_1"] == pytest.approx(
        100 * math.exp(1 - 7 / 3)
    )
    assert bleu(candidates, [lines("a dog runs on", "a dog runs on the grass")], 1)["bleu_1"] == pytest.approx(
        100 * math.exp(1 - 4 / 3)
    )
    assert bleu(candidates, [lines("a dog runs on", "a dog")], 1)["bleu_1"] == 100  # 2 and 4 are as near: 2
    assert bleu(lines("a dog runs far away"), [lines("a dog")], 1)["bleu_1"] == pytest.approx(100 * 2 / 5)


@settings(max_examples=150, deadline=None)
@given(sets)
def test_bleu_equals_naive_counting(pairs):
    candidates, references = zip(*pairs, strict=True)
    for n in range(1, 5):
        expected = naive_bleu(candidates, references, n) if any(candidates) else 0.0
        assert bleu(candidates, references)[f"bleu_{n}"] == pytest.approx(expected)


@needs_pycocoevalcap
@settings(max_examples=100, deadline=None)
@given(sets)
def test_bleu_equals_pycocoevalcaps_wherever_anything_is_right(pairs):
    from pycocoevalcap.bleu.bleu import Bleu

    candidates, references = zip(*pairs, strict=True)
    theirs = Bleu(4).compute_score(*as_coco(candidates, references), verbose=0)[0]
    for ours, other in zip(bleu(candidates, references).values(), theirs, strict=True):
        if ours:
            assert ours == pytest.approx(100 * other, rel=1e-6)
        # else theirs is what its constants 1e-15 and 1e-9 make of nothing


def compare_libraries(candidates, references):
    from nltk.translate.bleu_score import corpus_bleu

    ours = list(bleu(candidates, references).values())
    assert min(map(len, candidates)) >= 4, "below that nltk counts n-grams which are not there"
    weights = [(1 / n,) * n for n in range(1, 5)]
    assert ours == pytest.approx([100 * score for score in corpus_bleu(references, candidates, weights)], rel=1e-9)
    if find_spec("pycocoevalcap"):
        from pycocoevalcap.bleu.bleu import Bleu

        theirs = Bleu(4).compute_score(*as_coco(candidates, references), verbose=0)[0]
        assert ours == pytest.approx([100 * score for score in theirs], rel=1e-6)
    assert min(ours) > 1
    return ours


def test_both_libraries_agree_on_the_scenes_sentences():
    compare_libraries(*scenes_text())


def test_both_libraries_agree_on_flickr8k():
    path = Path(os.environ.get("VSA_LITE_DATA", "absent")) / "flickr8k" / "dataset.json"
    if not path.exists():
        pytest.skip("Flickr8k is not here: set VSA_LITE_DATA")
    records = [record for record in json.loads(path.read_text())["images"] if record["split"] == "test"][:300]
    sentences = [[sentence["tokens"] for sentence in record["sentences"]] for record in records]
    by_people = [(people[0], people[1:]) for people in sentences if len(people[0]) >= 4]
    one, of_the_next = (
        compare_libraries(*zip(*by_people, strict=True)),
        compare_libraries([next(s for s in sentences[k - 1] if len(s) >= 4) for k in range(300)], sentences),
    )
    assert one[3] > 2 * of_the_next[3], "what people say of the picture itself is nearer"


def test_short_candidates_are_where_nltk_differs():
    from nltk.translate.bleu_score import corpus_bleu

    candidates, references = lines("a dog runs on grass", "a dog"), [lines("a dog runs on grass"), lines("a dog")]
    assert bleu(candidates, references)["bleu_4"] == 100
    # it counts a triple and a four of "a dog", both wrong: 3 of 4 and 2 of 3 in place of 3 of 3 and 2 of 2
    assert corpus_bleu(references, candidates) == pytest.approx((3 / 4 * 2 / 3) ** 0.25)


def test_nothing_is_printed_when_nothing_is_right(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = bleu(lines("x y z w v"), [lines("a b c d e")])
    assert list(scores.values()) == [0, 0, 0, 0]
    assert capfd.readouterr() == ("", "")


# CIDEr, ROUGE-L


def naive_cider(candidates, references):
    """Vedantam et al. 2015, CIDEr-D: clipped tf-idf cosines, n = 1..4, a Gaussian of the lengths, sigma 6."""
    N, total = len(candidates), 0.0

    def grams(sentence, n):
        return Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))

    for candidate, people in zip(candidates, references, strict=True):
        for sentence in people:
            for n in range(1, 5):
                c, s = grams(candidate, n), grams(sentence, n)
                idf = {
                    g: math.log(N)
                    - math.log(max(1, sum(any(g in grams(r, n) for r in others) for others in references)))
                    for g in c | s
                }
                dot = sum(min(c[g], s[g]) * s[g] * idf[g] ** 2 for g in c)
                norms = [math.sqrt(sum((counts[g] * idf[g]) ** 2 for g in counts)) for counts in (c, s)]
                # pycocoevalcap measures lengths in pairs of words
                gap = max(0, len(candidate) - 1) - max(0, len(sentence) - 1)
                if all(norms):
                    total += 10 * dot / math.prod(norms) * math.exp(-(gap**2) / 72) / 4 / len(people) / N
    return 100 * total


def naive_rouge(candidates, references):
    def longest(a, b):
        if not a or not b:
            return 0
        return longest(a[1:], b[1:]) + 1 if a[0] == b[0] else max(longest(a[1:], b), longest(a, b[1:]))

    total = 0.0
    for candidate, people in zip(candidates, references, strict=True):
        precision = max(longest(candidate, sentence) / max(1, len(candidate)) for sentence in people)
        recall = max(longest(candidate, sentence) / max(1, len(sentence)) for sentence in people)
        if precision and recall:
            total += (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    return 100 * total / len(candidates)


@needs_pycocoevalcap
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(words, st.lists(words.filter(bool), min_size=1, max_size=3)), min_size=1, max_size=4))
def test_cider_and_rouge_equal_naive_versions(pairs):
    candidates, references = zip(*pairs, strict=True)
    scores = cider_and_rouge(candidates, references)
    assert scores["cider"] == pytest.approx(naive_cider(candidates, references), abs=1e-6)
    assert scores["rouge_l"] == pytest.approx(naive_rouge(candidates, references))


@needs_pycocoevalcap
def test_cider_weighs_by_this_set_and_is_0_for_a_single_picture():
    candidates, references = lines("a red dog runs"), [lines("a red dog runs")]
    assert cider_and_rouge(candidates, references) == {"cider": 0.0, "rouge_l": pytest.approx(100)}
    others = lines("blue boats sail out", "two men sit down", "trees stand very tall")
    assert cider_and_rouge(candidates + others, references + [[s] for s in others])["cider"] == pytest.approx(1000)


# METEOR


def use_java(monkeypatch, folder, text):
    java = folder / "java"
    java.write_text(f"#!{sys.executable}\n{text}")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


needs_scripts = pytest.mark.skipif(os.name != "posix", reason="java is played by a script here")


@needs_pycocoevalcap
@needs_scripts
def test_meteor_speaks_with_java(monkeypatch, tmp_path):
    # plays METEOR: a sentence's statistics are 7 where it equals the first reference
    use_java(
        monkeypatch,
        tmp_path,
        "import sys\n"
        "for line in sys.stdin if '-jar' in sys.argv else []:\n"
        "    kind, *parts = [part.strip() for part in line.split('|||')]\n"
        "    if kind == 'SCORE':\n"
        "        print(7 if parts[-1] == parts[0] else 3, flush=True)\n"
        "    else:\n"
        "        scores = [int(part) / 10 for part in parts]\n"
        "        print(*scores, sum(scores) / len(scores), sep='\\n', flush=True)\n",
    )
    candidates = [*lines("a dog", "two cats"), []]
    references = [lines("a dog"), lines("a cat", "a red cat"), lines("a boat")]
    assert meteor(candidates, references) == pytest.approx(100 * (0.7 + 0.3 + 0.3) / 3)
    assert caption_metrics(candidates, references, with_meteor=True)["meteor"] == meteor(candidates, references)


@needs_pycocoevalcap
@needs_scripts
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pycocoevalcap closes a broken pipe
def test_meteor_without_a_working_java_says_so(monkeypatch, tmp_path):
    candidates, references = lines("a dog"), [lines("a dog")]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="METEOR needs Java, and `java -version` does not run"):
        meteor(candidates, references)
    use_java(monkeypatch, tmp_path, "raise SystemExit(1)")  # what macOS has where Java is not installed
    with pytest.raises(RuntimeError, match="METEOR needs Java"):
        caption_metrics(candidates, references, with_meteor=True)
    use_java(monkeypatch, tmp_path, "import sys\nif '-jar' in sys.argv: print('no memory')")
    with pytest.raises(RuntimeError, match="METEOR did not run to its end"):  # and comes back: see scorer.lock
        meteor(candidates, references)


@pytest.fixture
def without_pycocoevalcap(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("pycocoevalcap"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(captions, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_pycocoevalcap")
def test_without_the_extra_the_rest_is_measured():
    candidates, references = lines("a dog"), [lines("a dog")]
    metrics = caption_metrics(candidates, references)
    assert set(metrics) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "distinct", "mean_length"}
    for measure in (cider_and_rouge, meteor):
        with pytest.raises(ImportError, match=r"need pycocoevalcap: pip install 'vsa-lite\[metrics\]'"):
            measure(candidates, references)
    with pytest.raises(ImportError, match="need pycocoevalcap"):
        caption_metrics(candidates, references, with_meteor=True)


# what is new, and everything together


def test_novel_share_by_hand():
    candidates = [*lines("a dog runs", "a dog", "a dog", "the dog"), [], ["a", "dog", "runs", "far"]]
    training = (sentence for sentence in lines("a dog", "a dog runs", "red"))  # any iterable will do
    assert novel_share(candidates, training) == pytest.approx(100 * 2 / 6)
    assert novel_share(lines("a dog"), []) == 100
    assert novel_share([("a", "dog")], [["a", "dog"]]) == 0


def test_all_metrics_of_a_perfect_and_of_a_silent_model():
    _, sentences = scenes_text(40)
    perfect = [people[0] for people in sentences]
    metrics = caption_metrics(perfect, sentences, training=perfect)
    expected = {f"bleu_{n}": 100 for n in range(1, 5)} | {"novel_share": 0}
    if find_spec("pycocoevalcap"):
        expected["rouge_l"] = 100
        assert metrics.pop("cider") > 150
    assert metrics.pop("distinct") == 100 * len({tuple(s) for s in perfect}) / 40
    assert metrics.pop("mean_length") == sum(map(len, perfect)) / 40
    assert metrics == pytest.approx(expected)
    silent = caption_metrics([[]] * 40, sentences, training=perfect)
    assert silent.pop("distinct") == 2.5
    assert set(silent.values()) == {0.0}


def test_duplicates_and_one_reference_are_fine():
    metrics = caption_metrics(lines("a dog", "a dog", "a cat"), [lines("a dog"), lines("a cat"), lines("a cat")])
    assert metrics["bleu_1"] == pytest.approx(100 * 5 / 6)
    assert metrics["distinct"] == pytest.approx(100 * 2 / 3)
    assert metrics["mean_length"] == 2


# bad input


@pytest.mark.parametrize("measure", [bleu, cider_and_rouge, caption_metrics])
@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        (lines("a dog"), [], "got 1 candidates and references of 0 pictures"),
        ([], [], "at least one candidate"),
        (lines("a dog", "b"), [lines("a"), []], "picture 1 has no reference with a word in it: leave it out"),
        (lines("a dog"), [[[], []]], "picture 0 has no reference with a word in it: leave it out"),
        (["a dog"], [lines("a dog")], "candidate 0 must be a list of words, got the text 'a dog': tokenise it first"),
        (lines("a dog"), [["a dog"]], r"references of picture 0 must be a list of sentences.*got \['a dog'\]"),
        (lines("a dog"), [["a", "dog"]], r"references of picture 0 must be a list of sentences.*got \['a', 'dog'\]"),
        (lines("a dog"), ["a dog"], "references of picture 0 must be a list of sentences.*got 'a dog'"),
        ([[4, 5]], [lines("a dog")], "candidate 0 must be a list of words, got 4 in it: decode it"),
        (lines("a"), [[["a"], [3]]], "a reference of picture 0 must be a list of words, got 3 in it"),
    ],
)
def test_bad_input_is_named(measure, candidates, references, message):
    with pytest.raises(ValueError, match=message):
        measure(candidates, references)


def test_bad_input_of_the_others_is_named():
    with pytest.raises(ValueError, match="highest must be at least 1, got 0"):
        bleu(lines("a"), [lines("a")], 0)
    with pytest.raises(ValueError, match="at least one candidate"):
        novel_share([], [])
    with pytest.raises(ValueError, match="training sentence 1 must be a list of words, got the text 'a dog'"):
        novel_share(lines("a"), [["a"], "a dog"])
    with pytest.raises(ValueError, match="candidate 0 must be a list of words, got the text 'a'"):
        novel_share(["a"], [])
