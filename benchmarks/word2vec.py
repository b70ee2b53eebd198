"""Word vectors: skip-gram pairs a second, settings as shipped (size 300, window 5, 5 negatives), two threads.

Baseline: gensim's word2vec, compiled, with 2 workers and the same settings, where --gensim asks for it and it is
installed. Both get as many passes; half of its rate is aimed for, without a bar. Sentences are Flickr8k's training
sentences under VSA_LITE_DATA (then the share of words whose nearest neighbour is of their own kind is measured for
both, as in experiments/flickr8k_words.py); without it they are made.
"""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.data import lengths, mask_of, tokens_of
from benchmarks.harness import Candidate, Row, Settings, compare, grow, memory_of
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import WordVectors, train_word2vec

EPOCHS = 2  # of the timing; neighbours are judged after ten passes of each
PLAIN = {"size": 300, "window": 5, "negatives": 5}


def sentences_of(settings: Settings) -> tuple[list[tuple[str, ...]], str]:
    """Sentences of words, and what they are."""
    root = os.environ.get("VSA_LITE_DATA")
    if root and not settings.quick and (Path(root) / "flickr8k" / "dataset.json").exists():
        from vsa_lite.data.karpathy import load_flickr8k

        train = load_flickr8k(Path(root) / "flickr8k").split("train")
        return [sentence.tokens for record in train for sentence in record.sentences], "Flickr8k"
    generator = settings.generator
    mask = mask_of(lengths(60 if settings.quick else 30000, generator))
    tokens = tokens_of(mask, 30 if settings.quick else 2538, generator).tolist()
    return [tuple(f"w{word}" for word in row if word) for row in tokens], "made"


def gensim_trainer(sentences: list[tuple[str, ...]], epochs: int):
    """Trains gensim's word2vec on the same words, vocabulary included, as ours does."""
    from gensim.models import Word2Vec

    def train():
        return Word2Vec(
            [list(sentence) for sentence in sentences],
            vector_size=PLAIN["size"],
            window=PLAIN["window"],
            negative=PLAIN["negatives"],
            sg=1,
            min_count=5,
            sample=1e-3,
            workers=2,
            epochs=epochs,
            seed=1,
        )

    return train


def neighbours(vectors: WordVectors) -> float | None:
    """Percent of words whose nearest neighbour is of their own kind."""
    path = Path(__file__).parent.parent / "experiments" / "flickr8k_words.py"
    spec = importlib.util.spec_from_file_location("flickr8k_words", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.groups_share(vectors)["group_neighbours"]


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    sentences, kind = sentences_of(settings)
    counted = Counter(word for sentence in sentences for word in sentence)
    vocabulary = Vocabulary.from_sentences(sentences)

    def trainer(n: int, epochs: int):
        return lambda: train_word2vec(sentences[:n], vocabulary, epochs=epochs, progress=False, **PLAIN)

    timed = len(sentences) if settings.quick else min(len(sentences), 10000)
    ours = trainer(timed, EPOCHS)
    pairs = sum(epoch["pairs"] for epoch in ours().history)
    others = {}
    if settings.gensim:
        others["gensim, 2 workers"] = Candidate(
            gensim_trainer(sentences[:timed], EPOCHS), note="its vocabulary included"
        )
    times = compare(settings, ours, others)
    row = Row("word2vec, skip-gram", f"{timed:,} sentences, {EPOCHS} passes", "float32", times, others)
    row.memory = memory_of(ours, "cpu")
    row.rates = {"pairs_per_second": pairs / np.median(times["ours"])}
    row.notes.append(f"sentences: {kind}; {len(vocabulary):,} of {len(counted):,} words")
    if settings.gensim:
        row.rates["gensim_pairs_per_second"] = pairs / np.median(times["gensim, 2 workers"])
        if kind == "Flickr8k":
            row.rates["neighbours_of_their_kind"] = neighbours(trainer(len(sentences), 10)())
            theirs = gensim_trainer(sentences, 10)().wv
            row.rates["gensim_neighbours_of_their_kind"] = neighbours(WordVectors(theirs.index_to_key, theirs.vectors))
    sizes = (30, 60) if settings.quick else (1250, 2500, 5000, 10000)
    row.scaling = grow(settings, lambda n: trainer(n, 1), sizes, "sentences")
    yield row
