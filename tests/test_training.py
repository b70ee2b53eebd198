"""The training loop: killed and resumed it ends where it would have ended; clipping, schedule, patience, randomness."""

import math
import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vsa_lite.training import TrainingConfig, _load, _optimiser, _save, train

ITEMS = 23


class Toy(nn.Module):
    """Everything that has a state: dropout, running statistics, momenta."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))

    def loss(self, x: Tensor) -> Tensor:
        return (self.layers(x)[:, 0] - x.sum(1)).pow(2).mean()


def toy() -> Toy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Toy()


DATA = torch.randn(ITEMS, 4, generator=torch.Generator().manual_seed(1))
CONFIG = TrainingConfig(epochs=4, batch_size=4, learning_rate=0.02, warmup=0.1, seed=3)


def run(model, folder=None, batch=DATA.__getitem__, config=CONFIG, **more):
    def validate():
        return {"error": float((model.layers(DATA)[:, 0] - DATA.sum(1)).abs().mean())}

    options = {"validate": validate, "metric": "error", "maximise": False, "progress": False} | more
    return train(model, ITEMS, batch, config, folder=folder, **options)


def without_seconds(history):
    entries = [{key: value for key, value in entry.items() if key != "seconds"} for entry in history.epochs]
    return entries, history.best_epoch


def assert_equal_weights(a, b):
    assert all(torch.equal(a.state_dict()[name], tensor) for name, tensor in b.state_dict().items())


class Killed(BaseException):
    """Stands for kill -9 inside this process: nothing of the loop runs after it."""


def killed_at(call):
    calls = []

    def batch(indices):
        calls.append(indices)
        if len(calls) == call:
            raise Killed
        return DATA[indices]

    return batch


def test_killed_in_the_middle_of_an_epoch_and_resumed_equals_the_uninterrupted_run(tmp_path):
    child = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        straight, resumed = toy(), toy()
        expected = run(straight)
        assert child.stdout.readline() == "here\n", "the training ended before it could be killed"
    finally:
        child.kill()  # kill -9
        child.wait()
    state = _load(tmp_path / "training.pt", torch.device("cpu"))
    assert (state["epoch"], state["step"]) == (1, 4)
    steps = []

    def counting(indices):
        steps.append(indices)
        return DATA[indices]

    history = run(resumed, tmp_path, counting, save_every=2)
    assert len(steps) == 4 * 6 - (6 + 4)
    assert without_seconds(history) == without_seconds(expected)
    assert_equal_weights(resumed, straight)


@pytest.mark.parametrize("optimiser", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("call", [1, 3, 7, 24])
def test_stopped_anywhere_and_resumed_equals_the_uninterrupted_run(tmp_path, optimiser, call):
    config = TrainingConfig(
        epochs=4, batch_size=4, learning_rate=0.02, optimiser=optimiser, weight_decay=0.01, patience=9
    )
    straight, resumed = toy(), toy()
    expected = run(straight, config=config)
    with pytest.raises(Killed):
        run(toy(), tmp_path, killed_at(call), config, save_every=2)
    history = run(resumed, tmp_path, config=config, save_every=3)
    assert without_seconds(history) == without_seconds(expected)
    assert_equal_weights(resumed, straight)


def test_running_again_after_the_end_returns_at_once(tmp_path):
    first, again = toy(), toy()
    expected = run(first, tmp_path)
    history = run(again, tmp_path, killed_at(1))
    assert history == expected
    assert_equal_weights(again, first)


def test_a_kill_while_saving_leaves_the_state_before(tmp_path):
    run(toy(), tmp_path, config=CONFIG)
    (tmp_path / "training.part").write_bytes(b"half")
    run(toy(), tmp_path, killed_at(1))


def test_the_state_of_another_run_is_refused(tmp_path):
    run(toy(), tmp_path, identity={"vocabulary": "abc", "sizes": (1, 2)})
    before = (tmp_path / "training.pt").read_bytes()
    run(toy(), tmp_path, killed_at(1), identity={"vocabulary": "abc", "sizes": [1, 2]})
    same = {"identity": {"vocabulary": "abc", "sizes": (1, 2)}}
    with pytest.raises(ValueError, match=r"belongs to another run \(identity differ\); use another folder"):
        run(toy(), tmp_path, identity={"vocabulary": "other", "sizes": (1, 2)})
    with pytest.raises(ValueError, match=r"another run \(training differ\)"):
        run(toy(), tmp_path, config=TrainingConfig(epochs=5), **same)
    with pytest.raises(ValueError, match=r"another run \(items differ\)"):
        train(toy(), ITEMS - 1, DATA.__getitem__, CONFIG, folder=tmp_path, progress=False, **same)
    wider = toy()
    wider.layers[0], wider.layers[1], wider.layers[4] = nn.Linear(4, 9), nn.BatchNorm1d(9), nn.Linear(9, 1)
    with pytest.raises(ValueError, match="belongs to another model; use another folder"):
        run(wider, tmp_path, **same)
    assert (tmp_path / "training.pt").read_bytes() == before


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_what_is_no_state_is_refused_and_nothing_in_it_is_run(tmp_path):
    file = tmp_path / "training.pt"
    run(toy(), tmp_path)
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # one bit
    for content in (
        bytes(flipped),
        whole[:-200],
        whole[:100],
        b"",
        b"text",
        pickle.dumps(Attack(str(tmp_path / "executed")), 2),
    ):
        file.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"training\.pt cannot be read as a training state \(it is damaged.*; remove it"
        ):
            run(toy(), tmp_path)
    _save(file, {"about": Attack(str(tmp_path / "executed"))})
    with pytest.raises(ValueError, match="cannot be read as a training state"):
        run(toy(), tmp_path)
    for foreign in (toy().state_dict(), torch.zeros(3), [1, 2], {"about": 3}):
        _save(file, foreign)
        with pytest.raises(ValueError, match="is no training state of this package; remove it"):
            run(toy(), tmp_path)
    assert not (tmp_path / "executed").exists()


def test_identity_that_cannot_be_kept_is_refused_at_the_start(tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        run(toy(), tmp_path, killed_at(1), identity={"path": Path("a")})


def test_metrics_of_any_kind_of_number_can_be_resumed_from(tmp_path):
    kinds = {"error": np.float64(0.5), "count": np.int64(3), "rank": torch.tensor(2.0)}
    run(toy(), tmp_path, validate=lambda: kinds)
    history = run(toy(), tmp_path, killed_at(1), validate=lambda: kinds)
    assert without_seconds(history)[0][0].items() >= {"error": 0.5, "count": 3.0, "rank": 2.0}.items()


def test_the_model_ends_with_the_weights_of_its_best_epoch():
    weights, errors = [], iter([0.5, math.nan, 0.2, 0.4])
    model = toy()

    def validate():
        assert not model.training
        assert torch.is_inference_mode_enabled()
        weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"error": next(errors)}

    history = run(model, validate=validate)
    assert history.best_epoch == 2
    assert history.best["error"] == 0.2
    assert all(torch.equal(tensor, weights[2][name]) for name, tensor in model.state_dict().items())
    assert not model.training


def test_a_first_metric_that_is_no_number_does_not_stay_the_best():
    errors = iter([math.nan, 0.9, 0.95, 0.91])
    assert run(toy(), validate=lambda: {"error": next(errors)}).best_epoch == 1
    rates = iter([1.0, 3.0, 2.0, 3.0])
    assert run(toy(), validate=lambda: {"rate": next(rates)}, metric="rate", maximise=True).best_epoch == 1


def test_without_validation_the_last_epoch_counts():
    model = toy()
    history = run(model, validate=None, metric="")
    assert (history.best_epoch, len(history.epochs)) == (3, 4)
    assert set(history.best) == {"loss", "seconds"}


def test_patience(tmp_path):
    config = TrainingConfig(epochs=9, batch_size=8, patience=2)
    given = [5.0, 3.0, 4.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    errors = iter(given)
    history = run(toy(), tmp_path, config=config, validate=lambda: {"error": next(errors)})
    assert [entry["error"] for entry in history.epochs] == given[:4]
    assert history.best_epoch == 1
    again = run(toy(), tmp_path, killed_at(1), config, validate=lambda: {"error": 0.0})
    assert len(again.epochs) == 4


def test_learning_rates_that_the_optimiser_sees():
    seen = []

    class Watched(Toy):
        def loss(self, x):
            frames = sys._getframe(1).f_locals  # the loop's own optimiser
            seen.append(frames["optimiser"].param_groups[0]["lr"])
            return super().loss(x)

    run(
        Watched(),
        config=TrainingConfig(epochs=2, batch_size=6, learning_rate=0.1, warmup=0.25),
        validate=None,
        metric="",
    )
    expected = [0.1 / 3, 0.2 / 3] + [0.05 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]
    assert seen == pytest.approx(expected)


def test_schedule_values():
    cosine = TrainingConfig()
    assert [cosine.rate(step, 4) for step in range(5)] == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0])
    warm = TrainingConfig(schedule="constant", warmup=0.5)
    assert [warm.rate(step, 8) for step in range(8)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    rates = [TrainingConfig(warmup=0.1).rate(step, 200) for step in range(200)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates.index(max(rates)) == 20
    assert [TrainingConfig(schedule="constant").rate(step, 3) for step in range(3)] == [1, 1, 1]


class Slope(nn.Module):
    """A loss whose gradient is known: -1000, 3 and 0.001."""

    gradient = torch.tensor([-1000.0, 3.0, 0.001])

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def loss(self, _):
        return (self.weight * self.gradient).sum()


@pytest.mark.parametrize(("clip", "expected"), [(5.0, [-5.0, 3.0, 0.001]), (1.0, [-1.0, 1.0, 0.001]), (None, None)])
def test_gradients_are_clipped_element_by_element(clip, expected):
    model = Slope()
    config = TrainingConfig(1, 1, 0.1, "sgd", momentum=0.0, clip=clip, schedule="constant")
    train(model, 1, DATA.__getitem__, config, progress=False)
    wanted = Slope.gradient if expected is None else torch.tensor(expected)
    torch.testing.assert_close(model.weight.detach(), -0.1 * wanted)


def test_optimisers_are_those_named():
    kinds = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}
    model = toy()
    model.layers[0].weight.requires_grad_(False)
    for name, kind in kinds.items():
        optimiser = _optimiser(model, TrainingConfig(optimiser=name, weight_decay=0.25))
        assert type(optimiser) is kind
        assert optimiser.param_groups[0]["weight_decay"] == 0.25
        assert all(parameter is not model.layers[0].weight for parameter in optimiser.param_groups[0]["params"])


def test_every_item_is_seen_once_an_epoch_in_an_order_that_the_seed_decides():
    def orders(seed):
        seen = []

        def batch(indices):
            seen.append(indices)
            return DATA[indices]

        run(toy(), batch=batch, config=TrainingConfig(epochs=2, batch_size=5, seed=seed))
        return torch.cat(seen[:5]).tolist(), torch.cat(seen[5:]).tolist()

    first, second = orders(0)
    assert sorted(first) == sorted(second) == list(range(ITEMS))
    assert first != second
    assert orders(0) == (first, second)
    assert orders(1) != (first, second)


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    run(toy(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    run(toy(), tmp_path)  # the end's state is loaded
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(Killed):
        run(toy(), batch=killed_at(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callers_random_numbers_do_not_matter():
    a, b = toy(), toy()
    torch.manual_seed(1)
    run(a)
    torch.manual_seed(2)
    run(b)
    assert_equal_weights(a, b)
    c = toy()
    run(c, config=TrainingConfig(epochs=4, batch_size=4, learning_rate=0.02, warmup=0.1, seed=4))
    assert not torch.equal(a.layers[0].weight, c.layers[0].weight)


class Constant(nn.Module):
    def __init__(self, value) -> None:
        super().__init__()
        self.weight, self.value = nn.Parameter(torch.zeros(1)), value

    def loss(self, x):
        return self.weight.sum() + self.value


def test_a_plateau_is_named():
    config = TrainingConfig(epochs=1, batch_size=ITEMS, learning_rate=1e-6)
    with pytest.warns(UserWarning, match=r"epoch 1: a plateau: 1\.6 is the loss of a model that tells nothing apart"):
        train(Constant(1.605), ITEMS, DATA.__getitem__, config, plateau=1.6, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(Constant(1.5), ITEMS, DATA.__getitem__, config, plateau=1.6, progress=False)
        train(Constant(1.6), ITEMS, DATA.__getitem__, config, progress=False)


def test_the_seconds_of_an_epoch_are_whole_although_it_was_saved_within(tmp_path):
    def slow(indices):
        time.sleep(0.02)
        return DATA[indices]

    history = run(toy(), tmp_path, slow, TrainingConfig(epochs=2, batch_size=6), save_every=1)
    assert all(entry["seconds"] > 4 * 0.02 for entry in history.epochs)
    assert history.seconds == pytest.approx(sum(entry["seconds"] for entry in history.epochs))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_named(value):
    with pytest.raises(FloatingPointError, match=rf"the loss is {value} at epoch 1, step 1: lower the learning rate"):
        train(Constant(value), ITEMS, DATA.__getitem__, CONFIG, progress=False)


def test_bad_input_is_named_before_work_is_done():
    never = killed_at(1)
    with pytest.raises(ValueError, match="nothing to train on: 0 items"):
        train(toy(), 0, never, CONFIG)
    for missing in ({"validate": None}, {"metric": ""}):
        with pytest.raises(ValueError, match="validate and the name of the metric that decides go together"):
            run(toy(), batch=never, **missing)
    with pytest.raises(ValueError, match=r"patience \(2\) needs validate"):
        run(toy(), batch=never, config=TrainingConfig(patience=2), validate=None, metric="")
    with pytest.raises(ValueError, match=r"validate must give 'recall'.*; it gives error"):
        run(toy(), metric="recall")
    with pytest.raises(ValueError, match="neither 'loss' nor 'seconds'"):
        run(toy(), validate=lambda: {"error": 1.0, "loss": 2.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs and batch_size must be at least 1, got 0 and 100"),
        ({"batch_size": 0}, "epochs and batch_size must be at least 1, got 10 and 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0 and finite, got nan"),
        ({"optimiser": "adamw"}, "optimiser must be .* got 'adamw'"),
        ({"schedule": "linear"}, "schedule must be .* got 'linear'"),
        ({"warmup": 1.0}, "warmup must be at least 0 and below 1, got 1.0"),
        ({"clip": 0.0}, "clip must be above 0, or None, got 0.0"),
        ({"patience": 0}, "patience must be at least 1, or None, got 0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, got 1.0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0, got -0.1"),
    ],
)
def test_bad_choices_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**change)


if __name__ == "__main__":  # the run that is killed: in the second epoch, after four of its six steps, one step unsaved

    def waiting(indices, calls=[]):  # noqa: B006
        calls.append(indices)
        if len(calls) == 6 + 4 + 2:
            print("here", flush=True)
            time.sleep(60)
        return DATA[indices]

    run(toy(), Path(sys.argv[1]), waiting, save_every=2)
