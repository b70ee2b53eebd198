"""Two processes do what one does: the same loss, gradients and weights from the same batches."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vsa_lite.distributed import gather_rows, pad_to_longest, processes, share_of_all

pytest.importorskip("lightning_fabric", reason="several processes need the extra `scale`")
ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "two_processes.py"


def run(*command):
    done = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    run("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, SCRIPT, folder, "together")
    run(SCRIPT, folder)
    return [torch.load(folder / f"{name}.pt", weights_only=True) for name in ("alone", "together")]


@pytest.mark.parametrize("name", ["structured", "eq. 7", "hardest", "contrastive", "captions", "attention"])
def test_two_processes_equal_one(results, name):
    alone, together = (result[name] for result in results)
    torch.testing.assert_close(together["loss"], alone["loss"])
    assert together["gradients"].keys() == alone["gradients"].keys()
    for key, gradient in alone["gradients"].items():
        rounding = 1e-5 * float(gradient.abs().max())
        torch.testing.assert_close(together["gradients"][key], gradient, atol=rounding, rtol=1e-4, msg=key)
    assert any(gradient.abs().max() > 1e-3 for gradient in alone["gradients"].values())
    for key, weight in alone["weights"].items():
        torch.testing.assert_close(together["weights"][key], weight, atol=1e-4, rtol=1e-3, msg=key)
    losses = [[epoch["loss"] for epoch in result["losses"]] for result in (together, alone)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_one_process_gathers_nothing():
    x = torch.ones(2, 3, requires_grad=True)
    assert processes() == 1
    assert gather_rows(x) is x
    assert pad_to_longest(x) is x
    assert share_of_all(torch.tensor(5)) == 1
