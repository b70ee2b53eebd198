"""The command line, end to end on a few scenes: what it writes, how it fails, that it goes on when it was stopped."""

import argparse
import html
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vsa_lite.checkpoints import load_checkpoint
from vsa_lite.cli import main
from vsa_lite.cli_arguments import ABOUT, command_parser
from vsa_lite.cli_options import check_same_features, load_data, proposer_from, regions_in_words
from vsa_lite.cli_pictures import photograph_features
from vsa_lite.data.scenes import make_scenes
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import load_runs

ROOT = Path(__file__).parent.parent
DATA = "scenes:16,5,5"
COMMON = ["--minimum-count", "2", "--epochs", "1", "--quiet"]

TINY_BACKBONE = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU()))
        self.avgpool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def load(path):
    torch.manual_seed(int(path))
    return Network()


def broken():
    raise AttributeError("no such layer")
"""


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Everything trained for a moment, by the commands themselves."""
    folder = tmp_path_factory.mktemp("work")
    with torch.random.fork_rng():
        cnn = ["--size", 48, "--pictures", 8, "--single-things", 8, "--pretraining-epochs", 1, "--epochs", 1, "--quiet"]
        assert run("train", "region-cnn", DATA, "--out", folder / "cnn.safetensors", *cnn) == 0
        assert run("extract", DATA, folder / "features", *backbone(folder), "--regions", 6, "--quiet") == 0
        assert run("train", "words", DATA, "--out", folder / "words.txt", "--size", 20, *COMMON) == 0
        out = ["--out", folder / "alignment.safetensors", "--words", folder / "words.txt"]
        assert run("train", "alignment", DATA, folder / "features", *out, *COMMON) == 0
        assert (
            run("train", "captions", DATA, folder / "features", "--out", folder / "captions.safetensors", *COMMON) == 0
        )
        out = ["--out", folder / "regions.safetensors", "--alignment", folder / "alignment.safetensors"]
        assert run("train", "region-captions", DATA, folder / "features", *out, "--epochs", 1, "--quiet") == 0
    make_scenes(1, 0, 0)[0].image().save(folder / "scene.png")
    return folder


def backbone(folder: Path) -> list[str]:
    return ["--backbone", f"region-cnn:{folder / 'cnn.safetensors'}"]


@pytest.fixture
def own_backbone(tmp_path):
    path = tmp_path / "networks.py"
    path.write_text(TINY_BACKBONE)
    return f"{path}:load"


# ---- what it understands


