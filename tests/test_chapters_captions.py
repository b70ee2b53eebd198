"""What chapters 10 to 12 define equals the package on random input; their solutions compile."""

import math
import re
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from test_chapters import NOTEBOOKS, definitions, read

from vsa_lite.captioning.decoding import beam_search, greedy, sample
from vsa_lite.captioning.regions import region_pairs
from vsa_lite.captioning.rnn import MultimodalRNN, caption_loss
from vsa_lite.checks.captions import lively_writer
from vsa_lite.evaluation.captions import bleu, novel_share
from vsa_lite.words.vocabulary import Vocabulary

CHAPTERS = [path for path in NOTEBOOKS if path.stem[:2] in ("10", "11", "12")]


def lifted(number, *names, **more):
    """Definitions of a chapter, with the modules that it imports and what a test adds."""
    path = next(path for path in CHAPTERS if path.stem.startswith(number))
    space = definitions(path, *names)
    space.update(torch=torch, math=math, Counter=Counter, SimpleNamespace=SimpleNamespace, **more)
    return space


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_solution_compiles_and_says_what_it_is(path):
    cells = read(path)["cells"]
    solutions = ["".join(cell["source"]) for cell in cells if "hide-cell" in cell["metadata"].get("tags", [])]
    tasks = [cell for cell in cells if re.search(r"^\*\*\d\. ", "".join(cell["source"]), re.M)]
    assert 3 <= len(solutions) <= 5
    assert len(tasks) == len(solutions)
    for source in solutions:
        assert source.startswith("# One solution")
        compile(source, path.name, "exec")


def random_sentences(generator, words, sentences, longest):
    lengths = torch.randint(1, longest + 1, (sentences,), generator=generator)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return torch.randint(1, words, mask.shape, generator=generator) * mask, mask


@pytest.mark.parametrize(
    ("V", "d", "hidden", "sentences", "longest"), [(7, 5, 6, 4, 6), (12, 3, 10, 1, 1), (5, 8, 4, 9, 12)]
)
def test_chapter_10_builds_the_packages_network(V, d, hidden, sentences, longest):
    generator = torch.Generator().manual_seed(V)
    chapter = lifted("10", "inputs_and_targets", "step", "log_next", "read_all", "cross_entropy", "word_frequencies")
    model = MultimodalRNN(V, d, hidden, dropout=0.0, generator=generator)
    with torch.no_grad():
        for bias in (model.image.bias, model.input.bias, model.output.bias):
            bias.normal_(0, 1, generator=generator)
    m = SimpleNamespace(
        **{"W_w": model.embedding.weight, "W_hi": model.image.weight, "b_i": model.image.bias},
        **{"W_hx": model.input.weight, "b_h": model.input.bias, "W_hh": model.recurrent.weight},
        **{"W_oh": model.output.weight, "b_o": model.output.bias},
    )
    features = torch.randn(sentences, d, generator=generator)
    tokens, mask = random_sentences(generator, V, sentences, longest)
    read, guess, real = chapter["inputs_and_targets"](tokens, mask, model.start)
    log_y, logits = chapter["read_all"](m, features, read), model(features, tokens, mask)
    torch.testing.assert_close(log_y[real], logits.log_softmax(-1)[real])
    torch.testing.assert_close(chapter["cross_entropy"](log_y, guess, real), caption_loss(logits, tokens, mask))
    torch.testing.assert_close(chapter["cross_entropy"](log_y, guess, real), model.mean_loss(features, tokens, mask))
    counts = torch.randint(0, 9, (V,), generator=generator).tolist()
    model.set_output_bias(counts)
    torch.testing.assert_close(chapter["word_frequencies"](counts), model.output.bias.detach())


