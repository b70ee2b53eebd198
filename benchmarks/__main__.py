"""Everything, with one command.

    python -m benchmarks                                  # two cores, about ten minutes
    python -m benchmarks --device cuda                    # what makes sense on a GPU, fp32 and bf16
    python -m benchmarks --only ranking chain --quick     # do these run at all?

Every row goes into results/benchmarks.json as soon as it is measured. With --quick the sizes are the smallest, the
figures mean nothing, and nothing is recorded unless --out names a file.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

import torch

from benchmarks.harness import Settings, load
from benchmarks.record import lines, record
from vsa_lite.results import hardware

RESULTS = Path(__file__).parent.parent / "results" / "benchmarks.json"
SUBJECTS = ("ranking", "alignment", "brnn", "captioner", "beam", "chain", "features", "word2vec", "scenes", "importing")
ON_GPU = ("ranking", "alignment", "brnn", "captioner", "beam", "chain")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--only", nargs="+", choices=(*SUBJECTS, "book"), metavar="NAME", help=f"of {', '.join(SUBJECTS)}, book"
    )
    parser.add_argument("--quick", action="store_true", help="smallest sizes, two rounds")
    parser.add_argument("--out", type=Path, help=f"results file (default: {RESULTS.name}; none with --quick)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--neuraltalk", type=Path, metavar="FOLDER", help="a checkout of karpathy/neuraltalk, run beside"
    )
    parser.add_argument("--gensim", action="store_true", help="gensim's word2vec beside ours; it must be installed")
    parser.add_argument("--no-compile", action="store_true", help="on a GPU: leave torch.compile out")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here that PyTorch can use")
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)  # as in training: denormals crawl on CPUs
    out = chosen.out or (None if chosen.quick else RESULTS)
    names = chosen.only or (ON_GPU if chosen.device == "cuda" else SUBJECTS)
    cuda = chosen.device == "cuda"
    settings = Settings(
        chosen.device,
        chosen.quick,
        seconds=2.0 if cuda else 10.0,
        neuraltalk=chosen.neuraltalk,
        gensim=chosen.gensim,
    )
    print(f"{hardware()}; PyTorch {torch.__version__}; load {load():.1f}", flush=True)
    passes = [settings] + ([Settings(**{**vars(settings), "compiled": True})] if cuda and not chosen.no_compile else [])
    for this in passes:
        for name in names:
            measure = importlib.import_module(f"benchmarks.{name}").measure
            started = time.perf_counter()
            for row in measure(this):
                seconds = time.perf_counter() - started
                print("\n".join(lines(row)), f"    ({seconds:.1f} s)", sep="\n", flush=True)
                if out is not None:
                    record(out, row, this, seconds)
                started = time.perf_counter()


if __name__ == "__main__":
    main()
