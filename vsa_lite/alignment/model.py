"""The alignment model: regions and words in one space (chapters 6 to 8)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsa_lite.alignment.cross_attention import DIRECTIONS
from vsa_lite.alignment.losses import contrastive_loss, hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import Normalisation, Score, alignment_scores, check_choice, own_products
from vsa_lite.data.batches import Batch
from vsa_lite.distributed import gather_rows, pad_to_longest
from vsa_lite.words.brnn import BRNN
from vsa_lite.words.dropout import Dropout

Loss = Literal["structured", "hardest", "contrastive"]


@dataclass(frozen=True)
class AlignmentConfig:
    """What an alignment model is; stored with its weights.

    Attributes:
        vocabulary_size: number of words, the end token included.
        feature_size: d of a region's feature.
        embedding_size: h, between 1,000 and 1,600 in the paper.
        hidden_size: of the BRNN.
        word_size: of the word vectors x_t.
        train_words: let W_w learn; in the paper it stays fixed.
        score: "max" (eq. 8), "sum" (eq. 7), or, with unit vectors and the normalisation "mean", "text_to_image" or
            "image_to_text" (stacked cross attention).
        normalisation: "sum" as printed, "mean", or "smooth".
        unit_vectors: scale v_i and s_t to length 1 (then v . s is a cosine), and let s_t be negative: without the last
            ReLU. False as printed.
        unit_sentences: scale the words of a sentence together, not each to length 1, so that their sum has length 1.
            Words keep their weight among each other: "the" may be short, "dog" long. With `unit_vectors`, the
            normalisation "sum" and one region a picture, the score is the cosine of picture and sentence.
        loss: "structured" (eq. 9), "hardest" (VSE++) or "contrastive" (InfoNCE).
        margin: of the first two.
        scale: factor of the scores in the contrastive loss, where it starts; it is learned.
        dropout: on region features and word vectors' way in, and on the way out of the BRNN; never in the recurrence.
    """

    vocabulary_size: int
    feature_size: int
    embedding_size: int = 1024
    hidden_size: int = 1024
    word_size: int = 300
    train_words: bool = False
    score: Score = "max"
    normalisation: Normalisation = "sum"
    unit_vectors: bool = False
    unit_sentences: bool = False
    loss: Loss = "structured"
    margin: float = 1.0
    scale: float = 30.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "feature_size", "embedding_size", "hidden_size", "word_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_choice(self.score, self.normalisation)
        if self.score in DIRECTIONS and (self.unit_sentences or not self.unit_vectors):
            raise ValueError(f"the score {self.score!r} needs unit_vectors=True and unit_sentences=False")
        if self.loss not in ("structured", "hardest", "contrastive"):
            raise ValueError(f"loss must be 'structured', 'hardest' or 'contrastive', got {self.loss!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not (0 < self.margin < math.inf and 0 < self.scale < math.inf):
            raise ValueError(f"margin and scale must be above 0 and finite, got {self.margin} and {self.scale}")


class AlignmentModel(nn.Module):
    r"""Regions :math:`v_i = W_m\,\mathrm{CNN}(I_b) + b_m` and words :math:`s_t` from a BRNN, scored by eq. 7 or 8.

    Source: Karpathy and Fei-Fei 2015, sections 3.1.1 to 3.1.3.
    """

    kind = "alignment"

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.config = config
        self.word_vectors = nn.Embedding(config.vocabulary_size, config.word_size)  # W_w
        self.word_vectors.weight.requires_grad_(config.train_words)
        self.dropout = Dropout(config.dropout)
        self.regions = nn.Linear(config.feature_size, config.embedding_size)  # W_m, b_m
        self.brnn = BRNN(
            config.word_size,
            config.hidden_size,
            config.embedding_size,
            input_dropout=config.dropout,
            output_dropout=config.dropout,
            **({"output_relu": False} if config.unit_vectors else {}),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)), requires_grad=config.loss == "contrastive")
        self.register_buffer("feature_mean", torch.zeros(config.feature_size))
        self.register_buffer("feature_deviation", torch.ones(config.feature_size))

    @classmethod
    def from_config(cls, config: dict) -> AlignmentModel:
        """A model with fresh weights from what `config_dict` gave."""
        return cls(AlignmentConfig(**config))

    def config_dict(self) -> dict:
        """The configuration, ready for JSON."""
        return asdict(self.config)

    @torch.no_grad()
    def set_word_vectors(self, matrix: Float[Tensor, "words word_size"]) -> None:
        """Start from word2vec; a row of zeros (a word it does not know) keeps its random start."""
        if matrix.shape != self.word_vectors.weight.shape:
            raise ValueError(
                f"word vectors must have shape {tuple(self.word_vectors.weight.shape)}, got {tuple(matrix.shape)}"
            )
        if not matrix.isfinite().all():
            raise ValueError(f"word vector {int((~matrix.isfinite().all(1)).nonzero()[0])} is not finite")
        known = matrix.abs().sum(1) > 0
        scale = matrix[known].pow(2).mean().sqrt().clamp(min=1e-8)
        self.word_vectors.weight[known] = matrix[known] / scale  # components of about unit size

    @torch.no_grad()
    def standardise(self, mean: Float[Tensor, " d"], deviation: Float[Tensor, " d"]) -> None:
        """Take this mean from region features and divide by this deviation: those of the training features."""
        self.feature_mean.copy_(mean)
        self.feature_deviation.copy_(deviation)

    def embed_regions(
        self, features: Float[Tensor, "images regions d"], region_mask: Bool[Tensor, "images regions"]
    ) -> Float[Tensor, "images regions h"]:
        """v: regions in the common space; zeros where padded.

        Raises:
            ValueError: if the features have another size than the model was made for.
        """
        if features.shape[-1] != self.config.feature_size:
            raise ValueError(
                f"this model takes region features of size {self.config.feature_size}, got {features.shape[-1]}: "
                "they come from another backbone"
            )
        x = (features - self.feature_mean) / self.feature_deviation
        v = self.regions(self.dropout(x))  # (images, regions, h)
        if self.config.unit_vectors:
            v = nn.functional.normalize(v, dim=-1)
        return v * region_mask[..., None]

    def embed_words(
        self, tokens: Int[Tensor, "sentences words"], word_mask: Bool[Tensor, "sentences words"]
    ) -> Float[Tensor, "sentences words h"]:
        """s: words, in their context, in the common space; zeros where padded."""
        s = self.brnn(self.word_vectors(tokens), word_mask)  # (sentences, words, h), zeros where padded
        if self.config.unit_sentences:
            return s / s.sum(1, keepdim=True).norm(dim=-1, keepdim=True).clamp(min=1e-6)
        if self.config.unit_vectors:
            return nn.functional.normalize(s, dim=-1)
        return s

    def forward(self, batch: Batch) -> Float[Tensor, "pairs pairs"]:
        """S_kl, every picture of the batch against every sentence."""
        return alignment_scores(
            self.embed_regions(batch.regions, batch.region_mask),
            batch.region_mask,
            self.embed_words(batch.tokens, batch.word_mask),
            batch.word_mask,
            self.config.score,
            self.config.normalisation,
        )

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The chosen loss of a batch, a mean over its pairs; with several processes, of all their pairs together.

        Each process scores its own pictures against the sentences of all, and gathers the others' rows of S.
        """
        words, word_mask = self.embed_words(batch.tokens, batch.word_mask), batch.word_mask
        scores = gather_rows(
            alignment_scores(
                self.embed_regions(batch.regions, batch.region_mask),
                batch.region_mask,
                gather_rows(pad_to_longest(words)),
                gather_rows(pad_to_longest(word_mask)),
                self.config.score,
                self.config.normalisation,
            )
        )
        image_ids = gather_rows(batch.image_ids)
        if self.config.loss == "contrastive":
            total = contrastive_loss(scores, image_ids, self.log_scale.exp())
        else:
            loss = structured_loss if self.config.loss == "structured" else hardest_negative_loss
            total = loss(scores, image_ids, self.config.margin)
        return total / len(image_ids)

    @torch.inference_mode()
    def products(self, batch: Batch) -> Float[Tensor, "pairs words regions"]:
        """u: v_i . s_t of each sentence with its own picture."""
        return own_products(
            self.embed_regions(batch.regions, batch.region_mask), self.embed_words(batch.tokens, batch.word_mask)
        )