def test_chapter_10_starts_writes_and_measures_as_it_says():
    generator = torch.Generator().manual_seed(0)
    vocabulary = Vocabulary(list("abcdef"), [1] * 7)
    names = ("fresh_weights", "step", "log_next", "read_all", "write", "kl_divergence")
    chapter = lifted("10", *names, vocabulary=vocabulary, START=7)
    m = chapter["fresh_weights"](7, 5, 16, generator)
    assert all(weight.requires_grad for weight in vars(m).values())
    model = MultimodalRNN(7, 5, 16, dropout=0.0)
    shapes = {tuple(weight.shape) for weight in vars(m).values()}
    assert shapes == {tuple(weight.shape) for weight in model.parameters()}

    m.W_oh.data.mul_(30)
    with torch.no_grad():
        parts = (model.embedding.weight, model.image.weight, model.input.weight, model.recurrent.weight)
        for mine, own in zip((m.W_w, m.W_hi, m.W_hx, m.W_hh), parts, strict=True):
            own.copy_(mine)
        model.output.weight.copy_(m.W_oh)
    features = torch.randn(9, 5, generator=generator)
    written = [vocabulary.decode(tokens) for tokens in greedy(model.eval(), features).tokens]
    assert chapter["write"](m, features) == written

    p, q = torch.rand(2, 3, 5, generator=generator).softmax(-1)
    expected = torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(-1)
    torch.testing.assert_close(chapter["kl_divergence"](p.log(), q.log()), expected)
    assert (chapter["kl_divergence"](p.log(), p.log()).abs() < 1e-6).all()


@pytest.mark.parametrize("seed", range(4))
def test_chapter_11_writes_what_the_package_writes(seed):
    model, features = lively_writer(seed=seed)
    vocabulary = Vocabulary(list("abcdefg"), [1] * 8)
    chapter = lifted(
        *("11", "write", "most_probable", "in_words", "temper", "drawn", "grow", "beam"), END=0, vocabulary=vocabulary
    )

    def in_words(captions):
        return [vocabulary.decode(tokens) for tokens in captions.tokens]

    with torch.no_grad():
        rows = chapter["write"](model, features, chapter["most_probable"])
        assert chapter["in_words"](rows) == in_words(greedy(model, features))
        for tau in (0.4, 1.0, 2.5):
            choose = chapter["drawn"](torch.Generator().manual_seed(seed), tau)
            expected = in_words(sample(model, features, torch.Generator().manual_seed(seed), tau))
            assert chapter["in_words"](chapter["write"](model, features, choose)) == expected
        for size in (1, 3, 5):
            found = beam_search(model, features, size, 8)
            for row in range(len(features)):
                words, total = chapter["beam"](model, features[[row]], size, 8)
                assert words == found.tokens[row]
                assert total == pytest.approx(float(found.log_probability[row]), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_chapter_11_counts_as_the_package_counts(seed):
    generator = torch.Generator().manual_seed(seed)
    chapter = lifted("11", "grams", "clipped", "my_bleu", "by_heart")

    def sentence(least):
        length = int(torch.randint(least, 9, (), generator=generator))
        return [("a", "dog", "the", "cat")[i] for i in torch.randint(0, 4, (length,), generator=generator).tolist()]

    candidates = [sentence(0) for _ in range(6)]
    references = [[sentence(1) for _ in range(3)] for _ in range(6)]
    expected = bleu(candidates, references)
    for n in (1, 2, 3, 4):
        assert chapter["my_bleu"](candidates, references, n) == pytest.approx(expected[f"bleu_{n}"])
    known = [*candidates[:2], ["a", "cat"]]
    chapter["known"] = set(map(tuple, known))
    some = [words for words in candidates if words]
    assert chapter["by_heart"](some) == pytest.approx(100 - novel_share(some, known))


def test_chapter_11_follows_a_beam_to_its_end():
    model, features = lively_writer(seed=1)
    chapter = lifted("11", "grow", "beam", "beam_history", END=0)
    with torch.no_grad():
        for row in range(6):
            history = chapter["beam_history"](model, features[[row]], 3, 8)
            words, total = chapter["beam"](model, features[[row]], 3, 8)
            assert [word for word in history[-1][0][1] if word] == words
            assert history[-1][0][0] == pytest.approx(total)


@pytest.mark.parametrize("minimum", [1, 2, 3])
def test_chapter_12_cuts_as_the_package_cuts(minimum):
    generator = torch.Generator().manual_seed(minimum)
    cut = lifted("12", "cut")["cut"]
    tokens, mask = random_sentences(generator, 9, 40, 12)
    paths = torch.randint(0, 3, tokens.shape, generator=generator)
    pairs = region_pairs(torch.arange(40), paths, tokens, mask, minimum)
    found = []
    for number in range(40):
        words = tokens[number][mask[number]].tolist()
        found += [(number, *piece) for piece in cut(words, paths[number].tolist()[: len(words)], minimum)]
    assert found == [(pair.image_id, pair.region, list(pair.tokens)) for pair in pairs]