COMMANDS = [
    [],
    ["data"],
    ["data", "flickr8k"],
    ["data", "scenes"],
    ["extract"],
    ["train"],
    *(["train", kind] for kind in ("words", "region-cnn", "alignment", "captions", "attention", "region-captions")),
    ["evaluate"],
    ["align"],
    ["caption"],
    ["index"],
    ["search"],
    ["report"],
    ["doctor"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    if command not in ([], ["data"], ["train"]):
        example = printed.split("example:\n")[1].strip()
        parsed = command_parser().parse_args(shlex.split(example)[1:])
        assert parsed.command == command[0]


@pytest.mark.parametrize("command", [["extract", "scenes"], ["train", "nothing"], ["nothing"], []], ids=" ".join)
def test_a_command_that_is_not_understood_gives_2(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2
    assert "usage: vsa-lite" in capsys.readouterr().err


def documented_commands():
    texts = [ABOUT]
    texts += [path.read_text() for path in (ROOT / "README.md", ROOT / "book" / "using.md") if path.exists()]
    texts = [text.replace("\\\n", "") for text in texts]  # a command may go on in the next line
    lines = [line.strip() for text in texts for line in text.splitlines()]
    commands = {line.split("  #")[0].strip() for line in lines if re.match(r"vsa-lite [a-z]+ \S", line)}
    return sorted(commands - {"vsa-lite COMMAND --help"})


@pytest.mark.parametrize("line", documented_commands())
def test_every_documented_command_is_understood(line):
    command_parser().parse_args(shlex.split(line)[1:])


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom vsa_lite.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("module", ["vsa_lite", "vsa_lite.cli"])
def test_it_runs_as_a_module(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("vsa-lite ")


# ---- what it makes


def test_provenance_says_what_was_done_and_where_nothing_lies(work):
    store = FeatureStore(work / "features")
    assert store.provenance["proposals"] == "region CNN"
    assert store.provenance["data_seed"] == 0
    assert store.provenance["size"] == 48
    assert store.provenance["pool_size"] == 3
    assert len(store) == 26
    alignment = load_checkpoint(work / "alignment.safetensors", "alignment")
    assert alignment.provenance["recipe"] == "scenes"
    assert alignment.provenance["training"]["epochs"] == 1
    assert alignment.provenance["features"] == store.provenance
    assert alignment.model.config.word_size == 20
    regions = load_checkpoint(work / "regions.safetensors", "caption")
    assert regions.provenance["beta"] == 1.0
    assert regions.provenance["trained_on"].startswith("regions")
    for path in work.glob("*.safetensors"):
        assert str(work).encode() not in path.read_bytes()
    assert str(work) not in (work / "features" / "store.json").read_text()


def test_mirrored_pictures_and_word_vectors_are_trained_on(work, tmp_path, capsys):
    options = [*backbone(work), "--regions", 6, "--quiet", "--mirror"]
    assert run("extract", DATA, tmp_path / "mirrored", *options) == 0
    assert FeatureStore(tmp_path / "mirrored").provenance["mirrored"] is True
    both = [DATA, work / "features", "--words", work / "words.txt", "--mirrored", tmp_path / "mirrored", *COMMON]
    for kind in ("alignment", "captions"):
        out = tmp_path / f"{kind}.safetensors"
        assert run("train", kind, *both, "--out", out) == 0
        checkpoint = load_checkpoint(out)
        assert checkpoint.provenance["mirrored"] is True
        assert checkpoint.model.config_dict()["word_size" if kind == "alignment" else "embedding_size"] == 20
        assert load_checkpoint(work / f"{kind}.safetensors").provenance["mirrored"] is False
    capsys.readouterr()
    wrong = [*both[:5], work / "features", *COMMON, "--out", tmp_path / "w.safetensors"]
    assert run("train", "captions", *wrong) == 1
    assert "mirrored differ" in capsys.readouterr().err


def test_two_devices_train_one_model(work, tmp_path):
    pytest.importorskip("lightning_fabric", reason="several devices need the extra `scale`")
    out = tmp_path / "captions.safetensors"
    options = ["--batch-size", 10, "--devices", 2, "--threads", 1, *COMMON, "--out", out]
    command = [sys.executable, "-m", "vsa_lite", "train", "captions", DATA, work / "features", *options]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("captions.safetensors: 1 epochs") == 1  # one of both writes and speaks
    assert load_checkpoint(out).metrics["history"][0]["loss"] > 0


def test_what_cannot_be_measured_is_said(work, capsys, monkeypatch):
    from vsa_lite.evaluation import captions

    command = ["evaluate", work / "captions.safetensors", DATA, work / "features"]
    monkeypatch.setattr(captions, "_java_runs", lambda: False)
    assert run(*command) == 0
    printed = capsys.readouterr()
    if captions.find_spec("pycocoevalcap"):
        assert "cider" in printed.out
        assert "no METEOR: it needs Java" in printed.err
    monkeypatch.setattr(captions, "find_spec", lambda name: None)
    assert run(*command) == 0
    printed = capsys.readouterr()
    assert "cider" not in printed.out
    assert "no CIDEr, ROUGE-L and METEOR: pip install 'vsa-lite[metrics]'" in printed.err


def test_a_word_that_the_terminal_cannot_show_stops_nothing(work, tmp_path):
    command = [
        sys.executable,
        "-m",
        "vsa_lite",
        "align",
        work / "scene.png",
        "a \u72d7 dog",
        "--out",
        tmp_path / "a.png",
    ]
    command += ["--model", work / "alignment.safetensors", *backbone(work)]
    surroundings = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, env=surroundings)
    assert done.returncode == 0, done.stderr
    assert "\\u72d7" in done.stdout
    assert (tmp_path / "a.png").exists()


def test_evaluate_prints_and_records_what_the_package_measures(work, tmp_path, capsys):
    from vsa_lite.alignment.pairs import Pairs
    from vsa_lite.evaluation.grounding import evaluate_grounding
    from vsa_lite.pipeline import evaluate_ranking

    results = tmp_path / "mine.json"
    options = ["--grounding", "--record", results, "--name", "best"]
    assert run("evaluate", work / "alignment.safetensors", DATA, work / "features", *options) == 0
    checkpoint = load_checkpoint(work / "alignment.safetensors")
    pairs = Pairs(load_data(DATA).split("test"), FeatureStore(work / "features"), checkpoint.vocabulary)
    expected = evaluate_ranking(checkpoint.model, pairs) | evaluate_grounding(checkpoint.model, pairs)
    (recorded,) = load_runs(results)
    assert recorded["what"] == "best"
    assert recorded["split"] == "test"
    assert recorded["regions"] == "region CNN, best 5 and the whole picture"
    assert recorded["config"]["training"]["epochs"] == 1
    assert recorded["metrics"].pop("minutes") >= 0
    assert recorded["metrics"] == pytest.approx(expected, abs=1e-4)
    printed = capsys.readouterr().out
    for key, value in expected.items():
        assert re.search(rf"^{re.escape(key)} +{value:.1f}$", printed, re.MULTILINE), key


def test_evaluate_captions_with_several_beams(work, tmp_path, capsys):
    results = tmp_path / "mine.json"
    options = ["--beam", 1, 3, "--record", results, "--name", "rnn", "--split", "val"]
    assert run("evaluate", work / "captions.safetensors", DATA, work / "features", *options) == 0
    assert [(run["what"], run["split"]) for run in load_runs(results)] == [
        ("rnn, beam 1", "val"),
        ("rnn, beam 3", "val"),
    ]
    assert all("novel_share" in run["metrics"] for run in load_runs(results))
    assert capsys.readouterr().out.split("\n")[0].split() == ["beam", "1", "beam", "3"]


def test_attention_is_trained_taught_measured_and_writes(work, tmp_path, capsys):
    out, features = tmp_path / "attention.safetensors", work / "features"
    train = ["train", "attention", DATA, features, "--out", out, *COMMON]
    assert run(*train, "--alignment", work / "alignment.safetensors", "--revisions", 1) == 0
    made = load_checkpoint(out, "attention")
    assert made.model.extras["teacher_weight"] == 0.3
    assert made.model.extras["revisions"] == 1
    assert made.provenance["taught"]
    assert run("evaluate", out, DATA, features, "--beam", 2, "--grounding") == 0
    printed = capsys.readouterr().out
    assert re.search(r"^bleu_4 +[\d.]+ +nan$", printed, re.MULTILINE)
    assert re.search(r"^grounding_iou50 +nan +[\d.]+$", printed, re.MULTILINE)
    photo = ["caption", work / "scene.png", "--model", out, *backbone(work), "--out", tmp_path / "c.svg"]
    assert run(*photo, "--beam", 2) == 0
    assert (tmp_path / "c.svg").exists()


def test_both_caption_models_write_about_regions(tmp_path, work, monkeypatch, capsys):
    from vsa_lite.evaluation import region_captions

    # the region CNN of a moment finds nothing well enough
    found = region_captions.region_references
    monkeypatch.setattr(region_captions, "region_references", lambda dataset, store: found(dataset, store, 0.01))
    assert run("evaluate", work / "regions.safetensors", DATA, work / "features") == 0
    assert run("evaluate", work / "captions.safetensors", DATA, work / "features", "--on", "regions") == 0
    assert capsys.readouterr().out.count("bleu_4") == 2


def photograph_options(work: Path, **changes: str | None) -> argparse.Namespace:
    names = ("weights", "mean", "std", "size", "proposals", "fill")
    return argparse.Namespace(**dict.fromkeys(names) | {"backbone": backbone(work)[1]} | changes)


def test_a_photograph_is_seen_as_in_training(work):
    store = FeatureStore(work / "features")
    features, mask, boxes = photograph_features(
        str(work / "scene.png"), photograph_options(work), store.provenance, "the model"
    )
    expected = store.read([make_scenes(1, 0, 0)[0].image_id])
    assert torch.equal(mask, expected[1])
    torch.testing.assert_close(boxes, expected[2], atol=1e-5, rtol=0)
    torch.testing.assert_close(features, expected[0], atol=1e-2, rtol=1e-2)


def test_align_writes_a_picture_or_a_viewer(work, tmp_path, capsys):
    command = ["align", work / "scene.png", "A dog and a zzyzx", "--model", work / "alignment.safetensors"]
    assert run(*command, *backbone(work), "--out", tmp_path / "new" / "a.png") == 0
    assert run(*command, *backbone(work), "--out", tmp_path / "a.html", "--beta", 3) == 0
    assert Image.open(tmp_path / "new" / "a.png").width > 300
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!doctype html>")
    words = re.findall(r'class="vsa-word".*?>(\w+)<', page)
    assert words == ["a", "dog", "and", "a"]
    view = json.loads(html.unescape(re.search(r'data-view="(.+?)"', page).group(1)))
    model = load_checkpoint(work / "alignment.safetensors")
    features, mask, _ = FeatureStore(work / "features").read([0])
    v = model.model.embed_regions(features, mask)[0, mask[0]]
    tokens = torch.tensor([model.vocabulary.encode(words)])
    s = model.model.embed_words(tokens, torch.ones_like(tokens, dtype=torch.bool))[0]
    np.testing.assert_allclose(view["weights"][0], (s @ v.T).detach(), atol=0.02)
    assert "3" in view["betas"]
    printed = capsys.readouterr().out
    assert "left out: zzyzx" in printed
    assert str(tmp_path / "a.html") in printed


@pytest.mark.parametrize("more", ["", "regions", "alignment"])
def test_caption_writes_a_picture(work, tmp_path, more, capsys):
    second = [f"--{more}", work / f"{more}.safetensors"] if more else []
    model = ["--model", work / "captions.safetensors", *second, *backbone(work), "--beam", 2, "--show", 2]
    assert run("caption", work / "scene.png", *model, "--out", tmp_path / "c.svg") == 0
    assert (tmp_path / "c.svg").read_text().rstrip().endswith("</svg>")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(tmp_path / "c.svg")
    assert sum(line.startswith("  region") for line in lines) <= (2 if more == "regions" else 0)


def test_without_out_the_picture_lies_where_one_is(work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("caption", work / "scene.png", "--model", work / "captions.safetensors", *backbone(work)) == 0
    assert (tmp_path / "scene-captioned.png").is_file()


@pytest.fixture(scope="module")
def index(work):
    pytest.importorskip("faiss", reason="needs pip install 'vsa-lite[scale]'")
    options = ["--sentences", DATA, "--kind", "codewords30", "--quiet"]
    assert run("index", work / "alignment.safetensors", work / "features", work / "index", *options) == 0
    return work / "index"


def test_search_finds_what_the_ranking_finds_and_shows_it(work, index, tmp_path, capsys):
    from vsa_lite.alignment.pairs import Pairs
    from vsa_lite.evaluation.ranking import score_all
    from vsa_lite.pipeline import embed_pictures, embed_sentences

    checkpoint = load_checkpoint(work / "alignment.safetensors", "alignment")
    dataset = load_data(DATA)
    pairs = Pairs(dataset, FeatureStore(work / "features"), checkpoint.vocabulary)
    words = embed_sentences(checkpoint.model, [checkpoint.vocabulary.encode(["a", "dog"])])
    scores = score_all(*embed_pictures(checkpoint.model, pairs), *words)[:, 0]
    search = ["search", index, "A dog, zzyzx", "-k", 3, "--data", DATA]
    for options in ([], ["--exact"], ["--candidates", 26]):
        assert run(*search, *options) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "not known to the model, left out: zzyzx"
        found = [line.split() for line in lines[1:]]
        assert [float(score) for score, *_ in found] == pytest.approx(scores.topk(3).values.tolist(), abs=2e-3)
        assert [dataset.by_id(int(image_id)).name for _, image_id, _ in found] == [name for *_, name in found]
    assert run(*search, "--out", tmp_path / "new" / "found.html") == 0
    assert (tmp_path / "new" / "found.html").read_text().count("<figcaption>") == 3
    assert run(*search, "--out", tmp_path / "found.png") == 0
    assert Image.open(tmp_path / "found.png").width > 300
    assert run(*search[:5]) == 0
    assert len(capsys.readouterr().out.splitlines()[-1].split()) == 2  # without DATA no names


def test_an_index_goes_on_and_keeps_its_model(work, index, tmp_path, monkeypatch, capsys):
    from vsa_lite.regions.store import StoreWriter

    command = ["index", work / "alignment.safetensors", work / "features", tmp_path / "i", "--quiet"]
    command += ["--batch-size", 5]
    monkeypatch.setattr(StoreWriter, "write", stop_at(3, StoreWriter.write))
    assert run(*command) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert run("search", tmp_path / "i", "a dog") == 1
    assert "unfinished: index again" in capsys.readouterr().err
    assert run(*command) == 0
    assert "26 pictures, vectors of size 256, candidates by codewords256" in capsys.readouterr().out
    assert (tmp_path / "i" / "alignment.safetensors").read_bytes() == command[1].read_bytes()
    search = ["a dog", "-k", 3, "--candidates", 20]
    assert run("search", tmp_path / "i", *search) == run("search", index, *search) == 0
    first, second = np.array_split(capsys.readouterr().out.splitlines(), 2)
    assert first.tolist() == second.tolist()


def test_what_is_wrong_with_a_search_is_one_line(work, index, tmp_path, capsys):
    search = ["search", index, "a dog"]
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "index.json").write_text("{")
    for command, message in (
        (["search", tmp_path / "gone", "a dog"], "gone is not there; `vsa-lite index` makes one"),
        (["search", tmp_path / "torn", "a dog"], "index.json is damaged"),
        ([*search[:2], "zzyzx"], "none of the words of 'zzyzx' is known"),
        ([*search, "-k", 0], "k must be at least 1, got 0"),
        ([*search, "-k", 9, "--candidates", 8], "candidates must be at least k, 9, got 8"),
        ([*search, "--out", "a.png"], "give their data set as --data"),
        ([*search, "--data", DATA, "--out", "a.docx"], "--out must end in .html, .png, .svg, .pdf"),
        ([*search, "--data", DATA, "--data-seed", 4], "is of scenes of seed 0: give --data-seed 0"),
        ([*search, "--data", flickr_folder(tmp_path / "flickr")], "is of pictures of 'scenes', not of"),
        (["index", work / "captions.safetensors", work / "features", tmp_path / "i"], "wanted 'alignment'"),
        (["index", work / "alignment.safetensors", tmp_path / "gone", tmp_path / "i"], "no feature store at"),
        (["index", work / "alignment.safetensors", work / "features", index, "--kind", "Magic"], "index 'Magic'"),
        (["index", work / "alignment.safetensors", work / "features", index, "--probes", 0], "probes must be at least"),
    ):
        assert run(*command, "--quiet") == 1, command
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith("vsa-lite: error: ")
        assert message in error
        assert "fault of this program" not in error


def test_any_backbone_with_its_own_transform(own_backbone, tmp_path):
    options = ["--backbone", own_backbone, "--weights", 3, "--mean", 0.5, "--std", "0.5,0.4,0.3", "--size", 24]
    options += ["--regions", 4, "--map-size", 32, "--pool-size", 2, "--quiet", "--limit", 2, "--batch-size", 3]
    assert run("extract", "scenes:5,1,3", tmp_path / "f", *options) == 0
    store = FeatureStore(tmp_path / "f")
    assert store.provenance["transform"] == {"size": 24, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.4, 0.3]}
    assert store.provenance["backbone"] == "networks:load"
    assert store.provenance["proposals"] == "windows"
    assert (store.provenance["size"], store.provenance["pool_size"]) == (32, 2)
    assert store.image_ids.tolist() == [0, 1, 10_000_000, 20_000_000, 20_000_001]


def test_data_scenes_is_a_page_to_look_at(tmp_path):
    assert run("data", "scenes", "--out", tmp_path / "s", "--count", 2, "--data-seed", 4) == 0
    page = (tmp_path / "s" / "index.html").read_text()
    names = re.findall(r'src="(.+?)"', page)
    assert len(names) == 2
    for name, record in zip(names, make_scenes(2, 0, 0, seed=4), strict=True):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "s" / name)), np.asarray(record.image()))
        assert all(f"<li>{sentence.raw}</li>" in page for sentence in record.sentences)


