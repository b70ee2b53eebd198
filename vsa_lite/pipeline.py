"""The pipeline's stages put together: what the command line, the experiments and the tour all call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from vsa_lite.alignment.chain import best_path, relative_beta
from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.attention import AttentionCaptioner
from vsa_lite.captioning.decoding import beam_search, greedy
from vsa_lite.captioning.regions import RegionPair, RegionSnippets, region_pairs
from vsa_lite.captioning.rnn import MultimodalRNN
from vsa_lite.captioning.teacher import TaughtPairs
from vsa_lite.checkpoints import Checkpoint
from vsa_lite.data.batches import pad_tokens
from vsa_lite.data.records import Dataset
from vsa_lite.evaluation.captions import caption_metrics
from vsa_lite.evaluation.ranking import rank
from vsa_lite.regions.store import FeatureStore
from vsa_lite.training import TrainingConfig, train
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import WordVectors

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def _device(model: torch.nn.Module) -> torch.device:
    return next(model.parameters()).device


def embed_pictures(model: AlignmentModel, pairs: Pairs, batch_size: int = 200) -> tuple[Tensor, Tensor]:
    """v [images, regions, h] and the region mask [images, regions] of every picture, on the model's device."""
    parts, device = [], _device(model)
    with torch.inference_mode():
        for start in range(0, len(pairs.image_ids), batch_size):
            features, mask, _ = pairs.pictures(range(start, min(start + batch_size, len(pairs.image_ids))))
            mask = mask.to(device)
            parts.append((model.embed_regions(features.to(device), mask), mask))
    return torch.cat([v for v, _ in parts]), torch.cat([mask for _, mask in parts])


def embed_sentences(
    model: AlignmentModel, tokens: Sequence[Sequence[int]], batch_size: int = 500
) -> tuple[Tensor, Tensor]:
    """s [sentences, words, h] and the word mask [sentences, words] of sentences, on the model's device."""
    padded, mask = (part.to(_device(model)) for part in pad_tokens(tokens))
    with torch.inference_mode():
        parts = []
        for start in range(0, len(padded), batch_size):
            rows = slice(start, start + batch_size)
            longest = int(mask[rows].sum(1).max())
            s = model.embed_words(padded[rows, :longest], mask[rows, :longest])
            parts.append(torch.nn.functional.pad(s, (0, 0, 0, padded.shape[1] - longest)))
    return torch.cat(parts), mask


def evaluate_ranking(model: AlignmentModel, pairs: Pairs) -> dict[str, float]:
    """Recall and median rank in both directions, all pictures of `pairs` against all its sentences; in percent."""
    model.eval()
    v, region_mask = embed_pictures(model, pairs)
    s, word_mask = embed_sentences(model, pairs.tokens)
    config, sentence_image = model.config, pairs.sentence_image.to(v.device)
    return rank(v, region_mask, s, word_mask, sentence_image, config.score, config.normalisation)


