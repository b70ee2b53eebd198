"""Word vectors from Flickr8k's training sentences: skip-gram and CBOW, how fast and how good.

    python experiments/flickr8k_words.py --seeds 0 1 2 --out vectors

The sentences come from VSA_LITE_DATA; nothing else is needed. Writes results/flickr8k_words.json, and with --out the
vectors, in word2vec's text format, as FOLDER/skip-gram-0.txt.gz and so on. (--try prints and records nothing.)

How good: the words below were grouped by hand, by what they are said of in photographs. A word counts if its nearest
neighbour among all of these words stands in its own group; beside it stands what chance would give. And analogies: of
"man is to men as dog is to ...", with every two lines of PAIRS, those whose first answer out of the whole vocabulary is
the right one. The learning rate and the number of epochs were chosen with an eye on the groups, on one seed.
"""

from __future__ import annotations

import argparse
import inspect
import os
import time
from itertools import permutations
from pathlib import Path

import torch
from torch.nn.functional import normalize

from vsa_lite.data.karpathy import load_flickr8k
from vsa_lite.results import record_run
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import WordVectors, save_word_vectors, train_word2vec

RESULTS = Path(__file__).parent.parent / "results" / "flickr8k_words.json"
WHAT = {"skip-gram": "skip-gram with negative sampling", "cbow": "CBOW with negative sampling"}

GROUPS = {
    "colours": "red blue green yellow white black orange purple pink brown gray tan",
    "people": "man woman boy girl child lady guy kid toddler baby person teenager",
    "animals": "dog dogs puppy horse horses bird birds cat cow sheep",
    "moving": "running runs jumping jumps walking walks climbing climbs swimming riding rides leaping",
    "clothes": "shirt jacket hat pants shorts dress coat sweater jeans helmet vest cap",
    "water": "ocean lake river pool sea pond stream waves",
    "numbers": "two three four five six several",
    "vehicles": "bike bicycle motorcycle car truck bus boat van",
    "ground": "grass snow sand dirt mud field beach hill mountain",
    "sports": "soccer football baseball tennis basketball hockey volleyball",
}
PAIRS = (
    "man men, woman women, boy boys, girl girls, child children, dog dogs, person people, bike bikes, player players",
    "running runs, jumping jumps, walking walks, riding rides, sitting sits, standing stands, playing plays, "
    "climbing climbs, holding holds",
    "man woman, boy girl, men women, boys girls, guy lady",
)


def groups_share(vectors: WordVectors) -> dict[str, float]:
    """Words whose nearest neighbour is of their own group, and what chance would give; in percent."""
    words = [(word, group) for group, text in GROUPS.items() for word in text.split() if word in vectors]
    x = normalize(torch.stack([vectors[word] for word, _ in words]))
    nearest = (x @ x.T).fill_diagonal_(-2).argmax(1).tolist()
    same = [[group == other for _, other in words] for _, group in words]
    hits = sum(row[index] for row, index in zip(same, nearest, strict=True))
    chance = sum((sum(row) - 1) / (len(words) - 1) for row in same)
    return {"group_neighbours": 100 * hits / len(words), "group_neighbours_chance": 100 * chance / len(words)}


def analogies_share(vectors: WordVectors) -> dict[str, float]:
    """Analogies whose first answer is right, in percent."""
    right = [
        vectors.analogy(a, b, c, 1)[0][0] == d
        for line in PAIRS
        for (a, b), (c, d) in permutations([pair.split() for pair in line.split(",")], 2)
    ]
    return {"analogies": 100 * sum(right) / len(right)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--architectures", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--epochs", type=int, help="passes over the sentences (default: the package's)")
    parser.add_argument("--out", type=Path, help="folder for the vectors")
    parser.add_argument("--try", dest="record", action="store_false", help="record nothing")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_flickr8k(Path(os.environ["VSA_LITE_DATA"]) / "flickr8k")
    sentences = [sentence.tokens for record in dataset.split("train") for sentence in record.sentences]
    vocabulary = Vocabulary.from_sentences(sentences)
    settings = inspect.signature(train_word2vec).parameters.values()
    options = {setting.name: setting.default for setting in settings if setting.kind is setting.KEYWORD_ONLY}
    options = {name: value for name, value in options.items() if name not in ("architecture", "seed", "progress")}
    options["epochs"] = arguments.epochs or options["epochs"]
    for seed in arguments.seeds:
        for architecture in arguments.architectures:
            started = time.perf_counter()
            vectors = train_word2vec(sentences, vocabulary, architecture=architecture, seed=seed, **options)
            seconds = time.perf_counter() - started
            pairs = sum(epoch["pairs"] for epoch in vectors.history)
            metrics = {
                "loss": vectors.history[-1]["loss"],
                "pairs_per_second": pairs / seconds,
                "vocabulary_size": len(vocabulary),
                **groups_share(vectors),
                **analogies_share(vectors),
            }
            print(f"{architecture}, seed {seed}, {seconds:.1f} s:", {key: round(n, 2) for key, n in metrics.items()})
            for word in ("dog", "red", "man", "running"):
                print(f"  {word}: {', '.join(near for near, _ in vectors.nearest(word, 6))}")
            if arguments.out is not None:
                save_word_vectors(arguments.out / f"{architecture}-{seed}.txt.gz", vectors)
            if arguments.record:
                record_run(
                    RESULTS,
                    what=WHAT[architecture],
                    dataset="flickr8k",
                    split="train",
                    backbone="none",
                    regions="none",
                    config={**options, "sentences": len(sentences)},
                    seed=seed,
                    metrics=metrics,
                    seconds=seconds,
                )


if __name__ == "__main__":
    main()