def flickr_folder(root: Path) -> Path:
    (root / "images").mkdir(parents=True)
    images = []
    for number, split in enumerate(("train", "val", "test")):
        Image.new("RGB", (20, 20), (80 * number, 9, 9)).save(root / "images" / f"{number}.jpg")
        images.append({"filename": f"{number}.jpg", "imgid": number, "split": split, "sentences": [{"raw": "A dog."}]})
    (root / "dataset.json").write_text(json.dumps({"images": images, "dataset": "mine"}))
    return root


def test_data_flickr8k_says_where_it_is(tmp_path, monkeypatch, capsys):
    root = flickr_folder(tmp_path / "flickr8k")
    monkeypatch.setattr("vsa_lite.data.downloads.fetch_flickr8k", lambda folder, progress: Path(folder) / "flickr8k")
    assert run("data", "flickr8k", "--out", tmp_path) == 0
    assert str(root) in capsys.readouterr().out
    # both the folder that was asked for and the one in it are understood
    assert len(load_data(str(tmp_path))) == len(load_data(str(root))) == 3


def test_data_of_every_kind(tmp_path):
    root = flickr_folder(tmp_path)
    assert load_data(f"karpathy:{root / 'dataset.json'},{root / 'images'}").name == "mine"
    assert [len(load_data("scenes:3,2,1").split(split)) for split in ("train", "val", "test")] == [3, 2, 1]
    assert load_data("scenes:1,0,0", seed=1)[0].sentences != load_data("scenes:1,0,0")[0].sentences
    image = {"id": 7, "file_name": "0.jpg", "width": 20, "height": 20}
    box = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [2, 2, 8, 8], "area": 64, "iscrowd": 0}
    instances = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "dog"}]}
    caption = {"id": 1, "image_id": 7, "caption": "a dog"}
    captions = {"images": [image], "annotations": [caption]}
    paths = [tmp_path / "instances.json", tmp_path / "captions.json", root / "images"]
    for path, content in zip(paths, (instances, captions), strict=False):
        path.write_text(json.dumps(content))
    coco = "coco:" + ",".join(map(str, paths))
    assert load_data(coco)[0].split == "val"
    assert load_data(f"{coco},test")[0].sentences[0].phrases[0].boxes == (0,)


