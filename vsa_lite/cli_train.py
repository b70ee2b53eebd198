"""`vsa-lite train ...`: word vectors, the region CNN, the alignment and the caption models, from the command line."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.regions import RegionSnippets
from vsa_lite.captioning.teacher import alignment_targets
from vsa_lite.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from vsa_lite.cli_options import check_same_features, device_from, fabric_from, load_data, open_store, set_threads
from vsa_lite.cli_recipes import ALIGNMENT_RECIPES, ATTENTION_RECIPES, CAPTION_RECIPES, recipe_name
from vsa_lite.data.records import Dataset
from vsa_lite.pipeline import (
    infer_snippets,
    train_alignment,
    train_attention,
    train_captioner,
    train_region_captioner,
)
from vsa_lite.recipes import Recipe
from vsa_lite.regions.store import FeatureStore
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import WordVectors, load_word_vectors, save_word_vectors, train_word2vec

SINGLE_SIZE = 96  # pixels: pictures of single things need no more


def words(arguments: argparse.Namespace) -> None:
    """`train words`."""
    set_threads(arguments.threads)
    _out_file(arguments)
    dataset = load_data(arguments.data, arguments.data_seed)
    vocabulary = Vocabulary.from_dataset(dataset, arguments.minimum_count)
    vectors = train_word2vec(
        [sentence.tokens for record in dataset.split("train") for sentence in record.sentences],
        vocabulary,
        architecture=arguments.architecture,
        size=arguments.size,
        window=arguments.window,
        seed=arguments.seed,
        progress=not arguments.quiet,
        **({} if arguments.epochs is None else {"epochs": arguments.epochs}),
    )
    save_word_vectors(arguments.out, vectors)
    print(f"{arguments.out}: vectors of {len(vectors):,} words")
    for word in vectors.words[1:20:6]:
        print(f"  nearest to {word!r}: {', '.join(near for near, _ in vectors.nearest(word, 5))}")


def region_cnn(arguments: argparse.Namespace) -> None:
    """`train region-cnn`: on single things first, if the data's things are those of scenes; then on windows."""
    from vsa_lite.data.scenes import LABELS, make_single_things
    from vsa_lite.regions.region_cnn import RegionCNN
    from vsa_lite.regions.region_cnn_training import detection_metrics, fine_tune, load_pictures, pretrain, thing_boxes

    set_threads(arguments.threads)
    _out_file(arguments)
    dataset = load_data(arguments.data, arguments.data_seed)
    train = Dataset(dataset.name, dataset.split("train").records[: arguments.pictures])
    progress, seed = not arguments.quiet, arguments.seed
    if arguments.pictures < 1:
        raise ValueError(f"--pictures must be at least 1, got {arguments.pictures}")
    if any(record.boxes is None for record in train):
        raise ValueError(f"a region CNN learns from boxes, and {dataset.name} has none; try scenes")
    labels = {label for record in train for label in record.labels}
    kinds = LABELS if labels <= set(LABELS) else tuple(sorted(labels))
    model = RegionCNN(LABELS, torch.Generator().manual_seed(seed), size=arguments.size)
    if arguments.single_things:
        things = make_single_things(arguments.single_things, seed=arguments.data_seed)
        pictures = load_pictures((drawing.draw() for drawing, _ in things), SINGLE_SIZE)
        classes = torch.tensor([1 + LABELS.index(label) for _, label in things])
        generator = torch.Generator().manual_seed(seed + 1000)
        pretrain(model, pictures, classes, generator, epochs=arguments.pretraining_epochs, progress=progress)
    model.fresh_classifier(kinds, torch.Generator().manual_seed(seed + 2000))
    epochs = 6 if arguments.epochs is None else arguments.epochs
    pictures = load_pictures((record.image() for record in train), arguments.size)
    generator = torch.Generator().manual_seed(seed + 3000)
    fine_tune(model, pictures, *thing_boxes(train, kinds), generator, epochs=epochs, progress=progress)
    Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    model.save(arguments.out)
    print(f"{arguments.out}: a region CNN for {len(kinds)} kinds of things, trained on {len(train):,} pictures")
    held_out = Dataset(dataset.name, [record for record in dataset if record.split == "val"][:100])
    if len(held_out):
        pictures = load_pictures((record.image() for record in held_out), arguments.size)
        metrics = detection_metrics(model, pictures, *thing_boxes(held_out, kinds))
        found = ", ".join(f"{key.replace('_', ' ')} {value:.1f} %" for key, value in metrics.items())
        print(f"  on {len(held_out)} pictures of the val split: {found}")


