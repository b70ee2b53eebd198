"""Word vectors learned from nothing but which words stand near one another, or read from a file (chapter 2)."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize
from tqdm.auto import tqdm

from vsa_lite.data.skipped import report_skipped
from vsa_lite.words.negative_sampling import (
    Adagrad,
    keep_probability,
    negative_distribution,
    negative_sampling,
    windows,
)
from vsa_lite.words.vector_files import read_entries, write_text
from vsa_lite.words.vocabulary import Vocabulary

Architecture = Literal["skip-gram", "cbow"]
CHUNK = 200_000  # words whose windows are made at once: some 100 MB
SHARED_NEGATIVES = 64  # drawn for a whole batch


class WordVectors:
    """Words and their vectors, x_t = W_w I_t.

    Args:
        words: each once.
        vectors: float; one row a word.
        history: of the training, an entry an epoch: mean loss of a pair, number of pairs, seconds; empty for vectors
            from a file.

    Raises:
        ValueError: if there are none, a word stands twice, or a vector is missing or not finite.
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: Float[np.ndarray, "words size"] | Float[Tensor, "words size"],
        history: Sequence[dict[str, float]] = (),
    ) -> None:
        self.words, self.history = tuple(words), tuple(history)
        self.vectors = torch.as_tensor(vectors).float()
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words) or not self.vectors.numel():
            raise ValueError(
                f"vectors must be one row for each of {len(self.words):,} words, at least one of each; "
                f"got shape {tuple(self.vectors.shape)}"
            )
        self._index = {word: index for index, word in enumerate(self.words)}
        if len(self._index) != len(self.words):
            twice = next(word for index, word in enumerate(self.words) if self._index[word] != index)
            raise ValueError(f"the words of word vectors must differ, {twice!r} stands there twice")
        finite = self.vectors.isfinite().all(1)
        if not finite.all():
            raise ValueError(f"the vector of {self.words[int((~finite).nonzero()[0])]!r} is not finite")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index

    def __repr__(self) -> str:
        return f"WordVectors({len(self):,} words of size {self.size}: {', '.join(self.words[:5])}, ...)"

    @property
    def size(self) -> int:
        """Numbers of a vector; 300 in the paper."""
        return self.vectors.shape[1]

    def __getitem__(self, word: str) -> Float[Tensor, " size"]:
        """The vector of a word.

        Raises:
            KeyError: if it has none.
        """
        try:
            return self.vectors[self._index[word]]
        except KeyError:
            raise KeyError(f"{word!r} is not among the {len(self):,} words that have a vector") from None

    def matrix(self, vocabulary: Vocabulary) -> Float[Tensor, "V size"]:
        """W_w, float32: a row for every word of a vocabulary, zeros for END and for words without a vector.

        Raises:
            ValueError: if no word of the vocabulary has a vector.
        """
        known = [index for index, word in enumerate(vocabulary.words) if word in self and index != Vocabulary.END]
        if not known:
            raise ValueError(
                f"none of the vocabulary's {len(vocabulary) - 1:,} words has a vector; "
                f"those that have one are {', '.join(self.words[:5])}, ..."
            )
        matrix = torch.zeros(len(vocabulary), self.size)
        matrix[known] = self.vectors[[self._index[vocabulary.words[index]] for index in known]]
        return matrix

    def nearest(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words most like this one, with the cosine of the angle between both vectors, highest first.

        Raises:
            KeyError: if the word has no vector.
            ValueError: for a count below 1.
        """
        return self._nearest(self[word], {word}, count)

    def analogy(self, a: str, b: str, c: str, count: int = 10) -> list[tuple[str, float]]:
        """What is to c as b is to a: the words nearest to b - a + c of vectors scaled to length 1, without these three.

        Raises:
            KeyError: if a word has no vector.
            ValueError: for a count below 1.
        """
        x, y, z = (normalize(self[word], dim=0) for word in (a, b, c))
        return self._nearest(y - x + z, {a, b, c}, count)

    def _nearest(self, vector: Float[Tensor, " size"], but: set[str], count: int) -> list[tuple[str, float]]:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        cosines = normalize(self.vectors) @ normalize(vector, dim=0)  # (words)
        order = cosines.argsort(descending=True, stable=True)[: count + len(but)].tolist()
        return [(self.words[index], float(cosines[index])) for index in order if self.words[index] not in but][:count]


def load_word_vectors(path: str | Path, vocabulary: Container[str] | None = None) -> WordVectors:
    """Read word vectors: word2vec text or binary, or GloVe text, gzipped or not; the content tells which.

    Bad lines (numbers missing, not finite, a word again) are left out, with one warning that counts and names them.

    Args:
        path: the file. It is read as a stream.
        vocabulary: keep the vectors of these words only, for example a :class:`Vocabulary`; None for all.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is empty, damaged or cut short, has none of the words, or more bad lines than good ones.
    """
    path = Path(path)
    rows: dict[str, np.ndarray] = {}
    bad = []
    for place, word, vector in read_entries(path, vocabulary):
        reason = vector if isinstance(vector, str) else ""
        if not reason and not np.isfinite(vector).all():
            reason = "a number is not finite, or too large for float32"
        if not reason and word in rows:
            reason = "the word was there before"
        if reason:
            bad.append(f"{place}, {word[:40]!r}: {reason}")
        else:
            rows[word] = vector
    if len(bad) > len(rows):
        raise ValueError(f"{path} is no file of word vectors: {len(bad):,} lines are bad; the first: {bad[0]}")
    if not rows:
        raise ValueError(f"{path} has none of the words asked for: is it of the same language, in lower case?")
    report_skipped(f"lines of {path.name}", bad)
    return WordVectors(tuple(rows), np.stack(list(rows.values())))


def save_word_vectors(path: str | Path, vectors: WordVectors) -> None:
    """Write word2vec's text format, gzipped if the name ends in `.gz`; numbers come back exactly.

    Raises:
        ValueError: for a word with white space in it, which the format cannot hold.
    """
    write_text(Path(path), vectors.words, vectors.vectors.cpu().numpy())


def train_word2vec(
    sentences: Iterable[Sequence[str]],
    vocabulary: Vocabulary,
    *,
    architecture: Architecture = "skip-gram",
    size: int = 300,
    window: int = 5,
    negatives: int = 5,
    subsampling: float | None = 1e-3,
    epochs: int = 10,
    learning_rate: float = 0.1,
    batch_size: int = 1024,
    seed: int = 0,
    progress: bool = True,
) -> WordVectors:
    """Learn word vectors by negative sampling: a word predicts each neighbour, or its neighbours' mean predicts it.

    A batch shares its negatives: 64 are drawn, and each counts `negatives` / 64 in every pair. In the mean that is the
    same loss as drawing afresh for each pair, and the work becomes a matrix product. As in the authors' program, a
    negative that is the true word does not count, and frequent words are dropped before windows are made.

    Args:
        sentences: of the training split, as tokens; words that the vocabulary does not know are dropped.
        vocabulary: which words to learn; those that never stand beside another one get no vector.
        architecture: "skip-gram" or "cbow".
        size: of a vector.
        window: greatest distance of a neighbour; for each word the distance is drawn from 1..window.
        negatives: k, words drawn for each true one.
        subsampling: t of :func:`keep_probability`; None keeps all.
        epochs: passes over the sentences.
        learning_rate: of Adagrad, where it starts; it falls to a hundredth in a straight line.
        batch_size: pairs a step (words, for "cbow").
        seed: of everything random; with the same number of threads the result is the same.
        progress: show a bar.

    Raises:
        ValueError: for a size, number or rate out of range, or if no two known words stand in one sentence.

    Source: Mikolov et al. 2013, Distributed Representations of Words and Phrases and their Compositionality.
    """
    numbers = {"size": size, "window": window, "negatives": negatives, "epochs": epochs, "batch_size": batch_size}
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if architecture not in ("skip-gram", "cbow"):
        raise ValueError(f"architecture must be 'skip-gram' or 'cbow', got {architecture!r}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    if subsampling is not None and not subsampling > 0:
        raise ValueError(f"subsampling must be above 0, or None to keep all words, got {subsampling}")
    words, sentence = _known_words(sentences, vocabulary)
    rng = np.random.default_rng(seed)
    counts = np.bincount(words, minlength=len(vocabulary))
    keep, distribution = keep_probability(counts, subsampling), negative_distribution(counts)
    start = rng.uniform(-0.5 / size, 0.5 / size, (len(vocabulary), size)).astype(np.float32)
    inputs, outputs = Adagrad(torch.from_numpy(start)), Adagrad(torch.zeros(len(vocabulary), size))

    def learn(given: Tensor, there: Tensor, target: Tensor, rate: float) -> float:
        """One step; `given` [pairs, places] are the words that predict `target` [pairs] where they are `there`."""
        drawn = torch.from_numpy(rng.choice(len(vocabulary), SHARED_NEGATIVES, p=distribution))
        weights = (drawn != target[:, None]) * (negatives / SHARED_NEGATIVES)  # (pairs, negatives)
        share = (there / there.sum(1, keepdim=True))[..., None]  # (pairs, places, 1)
        x = (inputs.of(given) * share).sum(1)  # (pairs, size)
        loss, gradients = negative_sampling(x, outputs.of(target), outputs.of(drawn), weights)
        real = there.flatten().nonzero()[:, 0]
        inputs.step(given.flatten()[real], (gradients[0][:, None] * share).flatten(0, 1).index_select(0, real), rate)
        outputs.step(torch.cat([target, drawn]), torch.cat(gradients[1:]), rate)
        return float(loss)

    history: list[dict[str, float]] = []
    bar = tqdm(total=epochs, disable=not progress, bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")
    for epoch in range(epochs):
        started, loss, pairs = time.perf_counter(), 0.0, 0
        kept = np.flatnonzero(rng.random(len(words)) < keep[words])
        for first in range(0, len(kept), CHUNK):  # a sentence at the edge of a chunk is cut in two
            chunk = kept[first : first + CHUNK]
            given, there, target = _pairs(words[chunk], sentence[chunk], window, architecture, rng)
            for done, rows in enumerate(torch.from_numpy(rng.permutation(len(target))).split(batch_size)):
                share = (first + len(chunk) * done * batch_size / max(1, len(target))) / len(kept)  # of this epoch
                rate = learning_rate * (1 - 0.99 * (epoch + share) / epochs)
                loss += learn(given[rows], there[rows], target[rows], rate)
                bar.update(epoch + share - bar.n)
            pairs += len(target)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} in epoch {epoch + 1}: lower learning_rate ({learning_rate})")
        history.append({"loss": loss / max(1, pairs), "pairs": pairs, "seconds": time.perf_counter() - started})
        bar.set_postfix(epoch=f"{epoch + 1}/{epochs}", loss=f"{history[-1]['loss']:.4f}")
    bar.n = epochs
    bar.close()
    if not any(entry["pairs"] for entry in history):
        raise ValueError(f"subsampling {subsampling} leaves no two words side by side; raise it, or None to keep all")
    learned = np.flatnonzero(counts).tolist()
    return WordVectors([vocabulary.words[index] for index in learned], inputs.vectors[learned], history)


def _known_words(
    sentences: Iterable[Sequence[str]], vocabulary: Vocabulary
) -> tuple[Int[np.ndarray, " words"], Int[np.ndarray, " words"]]:
    """All known words in a row, and the number of each one's sentence; without sentences of fewer than two."""
    encoded = []
    for tokens in sentences:
        if isinstance(tokens, str):
            raise ValueError(f"a sentence must be a list of words, got the text {tokens!r}: tokenise it first")
        indices = vocabulary.encode(tokens)
        if len(indices) > 1:
            encoded.append(np.array(indices))
    if not encoded:
        raise ValueError("there is nothing to learn from: no sentence has two words that the vocabulary knows")
    return np.concatenate(encoded), np.repeat(np.arange(len(encoded)), [len(indices) for indices in encoded])


def _pairs(
    words: Int[np.ndarray, " words"],
    sentence: Int[np.ndarray, " words"],
    window: int,
    architecture: Architecture,
    rng: np.random.Generator,
) -> tuple[Int[Tensor, "pairs places"], Bool[Tensor, "pairs places"], Int[Tensor, " pairs"]]:
    """What predicts what: a word each of its neighbours, or all neighbours their word."""
    positions, mask = windows(sentence, window, rng)
    if architecture == "cbow":
        some = mask.any(1)
        given, there, target = words[positions[some]], mask[some], words[some]
    else:
        row, column = mask.nonzero()
        given, target = words[row][:, None], words[positions[row, column]]
        there = np.ones_like(given, dtype=bool)
    return torch.from_numpy(given), torch.from_numpy(there), torch.from_numpy(target)