def test_regions_in_words():
    features = {"proposals": "windows", "shape": [10, 20, 5]}
    assert regions_in_words(features, None) == "windows, best 19 and the whole picture"
    assert regions_in_words(features, 5) == "windows, best 4 and the whole picture"
    assert regions_in_words(features, 1) == "whole picture only"


def test_proposers_by_name(work, tmp_path):
    found, words, digest = proposer_from(f"region-cnn:{work / 'cnn.safetensors'}", 3)
    assert (len(found(Image.open(work / "scene.png"))) <= 3, words, len(digest)) == (True, "region CNN", 16)
    boxes = np.array([[[0.1, 0.1, 0.5, 0.5]]], np.float32)
    arrays = {"boxes": boxes, "scores": np.ones((1, 1)), "classes": np.zeros((1, 1), int), "class_names": ["dog"]}
    np.savez(tmp_path / "d.npz", filenames=["a.png"], **arrays)
    found, words, digest = proposer_from(f"detections:{tmp_path / 'd.npz'}", 19)
    assert found(Image.new("RGB", (50, 50)), "a.png").boxes.tolist() == boxes[0].tolist()
    assert words == "detections of d.npz"


def test_features_of_another_kind_are_named():
    wanted = {"backbone": "a", "weights": "1", "transform": {"mean": (0.5,)}, "method": "crop"}
    check_same_features(json.loads(json.dumps(wanted)) | {"dataset": "other"}, wanted, "here", "there")
    for key, value in {"weights": "2", "transform": {"mean": [0.4]}, "method": "align", "size": 3}.items():
        with pytest.raises(ValueError, match=f"^here and the features that there was trained on differ: {key} is"):
            check_same_features(wanted | {key: value}, wanted, "here", "there")


