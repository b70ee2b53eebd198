"""How good are generated sentences: BLEU, CIDEr, ROUGE-L, METEOR, and how many were only learned by heart (chapter 11).

All of them compare sentences that a model wrote by itself with what people wrote of the same picture. Everything is in
percent, as papers print it: a BLEU of 0.25 is 25, and a CIDEr of 0.8 is 80.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

Words = Sequence[str]


def caption_metrics(
    candidates: Sequence[Words],
    references: Sequence[Sequence[Words]],
    training: Iterable[Words] | None = None,
    with_meteor: bool = False,
) -> dict[str, float]:
    """Everything that is measured on generated sentences, under the names that `results/` uses.

    Args:
        candidates: one generated sentence a picture, as words; it may be empty.
        references: what people wrote of each picture: one sentence or more, as words.
        training: the sentences that the model learned from, as it saw them (without the words it does not know).
        with_meteor: METEOR too, which needs Java and takes ten seconds to start.

    Returns:
        `bleu_1` .. `bleu_4`, `distinct` and `mean_length`; `cider` and `rouge_l` where pycocoevalcap is installed (see
        :func:`missing_metrics`);
        `novel_share` where the training sentences are given; `meteor` where it was asked for. `distinct` is the number
        of different sentences as a share of all; `mean_length` is in words; all others are in percent.

    Raises:
        ValueError: for numbers that do not fit, a picture without a reference, or a sentence that is no list of words.
        ImportError, RuntimeError: as :func:`meteor`.
    """
    check_sentences(candidates, references)
    metrics = bleu(candidates, references)
    if find_spec("pycocoevalcap"):
        metrics |= cider_and_rouge(candidates, references)
    if with_meteor:
        metrics["meteor"] = meteor(candidates, references)
    if training is not None:
        metrics["novel_share"] = novel_share(candidates, training)
    metrics["distinct"] = 100 * len({tuple(words) for words in candidates}) / len(candidates)
    metrics["mean_length"] = sum(map(len, candidates)) / len(candidates)
    return metrics


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]], highest: int = 4) -> dict[str, float]:
    r"""BLEU-1 to BLEU-4 of the whole set, in percent, without smoothing.

    .. math:: \mathrm{BLEU}_n = \min(1, e^{1 - r / c}) \Bigl(\prod_{m=1}^n p_m\Bigr)^{1/n}

    p_m is the share of the candidates' m-grams that stand in a reference of their picture, each counted at most as
    often as in the reference that has it most; c is the number of all words, r that of the references closest in
    length. These are COCO's numbers (pycocoevalcap's Bleu) but for the small constants that it adds: where no m-gram is
    right at all, BLEU is 0 here and up to some hundredths of a percent there. nltk's `corpus_bleu` also counts one
    m-gram for a candidate too short to have any, and so gives less for sets with candidates of one to three words.

    Args:
        candidates, references: as for :func:`caption_metrics`.
        highest: the longest n-grams.

    Raises:
        ValueError: as :func:`caption_metrics`, and for a highest below 1.

    Source: Papineni et al. 2002, BLEU: a method for automatic evaluation of machine translation.
    """
    # here, because nltk takes seconds to import
    from nltk.translate.bleu_score import brevity_penalty, closest_ref_length, modified_precision

    if highest < 1:
        raise ValueError(f"highest must be at least 1, got {highest}")
    check_sentences(candidates, references)
    pairs = list(zip(candidates, references, strict=True))
    length = sum(map(len, candidates))
    penalty = brevity_penalty(sum(closest_ref_length(people, len(words)) for words, people in pairs), length)
    scores, product = {}, 1.0
    for n in range(1, highest + 1):
        right = sum(modified_precision(people, words, n).numerator for words, people in pairs)
        product *= right / max(1, sum(max(0, len(words) - n + 1) for words in candidates))
        scores[f"bleu_{n}"] = 100 * penalty * product ** (1 / n)
    return scores


def cider_and_rouge(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """CIDEr and ROUGE-L by pycocoevalcap's own scorers, times 100; neither needs Java.

    CIDEr weighs an n-gram by how few pictures of *this set* have it in their references: numbers of sets of different
    sizes do not compare, and of a single picture CIDEr is 0.

    Raises:
        ValueError: as :func:`caption_metrics`.
        ImportError: where pycocoevalcap is not installed.

    Source: Vedantam et al. 2015, CIDEr; Lin 2004, ROUGE.
    """
    people, written = _for_pycocoevalcap(candidates, references)
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    scorers = {"cider": Cider(), "rouge_l": Rouge()}
    return {name: 100 * float(scorer.compute_score(people, written)[0]) for name, scorer in scorers.items()}


def meteor(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """METEOR 1.5 by pycocoevalcap, in percent: the only one that needs Java.

    Raises:
        ValueError: as :func:`caption_metrics`.
        ImportError: where pycocoevalcap is not installed.
        RuntimeError: where Java is not there, or does not run.

    Source: Denkowski and Lavie 2014, Meteor universal.
    """
    people, written = _for_pycocoevalcap(candidates, references)
    from pycocoevalcap.meteor.meteor import Meteor

    if not _java_runs():
        raise RuntimeError(
            "METEOR needs Java, and `java -version` does not run: install a Java runtime, or leave it out"
        )
    scorer = Meteor()
    try:
        return 100 * float(scorer.compute_score(people, written)[0])
    except (OSError, ValueError) as error:  # Java ended, or wrote something that is no number
        raise RuntimeError(f"METEOR did not run to its end ({error}): it needs 2 GB of memory for Java") from error
    finally:
        if scorer.lock.locked():  # it was stopped half way, and would wait for itself for ever when it is deleted
            scorer.lock.release()


def missing_metrics() -> str:
    """What cannot be measured here, and why, in words; "" if everything can."""
    if find_spec("pycocoevalcap") is None:
        return "no CIDEr, ROUGE-L and METEOR: pip install 'vsa-lite[metrics]'"
    return "" if _java_runs() else "no METEOR: it needs Java, and `java -version` does not run"


def _java_runs() -> bool:
    try:
        return subprocess.run(["java", "-version"], capture_output=True).returncode == 0
    except OSError:
        return False


def novel_share(candidates: Sequence[Words], training: Iterable[Words]) -> float:
    """Percent of the candidates that do not stand word for word among the training sentences.

    An empty candidate says nothing, and nothing new.

    Raises:
        ValueError: without a candidate, or for a sentence that is no list of words.
    """
    if not len(candidates):
        raise ValueError("there must be at least one candidate")
    known = {()}
    for number, words in enumerate(training):
        _check_words(words, f"training sentence {number}")
        known.add(tuple(words))
    for number, words in enumerate(candidates):
        _check_words(words, f"candidate {number}")
    return 100 * sum(tuple(words) not in known for words in candidates) / len(candidates)


def check_sentences(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> None:
    """Raise ValueError, naming the first bad one, unless there is a candidate and a reference for every picture."""
    if len(candidates) != len(references):
        raise ValueError(
            f"each picture needs one candidate and its references, got {len(candidates)} candidates and references of "
            f"{len(references)} pictures"
        )
    if not len(candidates):
        raise ValueError("there must be at least one candidate")
    for number, (words, people) in enumerate(zip(candidates, references, strict=True)):
        _check_words(words, f"candidate {number}")
        if isinstance(people, str) or any(isinstance(part, str) for part in people):
            raise ValueError(
                f"the references of picture {number} must be a list of sentences, each a list of words, got {people!r}"
            )
        for sentence in people:
            _check_words(sentence, f"a reference of picture {number}")
        if not any(map(len, people)):
            raise ValueError(f"picture {number} has no reference with a word in it: leave it out")


def _check_words(words: Words, name: str) -> None:
    if isinstance(words, str):
        raise ValueError(f"{name} must be a list of words, got the text {words!r}: tokenise it first")
    for word in words:
        if not isinstance(word, str):
            raise ValueError(f"{name} must be a list of words, got {word!r} in it: decode it with the vocabulary first")


def _for_pycocoevalcap(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """References and candidates as its scorers take them: by number, words joined by spaces."""
    check_sentences(candidates, references)
    if find_spec("pycocoevalcap") is None:
        raise ImportError("CIDEr, ROUGE-L and METEOR need pycocoevalcap: pip install 'vsa-lite[metrics]'")
    people = {number: [" ".join(words) for words in sentences] for number, sentences in enumerate(references)}
    return people, {number: [" ".join(words)] for number, words in enumerate(candidates)}