def train_alignment(
    dataset: Dataset,
    store: FeatureStore,
    vocabulary: Vocabulary,
    word_vectors: WordVectors | None,
    model: dict,
    training: TrainingConfig,
    *,
    regions: int | None = None,
    mirrored: FeatureStore | None = None,
    validation_images: int = 500,
    folder: str | Path | None = None,
    device: torch.device | str = "cpu",
    fabric: Fabric | None = None,
    progress: bool = True,
) -> Checkpoint:
    """Train an alignment model on the training split, choosing the epoch by recall on the validation split.

    Args:
        dataset: with splits "train" and "val".
        store: region features of its pictures.
        vocabulary: made from the training split.
        word_vectors: where W_w starts, and its size; None for random.
        model: settings of :class:`AlignmentConfig` other than the sizes of vocabulary and features.
        training: how to train; its seed also decides the model's first weights.
        regions: use only the first so many regions of a picture; 1 for the whole picture alone.
        mirrored: features of the same pictures in a mirror, to train on as well; an epoch is then twice as long.
        validation_images: pictures of the validation split, the first ones, that an epoch is judged on.
        folder: where the state is kept, to go on after a kill.
        device: where the model is trained; it comes back on the CPU.
        fabric: for several processes, as for :func:`vsa_lite.training.train`; it chooses the device.
        progress: show a bar.
    """
    pairs = Pairs(dataset.split("train"), store, vocabulary, regions, mirrored)
    val = Dataset(dataset.name, dataset.split("val").records[:validation_images])
    validation = Pairs(val, store, vocabulary, regions)
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        size = {} if word_vectors is None else {"word_size": word_vectors.size}
        config = AlignmentConfig(vocabulary_size=len(vocabulary), feature_size=store.feature_size, **(model | size))
        network = AlignmentModel(config)
    network.standardise(*pairs.feature_statistics())
    if word_vectors is not None:
        network.set_word_vectors(word_vectors.matrix(vocabulary))
    network.to(device)

    def validate() -> dict[str, float]:
        metrics = evaluate_ranking(network, validation)
        recalls = [metrics[f"{item}_r@{k}"] for item in ("sentence", "image") for k in (1, 5, 10)]
        return {"mean_recall": sum(recalls) / len(recalls)} | metrics

    identity = {"model": network.config_dict(), "vocabulary": vocabulary.digest(), "store": store.provenance}
    plateau = {"structured": 2 * (training.batch_size - 1) * config.margin, "hardest": 2 * config.margin}
    history = train(
        network,
        len(pairs),
        pairs.batch,
        training,
        validate=validate,
        metric="mean_recall",
        folder=folder,
        identity=identity | {"regions": regions, "mirrored": mirrored is not None},
        plateau=plateau.get(config.loss),
        fabric=fabric,
        progress=progress,
    )
    provenance = {"dataset": dataset.name, "features": store.provenance, "regions": regions, "seed": training.seed}
    provenance["mirrored"] = mirrored is not None
    return Checkpoint(network.cpu(), vocabulary, {"history": history.epochs, "seconds": history.seconds}, provenance)


def infer_snippets(
    model: AlignmentModel, pairs: Pairs, beta: float = 1.0, batch_size: int = 500, **limits: int | bool
) -> list[RegionPair]:
    """Model 1 teaches: the (region, snippet) pairs that the alignment finds in every sentence of `pairs`.

    Args:
        model: a trained alignment model.
        pairs: with the regions that it was trained on.
        beta: the chain's reward for staying on a region, in units of the spread of each sentence's products.
        batch_size: sentences at once.
        limits: as for :func:`~vsa_lite.captioning.regions.region_pairs`.
    """
    model.eval()
    found: list[RegionPair] = []
    for start in range(0, len(pairs), batch_size):
        batch = pairs.batch(range(start, min(start + batch_size, len(pairs))))
        unary = model.products(batch.to(_device(model))).cpu()
        reward = relative_beta(unary, batch.word_mask, batch.region_mask, beta)
        path, _ = best_path(unary, batch.word_mask, batch.region_mask, reward)
        found += region_pairs(batch.image_ids, path, batch.tokens, batch.word_mask, **limits)
    return found


def seen_by(model: MultimodalRNN, regions: Tensor) -> Tensor:
    """What a caption model takes of the regions [images, regions, d]: all with attention, else the whole picture."""
    return regions if model.kind == "attention" else regions[:, 0]


def write_captions(
    model: MultimodalRNN, vocabulary: Vocabulary, features: Tensor, beam_size: int = 1, batch_size: int = 200
) -> list[list[str]]:
    """A sentence, as words, for each row of features [images, d]; beam size 1 is greedy."""
    sentences: list[list[str]] = []
    for part in features.to(_device(model)).split(batch_size):
        captions = greedy(model, part) if beam_size == 1 else beam_search(model, part, beam_size)
        sentences += [vocabulary.decode(tokens) for tokens in captions.tokens]
    return sentences


def known_sentences(dataset: Dataset, vocabulary: Vocabulary) -> list[list[str]]:
    """All sentences of a data set as a model sees them: without the words that it does not know."""
    return [
        [word for word in sentence.tokens if word in vocabulary] for record in dataset for sentence in record.sentences
    ]