# ---- stopped and started again


def stop_at(number: int, function):
    """The function, but Ctrl-C is pressed when it is called for the n-th time."""
    calls = []

    def stopping(*arguments, **options):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return stopping


def test_a_training_that_was_stopped_goes_on(work, tmp_path, monkeypatch, capsys):
    import vsa_lite.pipeline

    command = ["train", "captions", DATA, work / "features", "--minimum-count", 2, "--epochs", 3, "--quiet", "--out"]
    assert run(*command, tmp_path / "whole.safetensors") == 0
    with monkeypatch.context() as patch:
        patch.setattr(vsa_lite.pipeline, "perplexity", stop_at(2, vsa_lite.pipeline.perplexity))
        assert run(*command, tmp_path / "stopped.safetensors") == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not (tmp_path / "stopped.safetensors").exists()
    assert run(*command, tmp_path / "stopped.safetensors") == 0
    whole, resumed = (load_checkpoint(tmp_path / f"{name}.safetensors") for name in ("whole", "stopped"))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    # with other options the state is of no use, and --restart throws it away
    again = [*command, tmp_path / "stopped.safetensors", "--learning-rate", 0.0001]
    assert run(*again) == 1
    assert run(*again, "--restart") == 0


def test_an_extraction_that_was_stopped_goes_on(work, tmp_path, monkeypatch, capsys):
    from vsa_lite.regions.store import StoreWriter

    command = ["extract", DATA, tmp_path / "f", *backbone(work), "--regions", 6, "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write", stop_at(3, StoreWriter.write))
        assert run(*command) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert run(*command) == 0
    assert np.array_equal(FeatureStore(tmp_path / "f").features, FeatureStore(work / "features").features)


