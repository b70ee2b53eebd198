"""The whole pipeline on real photographs, stage by stage as one would type it: how long it takes, how much memory.

    python experiments/flickr8k_pipeline.py --work runs/pipeline --threads 2

Data from VSA_LITE_DATA (or --data): a folder with flickr8k/ and models/. Every stage is a command of its own
(`python -m vsa_lite ...`). Stopped, the same command goes on: a finished stage's time is kept in the work folder, an
unfinished one resumes and its time adds up. Writes results/flickr8k_pipeline.json, one run a stage and one for "all";
with --limit or --epochs it is only a try, and nothing is recorded. Memory is the largest resident size of a stage,
pages of memory-mapped features included. With --device cuda all but the word vectors runs on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from vsa_lite.cli_options import regions_in_words
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import record_run

RESULTS = Path(__file__).parent.parent / "results" / "flickr8k_pipeline.json"


def stages(data: Path, work: Path, limit: int | None, epochs: int | None, device: str = "cpu") -> dict[str, list[str]]:
    """The command of each stage, in order, without `python -m vsa_lite`."""
    photographs, models, features = str(data / "flickr8k"), data / "models", str(work / "features")
    out = {name: str(work / f"{name}.safetensors") for name in ("alignment", "captions")}
    few = [] if epochs is None else ["--epochs", str(epochs)]
    backbone = ["--backbone", f"{models / 'mobilenet_v2_tf.py'}:load"]
    backbone += ["--weights", str(models / "mobilenet_v2_tf2_imagenet.pt"), "--mean", "0.5", "--std", "0.5"]
    backbone += ["--size", "320", "--map-size", "320", "--pool-size", "4", "--batch-size", "8"]
    proposals = ["--proposals", f"detections:{data / 'flickr8k' / 'detections.npz'}", "--fill", "windows"]
    some = [] if limit is None else ["--limit", str(limit)]
    words = str(work / "words.txt")
    training = [photographs, features]
    commands = {
        "extract features": ["extract", photographs, features, *backbone, *proposals, *some],
        "train word vectors": ["train", "words", photographs, "--out", words, *few],
        "train alignment": ["train", "alignment", *training, "--words", words, "--out", out["alignment"], *few],
        "evaluate alignment": ["evaluate", out["alignment"], *training],
        "train captions": ["train", "captions", *training, "--out", out["captions"], *few],
        "evaluate captions": ["evaluate", out["captions"], *training, "--beam", "1", "7"],
    }
    if device != "cpu":
        for name in commands.keys() - {"train word vectors"}:
            commands[name] += ["--device", device]
    return commands


def measure(command: list[str]) -> tuple[int, float, float]:
    """Run a command; its exit code, seconds, and largest resident memory in GB."""
    started = time.perf_counter()
    if not hasattr(os, "wait4"):
        sys.exit("this measurement needs Linux or macOS: Windows does not tell the memory of a child that has ended")
    process = subprocess.Popen(command)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except KeyboardInterrupt:  # the child was stopped too, and says so
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    size = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes elsewhere
    return process.returncode, time.perf_counter() - started, size / 1e9


def run_stage(name: str, command: list[str], path: Path) -> dict:
    """Run a stage unless it is finished; its entry in the file of times."""
    times = json.loads(path.read_text()) if path.exists() else {}
    entry = times.setdefault(name, {"command": command, "seconds": 0.0, "peak_memory_gb": 0.0, "done": False})
    if entry["command"] != command:
        sys.exit(f"{path.parent} holds {name!r} of another command; use another --work folder")
    if entry["done"]:
        print(f"{name}: done before, in {entry['seconds'] / 60:.1f} minutes", flush=True)
        return entry
    print(f"{name}: vsa-lite {' '.join(command)}", flush=True)
    code, seconds, memory = measure([sys.executable, "-m", "vsa_lite", *command])
    entry["seconds"] += seconds
    entry["peak_memory_gb"], entry["done"] = max(entry["peak_memory_gb"], memory), code == 0
    path.write_text(json.dumps(times, indent=1) + "\n")
    if code:
        sys.exit(f"{name} ended with exit code {code}; the same command goes on from here")
    print(f"{name}: {entry['seconds'] / 60:.1f} minutes, {entry['peak_memory_gb']:.1f} GB", flush=True)
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with flickr8k/ and models/ (default: VSA_LITE_DATA)")
    parser.add_argument("--work", type=Path, required=True, help="folder for features, models and times")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=int, help="a try: the first so many pictures of each split")
    parser.add_argument("--epochs", type=int, help="a try: so many epochs of everything")
    arguments = parser.parse_args()
    data = arguments.data or Path(os.environ.get("VSA_LITE_DATA", ""))
    if not (data / "flickr8k").is_dir():
        sys.exit(f"no flickr8k/ in {str(data)!r}: set VSA_LITE_DATA or give --data")
    torch.set_num_threads(arguments.threads)  # for the record: what the stages use
    arguments.work.mkdir(parents=True, exist_ok=True)
    commands = stages(data, arguments.work, arguments.limit, arguments.epochs, arguments.device)
    times = {
        name: run_stage(name, [*command, "--threads", str(arguments.threads)], arguments.work / "times.json")
        for name, command in commands.items()
    }
    times["all"] = {
        "seconds": sum(entry["seconds"] for entry in times.values()),
        "peak_memory_gb": max(entry["peak_memory_gb"] for entry in times.values()),
    }
    print(f"all: {times['all']['seconds'] / 60:.1f} minutes, {times['all']['peak_memory_gb']:.1f} GB")
    if arguments.limit is not None or arguments.epochs is not None:
        return
    features = FeatureStore(arguments.work / "features").provenance
    for name, entry in times.items():
        record_run(
            RESULTS,
            what=name if arguments.device == "cpu" else f"{name}, on {arguments.device}",
            dataset="flickr8k",
            split="test" if name.startswith("evaluate") else "train",
            backbone=features["backbone"],
            regions=regions_in_words(features, None),
            config={"threads": arguments.threads, "device": arguments.device},
            seed=0,
            metrics={"minutes": entry["seconds"] / 60, "peak_memory_gb": entry["peak_memory_gb"]},
            seconds=entry["seconds"],
        )


if __name__ == "__main__":
    main()