def _training(arguments: argparse.Namespace, recipe: Recipe) -> TrainingConfig:
    """The recipe's way to train, with what the options change."""
    names = ("epochs", "batch_size", "learning_rate")
    changes = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return TrainingConfig(**{**recipe.training, **changes, "seed": arguments.seed})


def _out_file(arguments: argparse.Namespace) -> Path:
    """Where the result goes: found wanting before any work is done."""
    out = Path(arguments.out)
    if out.is_dir():
        raise ValueError(f"--out must be a file, {out} is a folder")
    blocked = next((parent for parent in out.parents if parent.exists() and not parent.is_dir()), None)
    if blocked is not None:
        raise ValueError(f"--out {out} lies in {blocked}, which is a file and no folder: choose another place")
    return out


def _state_folder(arguments: argparse.Namespace) -> Path:
    """Where the training state is kept; empty after --restart."""
    out = _out_file(arguments)
    folder = Path(arguments.folder) if arguments.folder else out.with_name(f"{out.name}.state")
    if arguments.restart and folder.exists():
        if {path.name for path in folder.iterdir()} - {"training.pt", "training.part"}:
            raise ValueError(f"{folder} holds more than a training state: remove it yourself")
        shutil.rmtree(folder, ignore_errors=True)  # of several processes, one is first
    return folder


@dataclass(frozen=True)
class _Start:
    """What every training from features begins with.

    Attributes:
        dataset, store: what to train on.
        recipe, training: how.
        how: keywords that every training takes: folder, device, fabric, progress.
    """

    dataset: Dataset
    store: FeatureStore
    recipe: Recipe
    training: TrainingConfig
    how: dict


def _begin(arguments: argparse.Namespace, recipes: dict[str, Recipe]) -> _Start:
    set_threads(arguments.threads)
    folder, fabric = _state_folder(arguments), fabric_from(arguments)
    device = device_from(arguments.device) if fabric is None else fabric.device
    dataset = load_data(arguments.data, arguments.data_seed)
    arguments.recipe = recipe_name(arguments.recipe, dataset.name, "quick")
    recipe = recipes[arguments.recipe]
    training = _training(arguments, recipe)
    store = open_store(arguments.features, dataset, arguments.data_seed)
    how = {"folder": folder, "device": device, "fabric": fabric, "progress": not arguments.quiet}
    return _Start(dataset, store, recipe, training, how)


def _words(arguments: argparse.Namespace, start: _Start) -> tuple[Vocabulary, WordVectors | None]:
    """The vocabulary, and word vectors where they are given."""
    vocabulary = Vocabulary.from_dataset(start.dataset, arguments.minimum_count)
    return vocabulary, load_word_vectors(arguments.words, vocabulary) if arguments.words else None


def _mirror(arguments: argparse.Namespace, start: _Start) -> FeatureStore | None:
    """The features of mirrored pictures where they are given."""
    return open_store(arguments.mirrored, start.dataset, arguments.data_seed) if arguments.mirrored else None