def evaluate_captions(
    model: MultimodalRNN,
    pairs: Pairs,
    beam_size: int = 1,
    training: Sequence[Sequence[str]] | None = None,
    with_meteor: bool = False,
) -> dict[str, float]:
    """Caption metrics of generated sentences for the pictures of `pairs`, against everything people wrote of them."""
    features = seen_by(model, pairs.pictures(range(len(pairs.image_ids)))[0])
    candidates = write_captions(model, pairs.vocabulary, features, beam_size)
    references = [[sentence.tokens for sentence in record.sentences] for record in pairs.records]
    return caption_metrics(candidates, references, training, with_meteor)


def perplexity(model: MultimodalRNN, items: Pairs | RegionSnippets, batch_size: int = 500) -> float:
    """exp of the mean cross entropy of a word, END included; infinity where that is too large for a number."""
    total = words = 0.0
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(items), batch_size):
            batch = items.batch(range(start, min(start + batch_size, len(items)))).to(_device(model))
            n = int(batch.word_mask.sum()) + len(batch)
            mean = model.mean_loss(seen_by(model, batch.regions), batch.tokens, batch.word_mask)
            total, words = total + float(mean) * n, words + n
    model.train(training)
    return math.exp(total / words) if total / words < 700 else math.inf


def _by_bleu(validation: Pairs) -> Callable[[MultimodalRNN], dict[str, float]]:
    """What a model of whole pictures is chosen by."""

    def validate(network: MultimodalRNN) -> dict[str, float]:
        metrics = evaluate_captions(network, validation)
        return {"bleu_4": metrics["bleu_4"], "perplexity": perplexity(network, validation)}

    return validate


def train_captioner(
    dataset: Dataset,
    store: FeatureStore,
    vocabulary: Vocabulary,
    model: dict,
    training: TrainingConfig,
    *,
    word_vectors: WordVectors | None = None,
    mirrored: FeatureStore | None = None,
    folder: str | Path | None = None,
    device: torch.device | str = "cpu",
    fabric: Fabric | None = None,
    progress: bool = True,
) -> Checkpoint:
    """Train the multimodal RNN on whole pictures, choosing the epoch by BLEU-4 of greedy sentences on validation.

    Args:
        dataset: with splits "train" and "val".
        store: features of its pictures; region 0 of each is used.
        vocabulary: made from the training split.
        model: settings of :class:`MultimodalRNN` other than the sizes of vocabulary and features.
        training: how to train; its seed also decides the model's first weights.
        word_vectors: where W_w starts, and its size; None for random.
        mirrored, folder, device, fabric, progress: as for :func:`train_alignment`.
    """
    pairs = Pairs(dataset.split("train"), store, vocabulary, 1, mirrored)
    validate = _by_bleu(Pairs(dataset.split("val"), store, vocabulary, regions=1))
    about = {"dataset": dataset.name, "trained_on": "whole pictures", "mirrored": mirrored is not None}
    given = (pairs, pairs.feature_statistics(), store, vocabulary, model, training, validate, "bleu_4", True, about)
    return _train_rnn(*given, word_vectors, folder, device, fabric, progress)


