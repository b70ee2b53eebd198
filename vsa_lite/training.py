"""One training loop for the alignment and the caption models: seeded, clipped, validated on the real metric, resumable.

Word vectors and the region CNN, which feed them, have short loops of their own, in their rooms.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from vsa_lite.distributed import gather_rows

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        epochs: passes over all items.
        batch_size: items a step; the paper has 100 pairs.
        learning_rate: the highest one of the schedule.
        optimiser: "adam", "sgd" (with `momentum`) or "rmsprop".
        momentum: of sgd.
        weight_decay: decoupled for adam, as usual for the others.
        clip: every element of the gradient is cut to -clip..clip; None leaves it as it is.
        schedule: "cosine" falls to 0 at the end, "constant" does not.
        warmup: share of all steps in which the rate rises from 0.
        patience: stop after so many epochs without a better metric; None goes to the end.
        seed: of the order of items and of dropout.
    """

    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 1e-3
    optimiser: Literal["adam", "sgd", "rmsprop"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float | None = 5.0
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.0
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs and batch_size must be at least 1, got {self.epochs} and {self.batch_size}")
        if int(self.epochs) != self.epochs or int(self.batch_size) != self.batch_size:
            raise ValueError(f"epochs and batch_size must be whole, got {self.epochs} and {self.batch_size}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")
        if self.optimiser not in ("adam", "sgd", "rmsprop"):
            raise ValueError(f"optimiser must be 'adam', 'sgd' or 'rmsprop', got {self.optimiser!r}")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule must be 'cosine' or 'constant', got {self.schedule!r}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be at least 0 and below 1, got {self.warmup}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {self.momentum}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be at least 1, or None, got {self.patience}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, or None, got {self.clip}")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step, as a share of the highest."""
        rise = self.warmup * steps
        if step < rise:
            return (step + 1) / (rise + 1)
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


@dataclass
class History:
    """What happened: one entry an epoch, and which was best.

    Attributes:
        epochs: mean loss, seconds and validation metrics of each epoch.
        best_epoch: the one whose weights the model has now, counted from 0; None before the first.
        seconds: training time so far, over all resumptions.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    seconds: float = 0.0

    @property
    def best(self) -> dict[str, float]:
        """The best epoch's entry."""
        return self.epochs[self.best_epoch] if self.best_epoch is not None else {}


def _optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimiser == "adam":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay)
    if config.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, alpha=0.99, weight_decay=decay)
    return torch.optim.SGD(parameters, rate, momentum=config.momentum, weight_decay=decay)


