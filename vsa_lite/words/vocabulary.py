"""Words as numbers: which words there are, learned from the training split only (chapter 1)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from vsa_lite.data.records import Dataset

END_WORD = "<end>"


class Vocabulary:
    """The words that a model knows, each with an index; I_t, the one-hot word, is 1 at that index.

    Index 0 is the end of a sentence, :data:`Vocabulary.END`; then words follow, the most frequent first, and words of
    equal count in alphabetical order. Words that it does not know are dropped, as neuraltalk does.

    Args:
        words: without the end token, each once, in the order of their indices from 1.
        counts: how often each occurs in training, for END the number of sentences; as long as `words` + 1.

    Raises:
        ValueError: for a word that stands twice or is empty, or counts that do not fit.

    Source: Karpathy and Fei-Fei 2015, section 4 (words with at least 5 occurrences).
    """

    END = 0

    def __init__(self, words: Sequence[str], counts: Sequence[int]) -> None:
        self.words = (END_WORD, *words)
        self.counts = tuple(counts)
        if isinstance(words, str) or not all(isinstance(word, str) and word for word in self.words):
            raise ValueError("the words of a vocabulary must be a list of strings that are not empty")
        self._index = {word: index for index, word in enumerate(self.words)}
        if len(self._index) != len(self.words):
            twice = next(word for word, n in Counter(self.words).items() if n > 1)
            raise ValueError(f"the words of a vocabulary must differ, {twice!r} stands there twice")
        if len(self.counts) != len(self.words) or any(count < 0 for count in self.counts):
            raise ValueError(
                f"counts must be {len(self.words)} numbers, END's first and none below 0; got {len(self.counts)}"
            )

    @classmethod
    def from_sentences(cls, sentences: Iterable[Sequence[str]], minimum_count: int = 5) -> Vocabulary:
        """Every word that occurs at least `minimum_count` times in these sentences: those of the training split.

        Raises:
            ValueError: for a minimum_count below 1, no sentence at all, or none with a word that often.
        """
        if minimum_count < 1:
            raise ValueError(f"minimum_count must be at least 1, got {minimum_count}")
        counts: Counter[str] = Counter()
        number = 0
        for tokens in sentences:
            if isinstance(tokens, str):
                raise ValueError(f"a sentence must be a list of words, got the text {tokens!r}: tokenise it first")
            counts.update(tokens)
            number += 1
        if not number:
            raise ValueError("a vocabulary cannot be made from no sentence")
        if max(counts.values(), default=0) < minimum_count:
            raise ValueError(f"no word occurs {minimum_count} times in these {number:,} sentences; lower minimum_count")
        kept = sorted(
            (word for word, n in counts.items() if n >= minimum_count), key=lambda word: (-counts[word], word)
        )
        return cls(kept, [number, *(counts[word] for word in kept)])

    @classmethod
    def from_dataset(cls, dataset: Dataset, minimum_count: int = 5) -> Vocabulary:
        """From the sentences of the training split, and of no other: the test split's words are not to be known.

        Raises:
            ValueError: if the data set has no training split.
        """
        sentences = (sentence.tokens for record in dataset.split("train") for sentence in record.sentences)
        return cls.from_sentences(sentences, minimum_count)

    def __len__(self) -> int:
        """V, the end token included."""
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index and word != END_WORD

    def __repr__(self) -> str:
        return f"Vocabulary({len(self) - 1:,} words and the end token: {', '.join(self.words[1:6])}, ...)"

    def index(self, word: str) -> int:
        """The index of a word.

        Raises:
            KeyError: if it is not known.
        """
        try:
            return self._index[word]
        except KeyError:
            raise KeyError(f"{word!r} is not among the {len(self) - 1:,} words of the vocabulary") from None

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Indices of the known words, in order; unknown ones are dropped, and the end token is not put in.

        Raises:
            ValueError: for a text in place of its words.
        """
        if isinstance(tokens, str):
            raise ValueError(f"a sentence must be a list of words, got the text {tokens!r}: tokenise it first")
        return [self._index[token] for token in tokens if token in self]

    def known(self, tokens: Iterable[str]) -> list[int]:
        """Positions of the known words in `tokens`: where each index that `encode` gives came from.

        Raises:
            ValueError: for a text in place of its words.
        """
        if isinstance(tokens, str):
            raise ValueError(f"a sentence must be a list of words, got the text {tokens!r}: tokenise it first")
        return [position for position, token in enumerate(tokens) if token in self]

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Words of indices, up to the end token.

        Raises:
            ValueError: for an index out of range.
        """
        tokens = []
        for index in indices:
            if not 0 <= index < len(self):
                raise ValueError(f"word index {index} is out of range: the vocabulary has {len(self)} words")
            if index == self.END:
                break
            tokens.append(self.words[index])
        return tokens

    def to_dict(self) -> dict:
        """Everything, ready for JSON."""
        return {"words": list(self.words[1:]), "counts": list(self.counts)}

    @classmethod
    def from_dict(cls, content: dict) -> Vocabulary:
        """From what `to_dict` gave."""
        return cls(content["words"], content["counts"])

    def digest(self) -> str:
        """A short hash of the words and their order: equal for vocabularies that fit the same model."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]