def train_attention(
    dataset: Dataset,
    store: FeatureStore,
    vocabulary: Vocabulary,
    model: dict,
    training: TrainingConfig,
    *,
    regions: int | None = None,
    targets: tuple[Tensor, Tensor] | None = None,
    choose_by: Literal["bleu_4", "perplexity"] = "bleu_4",
    word_vectors: WordVectors | None = None,
    folder: str | Path | None = None,
    device: torch.device | str = "cpu",
    fabric: Fabric | None = None,
    progress: bool = True,
) -> Checkpoint:
    """Train a caption model with attention, choosing the epoch on validation.

    Args:
        dataset, store, vocabulary, training, word_vectors, folder, device, fabric, progress: as for
            :func:`train_captioner`.
        model: settings of :class:`~vsa_lite.captioning.attention.AttentionCaptioner`.
        regions: look only at the first so many.
        targets: what a teacher says of every training pair, and of which words: as
            :func:`~vsa_lite.captioning.teacher.alignment_targets` gives it for the same pairs.
        choose_by: what the best epoch is best in: BLEU-4 of greedy sentences, or perplexity, where there are so few
            pictures that BLEU-4 is chance.

    Raises:
        ValueError: for targets without a `teacher_weight` in `model`, or the other way round.
    """
    if (targets is None) != (not model.get("teacher_weight")):
        given = "no targets" if targets is None else "targets"
        raise ValueError(f"a teacher needs targets and a teacher_weight above 0, got {given} and {model}")
    pairs = Pairs(dataset.split("train"), store, vocabulary, regions)
    validate = _by_bleu(Pairs(dataset.split("val"), store, vocabulary, regions))
    about = {"dataset": dataset.name, "trained_on": "whole pictures, with attention", "regions": regions}
    items = pairs if targets is None else TaughtPairs(pairs, *targets)
    about["taught"] = None if targets is None else items.digest()
    metric = (choose_by, choose_by == "bleu_4")
    given = (items, pairs.feature_statistics(), store, vocabulary, model, training, validate, *metric, about)
    return _train_rnn(*given, word_vectors, folder, device, fabric, progress, AttentionCaptioner)


def train_region_captioner(
    snippets: RegionSnippets,
    validation: RegionSnippets,
    vocabulary: Vocabulary,
    model: dict,
    training: TrainingConfig,
    *,
    dataset_name: str,
    folder: str | Path | None = None,
    device: torch.device | str = "cpu",
    fabric: Fabric | None = None,
    progress: bool = True,
) -> Checkpoint:
    """Train the multimodal RNN on the regions and snippets that the alignment found; perplexity chooses the epoch.

    Args:
        snippets, validation: of the training and of the validation split.
        vocabulary: the alignment's.
        model, training, folder, device, fabric, progress: as for :func:`train_captioner`.
        dataset_name: for the checkpoint's provenance.
    """
    sample = snippets.features(np.unique(np.linspace(0, len(snippets) - 1, min(20_000, len(snippets))).astype(int)))
    statistics = sample.mean(0), sample.std(0, correction=0).clamp(min=1e-3)

    def validate(network: MultimodalRNN) -> dict[str, float]:
        return {"perplexity": perplexity(network, validation)}

    return _train_rnn(
        snippets,
        statistics,
        snippets.store,
        vocabulary,
        model,
        training,
        validate,
        "perplexity",
        False,
        {"dataset": dataset_name, "trained_on": "regions and snippets of the alignment"},
        None,
        folder,
        device,
        fabric,
        progress,
    )


def _train_rnn(
    items: Pairs | TaughtPairs | RegionSnippets,
    statistics: tuple[Tensor, Tensor],
    store: FeatureStore,
    vocabulary: Vocabulary,
    model: dict,
    training: TrainingConfig,
    validate: Callable[[MultimodalRNN], dict[str, float]],
    metric: str,
    maximise: bool,
    provenance: dict,
    word_vectors: WordVectors | None,
    folder: str | Path | None,
    device: torch.device | str,
    fabric: Fabric | None,
    progress: bool,
    kind: type[MultimodalRNN] = MultimodalRNN,
) -> Checkpoint:
    generator = torch.Generator().manual_seed(training.seed)
    size = {} if word_vectors is None else {"embedding_size": word_vectors.size}
    network = kind(len(vocabulary), store.feature_size, **(model | size), generator=generator)
    network.standardise(*statistics)
    network.set_output_bias(vocabulary.counts)
    if word_vectors is not None:
        network.set_word_vectors(word_vectors.matrix(vocabulary))
    network.to(device)
    identity = {"model": network.config_dict(), "vocabulary": vocabulary.digest(), "store": store.provenance}
    history = train(
        network,
        len(items),
        items.batch,
        training,
        validate=lambda: validate(network),
        metric=metric,
        maximise=maximise,
        folder=folder,
        identity=identity | provenance,
        fabric=fabric,
        progress=progress,
    )
    provenance = {"features": store.provenance, "regions": 1, "seed": training.seed} | provenance
    return Checkpoint(network.cpu(), vocabulary, {"history": history.epochs, "seconds": history.seconds}, provenance)