@contextmanager
def _own_randomness(seed: int):
    """Seed dropout without touching the caller's random numbers; denormals, which crawl on CPUs, count as zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)


def _save(path: Path, state: dict[str, Any]) -> None:
    """Write a state behind the SHA-256 of its bytes; by way of a temporary file."""
    buffer, temporary = io.BytesIO(), path.with_suffix(".part")
    torch.save(state, buffer)
    with temporary.open("wb") as file:
        file.write(hashlib.sha256(buffer.getbuffer()).digest())
        file.write(buffer.getbuffer())
    os.replace(temporary, path)


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError("its digest does not fit its content")
    return torch.load(io.BytesIO(content[32:]), map_location=device, weights_only=True)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def train(
    model: nn.Module,
    items: int,
    batch: Callable[[Tensor], Any],
    config: TrainingConfig,
    *,
    validate: Callable[[], dict[str, float]] | None = None,
    metric: str = "",
    maximise: bool = True,
    folder: str | Path | None = None,
    save_every: int = 0,
    identity: dict | None = None,
    plateau: float | None = None,
    fabric: Fabric | None = None,
    progress: bool = True,
) -> History:
    """Train a model in place; at the end it has the weights of its best epoch (the last one, without `validate`).

    With a folder the state is saved after every epoch (and every `save_every` steps), and a run that was killed goes on
    from there; on a CPU its result equals that of an uninterrupted one. The state is removed by nobody: running again
    after the end returns at once.

    With a Fabric of several processes each takes its share of every batch, and the model's loss is that of the whole
    batch: without dropout the weights are those of one process, but for rounding. The last batch of an epoch leaves out
    what cannot be shared evenly. The first process validates and saves.

    Args:
        model: has a method `loss(batch)`, a mean over the batch; its device is where batches go.
        items: how many items there are to learn from.
        batch: makes a batch of item numbers.
        config: how to train.
        validate: measures the model on what matters; called after every epoch, in eval mode.
        metric: the entry of `validate`'s result that decides which epoch is best.
        maximise: whether a higher metric is better.
        folder: where the state is kept.
        save_every: also save the state after so many steps; 0 for after epochs only.
        identity: anything that must be equal for a saved state to be resumed: model configuration, data.
        plateau: a loss that means the model tells nothing apart; named when the training sits on it.
        fabric: of Lightning, launched: for several processes, several machines, or another precision.
        progress: show a bar.

    Raises:
        ValueError: for no items, `validate` without its metric, patience without `validate`, a metric that `validate`
            does not give, a folder with the state of another run, or batches that processes cannot share evenly.
        FloatingPointError: when the loss is not finite.
    """
    if items < 1:
        raise ValueError("there is nothing to train on: 0 items")
    if (validate is None) != (not metric):
        raise ValueError("validate and the name of the metric that decides go together; one of them is missing")
    if config.patience is not None and validate is None:
        raise ValueError(f"patience ({config.patience}) needs validate: without it no epoch is better than another")
    processes, own = (fabric.world_size, fabric.global_rank) if fabric is not None else (1, 0)
    if config.batch_size % processes:
        raise ValueError(f"{processes} processes cannot share batches of {config.batch_size}; change the batch size")
    optimiser, trained, backward = _optimiser(model, config), model, Tensor.backward
    if fabric is not None:
        trained, optimiser = fabric.setup(model, optimiser)
        trained.mark_forward_method("loss")
        backward = fabric.backward
    device, progress = next(model.parameters()).device, progress and own == 0
    per_epoch = math.ceil(items / config.batch_size)
    steps = per_epoch * config.epochs
    history, first_epoch, first_step, loss_sum = History(), 0, 0, 0.0
    best_weights: dict[str, Tensor] | None = None
    about = json.loads(json.dumps({"training": asdict(config), "items": items, "identity": identity or {}}))
    path = Path(folder) / "training.pt" if folder is not None else None

    with _own_randomness(config.seed + 7919 * own):
        if path is not None and path.exists():
            try:
                state = _load(path, device)
            except Exception as error:
                raise ValueError(
                    f"{path} cannot be read as a training state (it is damaged, or would run code); "
                    "remove it to start anew"
                ) from error
            if not isinstance(state, dict) or not isinstance(state.get("about"), dict):
                raise ValueError(f"{path} is no training state of this package; remove it to start anew")
            # JSON, since an earlier state may hold tuples where this run has lists
            changed = [key for key in about if json.loads(json.dumps(state["about"].get(key))) != about[key]]
            if changed:
                raise ValueError(f"{path} belongs to another run ({', '.join(changed)} differ); use another folder")
            try:
                model.load_state_dict(state["model"])
                optimiser.load_state_dict(state["optimiser"])
            except (RuntimeError, ValueError) as error:
                raise ValueError(f"{path} belongs to another model; use another folder: {error}") from error
            if own < len(state["random"]):
                torch.set_rng_state(state["random"][own].cpu())
            best_weights, first_epoch, first_step = state["best"], state["epoch"], state["step"]
            loss_sum, history = state["loss_sum"], History(**state["history"])
        elif path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

        def save(epoch: int, step: int) -> None:
            if path is None:
                return
            random = [row.cpu().clone() for row in gather_rows(torch.get_rng_state()[None].to(device))]
            if own == 0:
                state = {"about": about, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
                state |= {"random": random, "best": best_weights, "epoch": epoch, "step": step}
                _save(path, state | {"loss_sum": loss_sum, "history": asdict(history)})
            if processes > 1:
                fabric.barrier()  # whoever reads the state now reads this one

        bar = tqdm(total=steps, initial=first_epoch * per_epoch + first_step, unit="step", disable=not progress)
        for epoch in range(first_epoch, config.epochs):
            if _out_of_patience(history, config):
                break
            order = torch.randperm(items, generator=torch.Generator().manual_seed(config.seed * 1_000_003 + epoch))
            model.train()
            started = time.perf_counter()
            for step in range(first_step, per_epoch):
                for group in optimiser.param_groups:
                    group["lr"] = config.learning_rate * config.rate(epoch * per_epoch + step, steps)
                chosen = order[step * config.batch_size : (step + 1) * config.batch_size]
                share = len(chosen) // processes
                if not share:
                    continue  # fewer items than processes
                loss = trained.loss(batch(chosen[own * share : (own + 1) * share]).to(device))
                value = loss.detach() if processes == 1 else fabric.all_reduce(loss.detach(), reduce_op="mean")
                value = float(value)
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the loss is {value} at epoch {epoch + 1}, step {step + 1}: lower the learning rate "
                        f"({config.learning_rate}) or the clip ({config.clip})"
                    )
                optimiser.zero_grad(set_to_none=True)
                backward(loss)
                if config.clip is not None:
                    nn.utils.clip_grad_value_(model.parameters(), config.clip)
                optimiser.step()
                loss_sum += value
                bar.update()
                if step % 10 == 0:
                    bar.set_postfix(epoch=f"{epoch + 1}/{config.epochs}", loss=f"{value:.4g}", refresh=False)
                if save_every and (step + 1) % save_every == 0 and step + 1 < per_epoch:
                    history.seconds += time.perf_counter() - started
                    started = time.perf_counter()
                    save(epoch, step + 1)
            entry = {"loss": loss_sum / per_epoch}
            first_step, loss_sum = 0, 0.0
            if validate is not None:
                model.eval()
                measured = None
                if own == 0:
                    with torch.inference_mode():
                        measured = {key: float(value) for key, value in validate().items()}  # numbers can be saved
                if processes > 1:
                    measured = fabric.broadcast(measured)
                if metric not in measured or {"loss", "seconds"} & set(measured):
                    raise ValueError(
                        f"validate must give {metric!r}, and neither 'loss' nor 'seconds'; "
                        f"it gives {', '.join(measured)}"
                    )
                entry |= measured
            history.seconds += time.perf_counter() - started
            entry["seconds"] = history.seconds - sum(earlier["seconds"] for earlier in history.epochs)
            history.epochs.append(entry)
            if _is_best(history, metric, maximise):
                history.best_epoch = epoch
                best_weights = _copy(model) if validate is not None else None
            note = ", ".join(f"{key} {value:.4g}" for key, value in entry.items() if key != "seconds")
            if plateau is not None and abs(entry["loss"] - plateau) < 0.01 * plateau:
                warnings.warn(
                    f"epoch {epoch + 1}: a plateau: {plateau:.4g} is the loss of a model that tells nothing apart; "
                    "warm up with the structured loss, or lower the learning rate",
                    stacklevel=2,
                )
            if progress:
                tqdm.write(f"epoch {epoch + 1}: {note}")
            save(epoch + 1, 0)
        bar.close()
        if best_weights is not None:
            model.load_state_dict(best_weights)
    model.eval()
    return history


def _is_best(history: History, metric: str, maximise: bool) -> bool:
    if not metric or history.best_epoch is None:
        return True
    new, old = history.epochs[-1][metric], history.best[metric]
    if math.isnan(old):
        return True
    return new > old if maximise else new < old


def _out_of_patience(history: History, config: TrainingConfig) -> bool:
    if config.patience is None or history.best_epoch is None:
        return False
    return len(history.epochs) - 1 - history.best_epoch >= config.patience
