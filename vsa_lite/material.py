"""What chapters share: a data set, its word vectors, features and trained models, made once and kept.

The first chapter that asks for something makes it, in well under a minute on scenes; the others, and the same chapter
the next time, read it from a folder of the user's cache. The folder's name holds a digest of the package: another
version makes its own. Nothing is made before it is asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from vsa_lite.data.downloads import cache_folder
from vsa_lite.data.karpathy import load_flickr8k
from vsa_lite.data.records import Dataset
from vsa_lite.data.scenes import LABELS, make_scenes, make_single_things
from vsa_lite.pipeline import train_alignment, train_attention, train_captioner
from vsa_lite.recipes import ALIGNMENT, CAPTIONS, SCENES_ALIGNMENT, SCENES_ATTENTION
from vsa_lite.regions.backbones import Backbone
from vsa_lite.regions.features import extract_features
from vsa_lite.regions.proposals import ProposedRegions
from vsa_lite.regions.region_cnn import RegionCNN, RegionCNNProposals
from vsa_lite.regions.region_cnn_training import fine_tune, load_pictures, pretrain, thing_boxes
from vsa_lite.regions.store import FeatureStore, StoreError
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import WordVectors, load_word_vectors, save_word_vectors, train_word2vec

Size = Literal["scenes", "flickr8k"]

# scenes: small enough for a page
SCENES = {"train": 700, "val": 60, "test": 200}
ALIGNMENT_TRAINING = TrainingConfig(epochs=6, learning_rate=5e-3, warmup=0.05, batch_size=50)
CAPTION_MODEL = {"cell": "lstm", "hidden_size": 128, "dropout": 0.0}
CAPTION_TRAINING = TrainingConfig(epochs=10, learning_rate=5e-3, weight_decay=0.3, batch_size=50)
ATTENTION_TRAINING = TrainingConfig(epochs=4, learning_rate=5e-3, warmup=0.05, batch_size=50)


@cache
def package_digest() -> str:
    """Eight letters that change with any module of the package; what only checks a reader's answers makes nothing."""
    digest = hashlib.sha256()
    root = Path(str(files("vsa_lite")))
    for path in sorted(root.rglob("*.py")):
        if path.parent.name != "checks":
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _is_store(path: Path) -> bool:
    try:
        FeatureStore(path)
    except StoreError:  # not there, or not finished: a run that was stopped goes on
        return False
    return True


