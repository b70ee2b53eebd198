"""Chapters 6 to 9: what their cells define equals what the package has; solutions compile."""

import ast
from pathlib import Path

import pytest
import torch
from test_alignment_chain import example as chain_example
from test_alignment_scores import example
from test_chapters import code, definitions, read

from vsa_lite.alignment.chain import best_path, marginals, relative_beta
from vsa_lite.alignment.losses import contrastive_loss, hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.evaluation.ranking import rank_scores, summarise_ranks
from vsa_lite.viewer import segments_in_words

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
CHAPTERS = {
    name: FOLDER / f"{name}.ipynb" for name in ("06_scores", "07_loss", "08_training_and_ranking", "09_segments")
}
sizes = pytest.mark.parametrize("size", [(3, 4, 5, 6, 7), (1, 1, 1, 1, 1), (5, 2, 3, 9, 2)])


def lift(chapter, *names):
    """Functions of a chapter; they find torch, and each other, as in their page."""
    space = definitions(CHAPTERS[chapter], *names)
    space["torch"] = torch
    return [space[name] for name in names]


@sizes
def test_the_scores_of_chapter_6(size):
    images, sentences, regions, words, h = size
    generator = torch.Generator().manual_seed(0)
    v, region_mask, s, word_mask = example(generator, images, sentences, regions, words, h)
    fragment, simplified, scores, normalised = lift(
        "06_scores", "fragment_score", "simplified_score", "scores", "normalised"
    )
    for score, built in (("sum", fragment), ("max", simplified)):
        expected = alignment_scores(v, region_mask, s, word_mask, score)
        for k in range(images):
            for l in range(sentences):  # noqa: E741
                torch.testing.assert_close(built(v[k][region_mask[k]], s[l][word_mask[l]]), expected[k, l])
    total = scores(v, region_mask, s, word_mask)
    for how in ("sum", "mean", "smooth"):
        expected = alignment_scores(v, region_mask, s, word_mask, "max", how)
        torch.testing.assert_close(normalised(total, word_mask, how), expected)


@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [4, 4, 7, 4, 9], [1, 0]])
@pytest.mark.parametrize("margin", [0.1, 1.0, 5.0])
def test_the_losses_of_chapter_7(ids, margin):
    ids = torch.tensor(ids)
    S = torch.randn(len(ids), len(ids), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    _, printed, masked, structured, hardest, contrastive = lift(
        "07_loss", "hinge", "printed_loss", "masked_loss", "structured", "hardest", "contrastive"
    )
    torch.testing.assert_close(structured(S, ids, margin), structured_loss(S, ids, margin))
    torch.testing.assert_close(hardest(S, ids, margin), hardest_negative_loss(S, ids, margin))
    torch.testing.assert_close(contrastive(S, ids, margin), contrastive_loss(S, ids, margin))
    different = structured_loss(S, torch.arange(len(ids)), margin)
    torch.testing.assert_close(masked(S, margin), different)
    torch.testing.assert_close(printed(S, margin), different + 2 * len(ids) * margin)


@pytest.mark.parametrize(("images", "more", "levels"), [(4, 6, 3), (1, 2, 2), (7, 0, 100)])
def test_the_ranks_of_chapter_8(images, more, levels):
    generator = torch.Generator().manual_seed(2)
    owners = torch.cat([torch.arange(images), torch.randint(images, (more,), generator=generator)])
    S = torch.randint(levels, (images, len(owners)), generator=generator).double()
    image_ranks, sentence_ranks, recall = lift("08_training_and_ranking", "image_ranks", "sentence_ranks", "recall")
    of_images, of_sentences = rank_scores(S, owners)
    assert torch.equal(image_ranks(S, owners), of_sentences)
    assert torch.equal(sentence_ranks(S, owners), of_images)
    summary = summarise_ranks(of_sentences, "image")
    for k in (1, 5, 10):
        assert recall(of_sentences, k) == pytest.approx(summary[f"image_r@{k}"])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0, 40.0])
def test_the_chain_of_chapter_9(seed, beta):
    u, word_mask, region_mask = chain_example(seed, sentences=4, words=5, regions=4)
    viterbi, forward_backward, in_spreads = lift("09_segments", "viterbi", "forward_backward", "in_spreads")
    paths, values = best_path(u, word_mask, region_mask, beta)
    soft = marginals(u, word_mask, region_mask, beta, 0.7)
    spread = relative_beta(u, word_mask, region_mask, beta)
    for k in range(len(u)):
        n, real = int(word_mask[k].sum()), region_mask[k].nonzero()[:, 0]
        own = u[k, :n][:, real]
        path, value = viterbi(own, beta)
        assert real[path].tolist() == paths[k, :n].tolist()
        assert value == pytest.approx(float(values[k]))
        torch.testing.assert_close(forward_backward(own, beta, 0.7), soft[k, :n][:, real])
        assert in_spreads(own, beta) == pytest.approx(float(spread[k]))


def test_the_segments_of_chapter_9():
    (segments,) = lift("09_segments", "segments")
    words = "a dog on a red sofa".split()
    for path in ([1, 1, 0, 2, 2, 2], [3] * 6, [0, 1, 0, 1, 0, 1]):
        assert segments(words, path) == segments_in_words(words, path)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_have_folded_solutions_that_compile(chapter):
    cells = [cell for cell in read(CHAPTERS[chapter])["cells"] if "hide-cell" in cell["metadata"].get("tags", [])]
    assert 3 <= len(cells) <= 5
    for cell in cells:
        source = "".join(cell["source"])
        assert source.startswith("# One solution")
        ast.parse(source)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_a_chapter_defines_says_what_it_is(chapter):
    for node in code(CHAPTERS[chapter]).body:
        assert not isinstance(node, ast.FunctionDef) or ast.get_docstring(node), f"{node.name} has no docstring"