def _write(arguments: argparse.Namespace, checkpoint: Checkpoint, start: _Start, **more) -> None:
    """Save a checkpoint with the options that made it, and say what was written; of several processes, one does."""
    if start.how["fabric"] is not None and not start.how["fabric"].is_global_zero:
        return
    checkpoint.provenance |= {"recipe": arguments.recipe, "training": asdict(start.training), **more}
    save_checkpoint(arguments.out, checkpoint)
    epochs, seconds = checkpoint.metrics["history"], checkpoint.metrics["seconds"]
    print(
        f"{arguments.out}: {len(epochs)} epochs, {len(checkpoint.vocabulary) - 1:,} words, {seconds / 60:.1f} minutes"
    )
    last = {key: value for key, value in epochs[-1].items() if key != "seconds"}
    print(f"  last epoch: {', '.join(f'{key} {value:.4g}' for key, value in last.items())}")


def alignment(arguments: argparse.Namespace) -> None:
    """`train alignment`."""
    start = _begin(arguments, ALIGNMENT_RECIPES)
    vocabulary, vectors = _words(arguments, start)
    checkpoint = train_alignment(
        start.dataset,
        start.store,
        vocabulary,
        vectors,
        start.recipe.model,
        start.training,
        regions=start.recipe.regions,
        mirrored=_mirror(arguments, start),
        **start.how,
    )
    _write(arguments, checkpoint, start)


def captions(arguments: argparse.Namespace) -> None:
    """`train captions`."""
    start = _begin(arguments, CAPTION_RECIPES)
    vocabulary, vectors = _words(arguments, start)
    checkpoint = train_captioner(
        start.dataset,
        start.store,
        vocabulary,
        start.recipe.model,
        start.training,
        word_vectors=vectors,
        mirrored=_mirror(arguments, start),
        **start.how,
    )
    _write(arguments, checkpoint, start)


def attention(arguments: argparse.Namespace) -> None:
    """`train attention`: with an alignment, by what it says about every training sentence."""
    if arguments.teacher_weight is not None and not arguments.alignment:
        raise ValueError("--teacher-weight without a teacher: give --alignment")
    start = _begin(arguments, ATTENTION_RECIPES)
    vocabulary, vectors = _words(arguments, start)
    regions, extras, targets = start.recipe.regions, {"revisions": arguments.revisions}, None
    if arguments.alignment:
        teacher = load_checkpoint(arguments.alignment, "alignment")
        made = teacher.provenance["features"]
        check_same_features(start.store.provenance, made, arguments.features, arguments.alignment)
        regions = teacher.provenance.get("regions")  # those that the teacher knows
        vocabulary = teacher.vocabulary
        vectors = load_word_vectors(arguments.words, vocabulary) if arguments.words else None
        targets = alignment_targets(
            teacher.model, Pairs(start.dataset.split("train"), start.store, vocabulary, regions)
        )
        extras["teacher_weight"] = 0.3 if arguments.teacher_weight is None else arguments.teacher_weight
    checkpoint = train_attention(
        start.dataset,
        start.store,
        vocabulary,
        start.recipe.model | extras,
        start.training,
        regions=regions,
        targets=targets,
        word_vectors=vectors,
        **start.how,
    )
    _write(arguments, checkpoint, start)


def region_captions(arguments: argparse.Namespace) -> None:
    """`train region-captions`: the alignment cuts sentences into snippets, and these teach the RNN."""
    start = _begin(arguments, CAPTION_RECIPES)
    store = start.store
    teacher = load_checkpoint(arguments.alignment, "alignment")
    check_same_features(store.provenance, teacher.provenance["features"], arguments.features, arguments.alignment)
    snippets = []
    for split in ("train", "val"):
        pairs = Pairs(start.dataset.split(split), store, teacher.vocabulary, teacher.provenance.get("regions"))
        limits = {"minimum_words": arguments.minimum_words, "maximum_words": arguments.maximum_words}
        snippets.append(RegionSnippets(infer_snippets(teacher.model, pairs, arguments.beta, **limits), store))
    print(f"{arguments.alignment} found {len(snippets[0]):,} snippets in the training sentences", flush=True)
    checkpoint = train_region_captioner(
        *snippets,
        teacher.vocabulary,
        start.recipe.model,
        start.training,
        dataset_name=start.dataset.name,
        **start.how,
    )
    _write(arguments, checkpoint, start, beta=arguments.beta, **limits)