class Material:
    """Everything that a chapter may need of one data set; each part is made, or read, when it is first asked for.

    Args:
        size: "scenes", drawn here, or "flickr8k": real photographs, whose features must lie ready.
        folder: where parts are kept; by default in the user's cache, see `cache_folder`.
        features: of flickr8k, made by `vsa-lite extract`; by default the folder that VSA_LITE_FEATURES names.

    Raises:
        ValueError: for another size.
    """

    def __init__(self, size: Size = "scenes", folder: str | Path | None = None, features: str | Path | None = None):
        if size not in ("scenes", "flickr8k"):
            raise ValueError(f"size must be 'scenes' or 'flickr8k', got {size!r}")
        self.size = size
        self.folder = Path(folder or cache_folder() / "material" / f"{size}-{package_digest()}")
        self._features = features or os.environ.get("VSA_LITE_FEATURES")
        self._how = {"device": "cuda" if torch.cuda.is_available() else "cpu", "progress": size != "scenes"}
        if size != "scenes" and not torch.cuda.is_available():
            print(
                "no GPU here: models that are not there yet are trained on the CPU, some minutes each. In Colab choose "
                "Runtime, Change runtime type, T4 GPU."
            )

    @cached_property
    def dataset(self) -> Dataset:
        """Pictures and sentences, with splits "train", "val" and "test"."""
        if self.size == "scenes":
            return make_scenes(**SCENES)
        data = os.environ.get("VSA_LITE_DATA")
        return load_flickr8k(Path(data) / "flickr8k" if data else cache_folder() / "flickr8k")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of the training split."""
        return Vocabulary.from_dataset(self.dataset)

    @cached_property
    def words(self) -> WordVectors:
        """Word vectors, by word2vec on the training split: 64 numbers each on scenes, else 300."""

        def make(path: Path) -> None:
            sentences = [sentence.tokens for record in self.dataset.split("train") for sentence in record.sentences]
            small = {"size": 64, "subsampling": None} if self.size == "scenes" else {}
            save_word_vectors(path, train_word2vec(sentences, self.vocabulary, progress=False, **small))

        return load_word_vectors(self._made("words.txt", make), self.vocabulary)

    @cached_property
    def cnn(self) -> RegionCNN:
        """The region CNN that proposes and describes regions of scenes; it saw single things, then boxed scenes."""
        self._only_scenes("a region CNN")

        def make(path: Path) -> None:
            generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
            things = make_single_things(1000)
            pictures = load_pictures((drawing.draw() for drawing, _ in things), 80)
            kinds = torch.tensor([1 + LABELS.index(label) for _, label in things])
            model = RegionCNN(LABELS, generators[0], size=128)
            pretrain(model, pictures, kinds, generators[1], epochs=8, progress=False)
            boxed = make_scenes(900, 0, 0, seed=1)
            pictures = load_pictures((record.image() for record in boxed), 128)
            model.fresh_classifier(LABELS, generators[2])
            fine_tune(model, pictures, *thing_boxes(boxed, LABELS), generators[3], batch_size=8, progress=False)
            model.save(path)

        return RegionCNN.load(self._made("cnn.safetensors", make))

    @cached_property
    def backbone(self) -> Backbone:
        """The CNN as a maker of features."""
        return self.cnn.as_backbone()

    @cached_property
    def store(self) -> FeatureStore:
        """Features of every picture: on scenes, seven regions and the whole picture."""
        if self.size == "scenes":

            def make(path: Path) -> None:
                regions = ProposedRegions(RegionCNNProposals(self.cnn), count=8)
                options = {"count": 8, "size": 128, "pool_size": 3, "progress": False}
                extract_features(self.dataset, self.backbone, regions, path, **options)

            return FeatureStore(self._made("features", make, _is_store))
        if self._features is None:
            raise ValueError(
                "photographs need features: make them once with `vsa-lite extract FLICKR8K FEATURES ...` and let "
                "VSA_LITE_FEATURES name that folder"
            )
        return FeatureStore(self._features)

    def pairs(self, split: str, regions: int | None = None) -> Pairs:
        """The pairs of a split, with their features."""
        return Pairs(self.dataset.split(split), self.store, self.vocabulary, regions)

    @cached_property
    def alignment(self) -> Checkpoint:
        """A trained alignment: on photographs, by the recipe "quick"."""

        def make(path: Path) -> None:
            model, training, regions = SCENES_ALIGNMENT.model, ALIGNMENT_TRAINING, None
            if self.size == "flickr8k":
                recipe = ALIGNMENT["quick"]
                model, training, regions = recipe.model, TrainingConfig(**recipe.training), recipe.regions
            save_checkpoint(
                path,
                train_alignment(
                    *(self.dataset, self.store, self.vocabulary, self.words, model, training),
                    regions=regions,
                    folder=self._state("alignment"),
                    **self._how,
                ),
            )

        return load_checkpoint(self._made("alignment.safetensors", make), "alignment")

    @cached_property
    def captions(self) -> Checkpoint:
        """A trained caption model of whole pictures: on photographs, by the recipe "quick"."""

        def make(path: Path) -> None:
            model, training = CAPTION_MODEL, CAPTION_TRAINING
            if self.size == "flickr8k":
                model, training = CAPTIONS["quick"].model, TrainingConfig(**CAPTIONS["quick"].training)
            save_checkpoint(
                path,
                train_captioner(
                    *(self.dataset, self.store, self.vocabulary, model, training),
                    folder=self._state("captions"),
                    **self._how,
                ),
            )

        return load_checkpoint(self._made("captions.safetensors", make), "caption")

    @cached_property
    def attention(self) -> Checkpoint:
        """A trained caption model with attention, which nobody has told where to look."""

        def make(path: Path) -> None:
            save_checkpoint(path, self.train_attention(folder=self._state("attention")))

        return load_checkpoint(self._made("attention.safetensors", make), "attention")

    def train_attention(self, targets: tuple | None = None, folder: Path | None = None, **extras: float) -> Checkpoint:
        """A caption model with attention, made as :attr:`attention` is, with these settings of its own; not kept."""
        photographs = TrainingConfig(**SCENES_ATTENTION.training | {"epochs": 4})
        return train_attention(
            *(self.dataset, self.store, self.vocabulary, SCENES_ATTENTION.model | extras),
            ATTENTION_TRAINING if self.size == "scenes" else photographs,
            targets=targets,
            choose_by="perplexity",
            folder=folder,
            **self._how,
        )

    def _made(self, name: str, make: Callable[[Path], None], is_there: Callable[[Path], bool] = Path.exists) -> Path:
        """The path of a part, which is made if it is not there; another process that wants it meanwhile waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        with FileLock(self.folder / f"{name}.lock"):
            if not is_there(path):
                make(path)
        return path

    def _state(self, name: str) -> Path | None:
        """Where a long training keeps its state, to go on after a stop; short ones begin anew."""
        return self.folder / f"{name}.state" if self.size != "scenes" else None

    def _only_scenes(self, what: str) -> None:
        if self.size != "scenes":
            raise ValueError(f"{what} is trained on boxes, which only scenes have here; size is {self.size!r}")