def test_a_step_that_starts_anew_says_so(tmp_path, monkeypatch, capsys):
    import vsa_lite.cli_train

    monkeypatch.setattr(vsa_lite.cli_train, "train_word2vec", stop_at(1, None))
    assert run("train", "words", DATA, "--out", tmp_path / "w.txt", "--quiet") == 130
    assert "nothing was written" in capsys.readouterr().err


# ---- what goes wrong


def failing_commands(work: Path, folder: Path, own: str) -> dict[str, tuple[list, str]]:
    features, alignment, captions = (
        work / name for name in ("features", "alignment.safetensors", "captions.safetensors")
    )
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    (folder / "torn.safetensors").write_bytes(alignment.read_bytes()[:-9])
    (folder / "odd.state").mkdir()
    (folder / "odd.state" / "letter.txt").write_text("keep me")
    align = ["align", work / "scene.png", "a dog", "--model", alignment]
    train = ["train", "alignment", DATA, features, "--out", folder / "x.safetensors"]
    extract = ["extract", DATA, folder / "f", "--quiet"]
    evaluate = ["evaluate", alignment, DATA, features]
    return {
        "data that is not there": (["train", "words", "nowhere", "--out", folder / "w"], "no data called 'nowhere'"),
        "two numbers of scenes": (
            ["train", "words", "scenes:1,2", "--out", folder / "w"],
            "scenes takes three numbers",
        ),
        "words as numbers": (["train", "words", "scenes:a,b,c", "--out", folder / "w"], "got 'scenes:a,b,c'"),
        "one part of karpathy": (["train", "words", "karpathy:a", "--out", folder / "w"], "karpathy:JSON,IMAGES"),
        "a missing json": (["train", "words", "karpathy:a,b", "--out", folder / "w"], "no data set file at a"),
        "two parts of coco": (["train", "words", "coco:a,b", "--out", folder / "w"], "coco:INSTANCES,CAPTIONS"),
        "negative seed": (["train", "words", DATA, "--data-seed", -1, "--out", folder / "w"], "seed must be 0 or more"),
        "no epochs": (
            ["train", "words", DATA, "--epochs", 0, "--out", folder / "w"],
            "epochs must be at least 1, got 0",
        ),
        "no threads": (["train", "words", DATA, "--threads", 0, "--out", folder / "w"], "--threads must be at least 1"),
        "a CNN without boxes": (
            ["train", "region-cnn", flickr_folder(folder / "flickr"), "--out", folder / "c"],
            "a region CNN learns from boxes",
        ),
        "no pictures": (["train", "region-cnn", DATA, "--pictures", 0, "--out", folder / "c"], "--pictures must be at"),
        "no backbone": ([*extract, "--backbone", "resnet5000"], "no classifier 'resnet5000'"),
        "no weights": ([*extract, "--backbone", "resnet18"], "resnet18 needs weights"),
        "no weights file": ([*extract, "--backbone", "resnet18", "--weights", "gone.pth"], "no weights 'gone.pth'"),
        "no region CNN": ([*extract, "--backbone", "region-cnn:gone"], "no region CNN at gone"),
        "not a region CNN": ([*extract, "--backbone", f"region-cnn:{alignment}"], "does not hold a region CNN"),
        "transform twice": ([*extract, *backbone(work), "--mean", 0.5], "leave --weights, --mean, ... out"),
        "two means": (
            [*extract, "--backbone", own, "--weights", 1, "--mean", "1,2"],
            "--mean must be one number or three",
        ),
        "no argument": ([*extract, "--backbone", own], "TypeError"),
        "a broken function": ([*extract, "--backbone", own.replace("load", "broken")], "no such layer"),
        "proposals": ([*extract, *backbone(work), "--proposals", "magic"], "--proposals must be windows"),
        "no detections": (
            [*extract, *backbone(work), "--proposals", "detections:gone.npz"],
            "no detections file at gone",
        ),
        "no detector": ([*extract, *backbone(work), "--proposals", "detector:yolo"], "no detector 'yolo'"),
        "map size": ([*extract, *backbone(work), "--map-size", 0], "--map-size must be at least 1, got 0"),
        "limit": ([*extract, *backbone(work), "--limit", 0], "--limit must be at least 1, got 0"),
        "regions": ([*extract, *backbone(work), "--regions", 0], "--regions must be at least 1, got 0"),
        "shard": ([*extract, *backbone(work), "--shard", "2"], "--shard must be such as 2/8"),
        "a shard of none": ([*extract, *backbone(work), "--shard", "3/2"], "k from 1 to n"),
        "device": ([*extract, *backbone(work), "--device", "abacus"], "--device abacus: not here"),
        "device of a training": ([*train, "--device", "cuda:99"], "--device cuda:99: not here"),
        "other features there": (
            ["extract", DATA, features, *backbone(work), "--regions", 6, "--proposals", "windows"],
            "already holds features made from something else",
        ),
        "no features": (["train", "captions", DATA, folder / "gone", "--out", folder / "c"], "no feature store at"),
        "other seed": ([*train, "--data-seed", 5], "give --data-seed 0"),
        "other data": (
            ["train", "captions", folder / "flickr", features, "--out", folder / "c", "--minimum-count", 1],
            "features of 'scenes'",
        ),
        "no devices": ([*train, "--devices", 0], "--devices and --nodes must be at least 1, got 0 and 1"),
        "no words": ([*train, "--words", "gone.txt"], "no file of word vectors at gone.txt"),
        "a lesson without a teacher": (
            ["train", "attention", DATA, features, "--out", folder / "t", "--teacher-weight", 1],
            "--teacher-weight without a teacher: give --alignment",
        ),
        "learning rate": ([*train, "--learning-rate", 0], "learning_rate must be above 0 and finite, got 0.0"),
        "out is a folder": ([*train[:-1], folder], "--out must be a file"),
        "a state that is none": ([*train[:-1], folder / "odd", "--restart"], "holds more than a training state"),
        "no checkpoint": (["evaluate", folder / "gone", DATA, features], "no checkpoint at"),
        "a torn checkpoint": (["evaluate", folder / "torn.safetensors", DATA, features], "torn.safetensors"),
        "no such split": ([*evaluate[:2], "scenes:16,5,0", features], "no record in the split 'test'"),
        "no boxes": (
            ["train", "region-captions", DATA, features, "--alignment", captions, "--out", folder / "r"],
            "wanted",
        ),
        "beam": (["evaluate", captions, DATA, features, "--beam", 0], "beam_size must be"),
        "an option of captions": ([*evaluate, "--beam", 3], "--beam means nothing for a model of the kind 'alignment'"),
        "an option of grounding": ([*evaluate, "--beta", 1], "--beta without --grounding means nothing"),
        "grounding of captions": (["evaluate", captions, DATA, features, "--grounding"], "--grounding means nothing"),
        "words into a folder": (["train", "words", DATA, "--out", folder], "--out must be a file"),
        "region CNN into a folder": (["train", "region-cnn", DATA, "--out", folder], "--out must be a file"),
        "below a file": ([*train[:-1], folder / "torn.jpg" / "x"], "which is a file and no folder"),
        "name without record": ([*evaluate, "--name", "best"], "--record and --name go together"),
        "no photo": (["align", "gone.jpg", "a dog", "--model", alignment, *backbone(work)], "no picture at gone.jpg"),
        "a torn photo": (["align", folder / "torn.jpg", "a dog", "--model", alignment, *backbone(work)], "torn.jpg"),
        "no sentence": ([*align[:2], " ", *align[3:], *backbone(work)], "none of the words of ' ' is known"),
        "other kind": ([*align[:-1], captions, *backbone(work)], "kind 'caption', wanted 'alignment'"),
        "other backbone": (
            [*align, "--backbone", own, "--weights", 1],
            "backbone is networks:load, in training it was",
        ),
        "beta": ([*align, *backbone(work), "--beta", -1], "beta must be at least 0"),
        "kind of file": ([*align, *backbone(work), "--out", "a.docx"], "--out must end in .png, .svg, .pdf, .html"),
        "region model as model": (
            ["caption", work / "scene.png", "--model", work / "regions.safetensors", *backbone(work)],
            "writes about regions",
        ),
        "show": (
            ["caption", work / "scene.png", "--model", captions, *backbone(work), "--show", 0],
            "--show must be at",
        ),
        "no results": (["report", "--results", folder / "gone"], "no folder of results at"),
    }


