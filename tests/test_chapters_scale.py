"""Chapter 16: all five steps give the package's scores, and what it searches by is what the package searches by."""

from pathlib import Path

import pytest
import torch
from test_alignment_scores import example
from test_chapters import definitions

from vsa_lite.alignment.scores import alignment_scores

CHAPTER = Path(__file__).resolve().parents[1] / "notebooks" / "16_scaling_and_searching.ipynb"
STEPS = ("word_by_word", "pair_by_pair", "sentence_by_sentence", "all_at_once", "in_blocks")


def lift(*names):
    """Functions of the chapter; they find torch, and each other, as in their page."""
    space = definitions(CHAPTER, *names)
    space["torch"] = torch
    return [space[name] for name in names]


def some(images, sentences, regions=3, words=6, h=4):
    """Pictures without padding and sentences with it."""
    generator = torch.Generator().manual_seed(images)
    v, _, s, mask = example(generator, images, sentences, regions, words, h)
    return v.float(), s.float() * mask[..., None], mask


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("size", [(4, 5), (1, 1), (7, 2)])
def test_a_step_from_loop_to_product_gives_the_packages_scores(name, size):
    v, s, mask = some(*size)
    expected = alignment_scores(v, torch.ones(v.shape[:2], dtype=torch.bool), s, mask)
    torch.testing.assert_close(lift(name)[0](v, s, mask.sum(1)), expected, rtol=1e-4, atol=1e-5)


def test_blocks_of_any_size_give_the_same():
    v, s, mask = some(4, 5)
    (in_blocks,) = lift("in_blocks")
    for block in (1, 3, 1000):
        torch.testing.assert_close(in_blocks(v, s, mask.sum(1), block), in_blocks(v, s, mask.sum(1)))


def test_the_table_and_the_estimate_are_the_packages(tmp_path):
    pytest.importorskip("faiss")
    from vsa_lite.regions.store import StoreWriter
    from vsa_lite.searching.building import finish_index

    generator = torch.Generator().manual_seed(0)
    v, mask, s, word_mask = example(generator, 40, 30, 3, 6, 8)
    v = (v * mask[..., None]).half().float()
    writer = StoreWriter(tmp_path / "vectors", list(range(40)), 3, 8, {"score": "max", "normalisation": "sum"}, False)
    boxes = torch.tensor([0.0, 0, 1, 1]).expand(40, 3, 4)
    writer.write(list(range(40)), v.numpy(), boxes.numpy(), mask.numpy())
    writer.close()
    index = finish_index(tmp_path, s[word_mask].float(), kind="codewords8", progress=False)
    codewords, products = index.codewords
    codeword_table, estimate = lift("codeword_table", "estimate")
    table = codeword_table(v, mask, codewords)
    torch.testing.assert_close(table.T, torch.from_numpy(products.astype("float32")), atol=5e-3, rtol=1e-2)
    words = s[0][word_mask[0]].float()
    torch.testing.assert_close(estimate(words, codewords, table), index.estimate(words), atol=0.05, rtol=0.01)


def test_k_means_gives_directions_that_stay_when_a_group_is_empty():
    (k_means,) = lift("k_means")
    directions = torch.nn.functional.normalize(torch.randn(50, 4, generator=torch.Generator().manual_seed(3)), dim=1)
    centres = k_means(torch.cat([directions, directions]), 60)
    assert centres.shape == (60, 4)
    torch.testing.assert_close(centres.norm(dim=1), torch.ones(60))


def test_gathering_gives_the_loss_of_the_whole_batch_and_a_share_alone_does_not():
    from vsa_lite.alignment.losses import structured_loss

    v, s, mask = some(6, 6)
    gathered, alone = lift("gathered_loss", "own_negatives")
    for function in (gathered, alone):
        function.__globals__["structured_loss"] = structured_loss
    ids = torch.arange(6)
    scores = alignment_scores(v, torch.ones(v.shape[:2], dtype=torch.bool), s, mask)
    torch.testing.assert_close(gathered([v[:2], v[2:]], [s[:5], s[5:]], mask, ids), structured_loss(scores, ids))
    torch.testing.assert_close(alone(scores, ids, 1), structured_loss(scores, ids) / 6)
    assert alone(scores, ids, 3) < alone(scores, ids, 1)


def test_recall_counts_question_by_question():
    (recall,) = lift("recall")
    assert recall([[1, 2, 3], [4]], [[3, 9], [1, 4]]) == 50.0
