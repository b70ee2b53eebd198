"""What `test_distributed` runs: one batch's loss and gradients, and a whole training, by two processes or by one.

    torchrun --nproc-per-node 2 tests/two_processes.py FOLDER together

Every result of the first process goes to FOLDER/together.pt; without `together`, in one process, to alone.pt.
"""

import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric

from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.captioning.attention import AttentionCaptioner
from vsa_lite.captioning.rnn import MultimodalRNN
from vsa_lite.captioning.teacher import TaughtBatch
from vsa_lite.training import TrainingConfig, train

PAIRS, D, WORDS = 22, 6, 9  # 22: the last batch of 8 holds 6, which two processes share
UNIT = {"unit_vectors": True, "unit_sentences": True}
MODELS = {
    "structured": {"loss": "structured"},
    "eq. 7": {"loss": "structured", "score": "sum", "normalisation": "smooth"},
    "hardest": {"loss": "hardest", "margin": 0.2, "normalisation": "mean"},
    "contrastive": {"loss": "contrastive", **UNIT},
    "captions": MultimodalRNN,
    "attention": AttentionCaptioner,
}
TAUGHT = {"revisions": 1, "teacher_weight": 0.7, "cycle_weight": 0.5, "doubly_weight": 0.2}
TRAINING = TrainingConfig(epochs=2, batch_size=8, learning_rate=0.01, seed=3)


def model_of(name):
    generator = torch.Generator().manual_seed(0)
    if isinstance(MODELS[name], type):
        extras = TAUGHT if name == "attention" else {}
        return MODELS[name](WORDS, D, hidden_size=7, dropout=0.0, generator=generator, **extras)
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 7, "word_size": 5, "train_words": True}
    return AlignmentModel(AlignmentConfig(WORDS, D, **sizes, **MODELS[name]))


def batch_of(indices):
    """Pairs 2i and 2i + 1 share a picture; sizes differ; a teacher speaks of few words."""
    ids = torch.as_tensor(indices) // 2
    features = torch.randn(PAIRS // 2, 4, D, generator=torch.Generator().manual_seed(1))[ids]
    region_mask = torch.arange(4) < (1 + ids % 4)[:, None]
    words = torch.randint(1, WORDS, (PAIRS, 6), generator=torch.Generator().manual_seed(2))[indices]
    word_mask = torch.arange(6) < (1 + torch.as_tensor(indices) % 6)[:, None]
    longest = int(word_mask.sum(1).max())  # processes meet different lengths
    boxes = torch.zeros(len(ids), 4, 4)
    return TaughtBatch(
        ids,
        features * region_mask[..., None],
        region_mask,
        boxes,
        (words * word_mask)[:, :longest],
        word_mask[:, :longest],
        attention=(region_mask / region_mask.sum(1, keepdim=True))[:, None].expand(-1, longest, -1),
        attention_mask=(word_mask & (ids < 2)[:, None])[:, :longest],
    )


def results_of(name, fabric, folder):
    own, processes = (fabric.global_rank, fabric.world_size) if fabric else (0, 1)
    model = model_of(name)
    trained = model
    if fabric:
        trained = fabric.setup(model)
        trained.mark_forward_method("loss")
    share = 8 // processes
    loss = trained.loss(batch_of(torch.arange(own * share, (own + 1) * share)))
    loss.backward()
    mean = fabric.all_reduce(loss.detach(), reduce_op="mean") if fabric else loss.detach()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model = model_of(name)
    folder = folder / f"{name}-{processes}"
    validate = {"validate": lambda: {"size": sum(float(p.sum()) for p in model.parameters())}, "metric": "size"}
    history = train(model, PAIRS, batch_of, TRAINING, fabric=fabric, folder=folder, progress=False, **validate)
    again = model_of(name)
    resumed = train(again, PAIRS, batch_of, TRAINING, fabric=fabric, folder=folder, progress=False, **validate)
    assert [epoch["loss"] for epoch in resumed.epochs] == [epoch["loss"] for epoch in history.epochs]
    return {"loss": mean, "gradients": gradients, "weights": model.state_dict(), "losses": history.epochs}


if __name__ == "__main__":
    target, together = Path(sys.argv[1]), "together" in sys.argv
    fabric = None
    if together:
        fabric = Fabric(accelerator="cpu", strategy="ddp", devices=2)
        fabric.launch()
    results = {name: results_of(name, fabric, target) for name in MODELS}
    if not together or fabric.is_global_zero:
        torch.save(results, target / ("together.pt" if together else "alone.pt"))