def test_every_error_is_one_line_that_names_the_thing(work, tmp_path, own_backbone, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for name, (command, message) in failing_commands(work, tmp_path, own_backbone).items():
        code, error = run(*command), capsys.readouterr().err
        lines = [line for line in error.splitlines() if not line.startswith("vsa-lite: note:")]
        good = code == 1 and len(lines) == 1 and lines[0].startswith("vsa-lite: error: ") and message in lines[0]
        if not good or "fault of this program" in error:
            wrong.append((name, code, error))
    assert not wrong


def test_debug_shows_where(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run("train", "words", "nowhere", "--out", tmp_path / "w", "--debug")


def test_a_fault_of_the_program_is_told_from_one_of_the_user(tmp_path, monkeypatch, capsys):
    import vsa_lite.cli_train

    def broken(*_, **__):
        raise TypeError("three\nlines\nof text")

    monkeypatch.setattr(vsa_lite.cli_train, "train_word2vec", broken)
    assert run("train", "words", DATA, "--out", tmp_path / "w") == 1
    expected = "vsa-lite: error: three lines of text (TypeError: a fault of this program; --debug shows where)\n"
    assert capsys.readouterr().err == expected


def test_a_warning_is_a_note(work, capsys):
    data = DATA.replace("5,5", "5,6")  # one more than the features have
    assert run("evaluate", work / "alignment.safetensors", data, work / "features") == 0
    error = capsys.readouterr().err
    assert error.startswith("vsa-lite: note: left out 1 pictures without features")
    assert error.count("\n") == 1


# ---- the whole pipeline as an experiment


@pytest.fixture
def experiment():
    spec = importlib.util.spec_from_file_location("pipeline", ROOT / "experiments" / "flickr8k_pipeline.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stage_of_the_experiment_is_understood(experiment):
    for limit, epochs in ((None, None), (5, 1)):
        stages = experiment.stages(Path("data"), Path("work"), limit, epochs, "cuda")
        assert experiment.stages(Path("data"), Path("work"), limit, epochs).keys() == stages.keys()
        parsed = {name: command_parser().parse_args([*command, "--threads", "2"]) for name, command in stages.items()}
        assert parsed["extract features"].limit == limit
        assert parsed["train captions"].epochs == epochs
        assert {name for name, stage in parsed.items() if getattr(stage, "device", "") != "cuda"} == {
            "train word vectors"
        }
        assert next(iter(parsed)) == "extract features"


@pytest.mark.skipif(sys.platform == "win32", reason="memory of a child cannot be asked for there")
def test_a_stage_of_the_experiment_is_measured_and_not_run_twice(experiment, tmp_path, capsys):
    path = tmp_path / "times.json"
    entry = experiment.run_stage("version", ["--version"], path)
    assert entry["done"]
    assert entry["seconds"] > 0
    assert (
        0.001 < entry["peak_memory_gb"] < 20
    )  # in GB; a child starts with the size of its parent, this test's process
    assert experiment.run_stage("version", ["--version"], path) == entry
    assert "done before" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="another command"):
        experiment.run_stage("version", ["--help"], path)
    for _ in range(2):  # an unfinished stage adds up
        before = json.loads(path.read_text()).get("bad", {"seconds": 0})["seconds"]
        with pytest.raises(SystemExit, match="exit code 2; the same command goes on"):
            experiment.run_stage("bad", ["nothing"], path)
        after = json.loads(path.read_text())["bad"]
        assert after["seconds"] > before
        assert not after["done"]
