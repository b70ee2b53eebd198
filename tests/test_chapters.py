"""Chapters stay in step with the package: what they import is there, what they define works, nothing litters a page.

They are executed by the book's strict build, not here. Their first cell and their outputs: `test_repository`.
"""

import ast
import importlib
import inspect
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
MAKERS = {"subplots", "show_alignment", "show_regions", "show_captions", "training_curve", "recall_bars"}
FORMATTERS = ("sphinx", "myst_nb", "myst_parser", "jupyter_book", "docutils")  # Colab has none of them
each_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def sources(path, kind):
    return ["".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == kind]


def code(path):
    """All code cells as one module; lines that only IPython reads (%pip) do nothing."""
    return ast.parse("\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", cell, flags=re.M) for cell in sources(path, "code")))


def imports(tree):
    """(module, name) of everything imported; name is None for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)


def imported(tree):
    """What the names that a chapter takes from the package stand for."""
    found = {}
    for module, name in imports(tree):
        if name and module.split(".")[0] == "vsa_lite":
            found[name] = getattr(importlib.import_module(module), name)
    return found


def definitions(path, *names):
    """Functions of a chapter, lifted out of their cells, with what the chapter imports."""
    tree = code(path)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    module = ast.Module([functions[name] for name in names], [])
    space = {**imported(tree)}
    exec(compile(module, path.name, "exec"), space)
    return space


@each_chapter
def test_a_chapter_runs_on_any_python_3_and_on_colab(path):
    assert read(path)["metadata"]["kernelspec"]["name"] == "python3"
    foreign = [module for module, _ in imports(code(path)) if module.split(".")[0] in FORMATTERS]
    assert not foreign, f"Colab has no {foreign}"


@each_chapter
def test_what_a_chapter_imports_and_links_to_is_there(path):
    imported(code(path))  # AttributeError, ModuleNotFoundError: a name has vanished from the package
    prose = "\n".join(sources(path, "markdown"))
    for module in re.findall(r"\]\(#(vsa_lite[\w.]*)\)", prose):
        importlib.import_module(module)
    for target in re.findall(r"\]\((\.\.?/[^)#]+)", prose):
        assert (path.parent / target).is_file(), f"{target} is not there"


@each_chapter
def test_no_progress_bar_litters_a_page(path):
    tree = code(path)
    names = imported(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = names.get(getattr(call.func, "id", ""))
        parameter = function and inspect.signature(function).parameters.get("progress")
        if not parameter or parameter.default is None:  # no bar unless it is asked for
            continue
        quiet = [word for word in call.keywords if word.arg == "progress" and ast.unparse(word.value) == "False"]
        assert quiet, f"line {call.lineno}: {call.func.id} needs progress=False"


@each_chapter
def test_cells_are_short_and_every_picture_is_described(path):
    for cell in sources(path, "code"):
        assert len(cell.splitlines()) <= 30, f"a long cell: {cell.splitlines()[0]}"
    for call in (node for node in ast.walk(code(path)) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", "") in ("subplots", "AlignmentViewer"):
            assert any(word.arg == "alt" for word in call.keywords), f"line {call.lineno}: no text alternative"
    for text in sources(path, "markdown"):
        assert not re.search(r"!\[\]\(", text), "a picture without a text alternative"


@each_chapter
def test_every_picture_outside_the_solutions_has_a_caption(path):
    """Given in the call, or to the figure afterwards, in the same cell."""
    said = []
    for cell in read(path)["cells"]:
        if cell["cell_type"] != "code" or "hide-cell" in cell["metadata"].get("tags", []):
            continue
        tree = ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", "".join(cell["source"]), flags=re.M))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        made = [call for call in calls if getattr(call.func, "id", "") in {*MAKERS, "AlignmentViewer"}]
        given = [word.value for call in made for word in call.keywords if word.arg == "caption"]
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Assign)):
            if getattr(node.targets[0], "attr", "") == "caption":
                given.append(node.value)
        assert len(given) == len(made), f"pictures and captions in the cell {''.join(cell['source'])[:60]!r}"
        said += [value.value for value in given if isinstance(value, ast.Constant)]
    assert said
    assert len(set(said)) == len(said), "one caption for two pictures"
    for text in said:
        assert text.strip() == text, text
        assert text[-1:] in (".", "?"), text
        assert 20 <= len(text) <= 140, text


def test_every_check_of_an_exercise_is_named_in_its_text_and_proves_its_solution():
    """The executed book then shows that the folded solution is right."""
    from vsa_lite.checks import exercises, further, more, values

    found = []
    for path in NOTEBOOKS:
        for before, cell in pairwise(read(path)["cells"]):
            solution = "".join(cell["source"])
            for module, name in re.findall(
                r"from vsa_lite\.checks\.(exercises|further|more|values) import (check_\w+)", solution
            ):
                assert cell["metadata"]["tags"] == ["hide-cell"]
                called = [line for line in solution.splitlines() if line.startswith(f"{name}(")]
                assert called
                assert module == "values" or called == [f"{name}({name.removeprefix('check_')})"]
                assert f"`{name}`" in "".join(before["source"])
                found.append(name)
    every = [
        name for module in (exercises, further, more, values) for name in vars(module) if name.startswith("check_")
    ]
    assert sorted(found) == sorted(every)


def test_the_tours_definitions_work(dataset, store):
    import torch

    from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
    from vsa_lite.alignment.pairs import Pairs
    from vsa_lite.data.records import Dataset
    from vsa_lite.pipeline import embed_pictures
    from vsa_lite.words.vocabulary import Vocabulary

    tour = definitions(next(path for path in NOTEBOOKS if path.stem == "00_tour"), "watch", "search")
    vocabulary = Vocabulary.from_sentences([s.tokens for record in dataset for s in record.sentences], 1)
    pairs = Pairs(Dataset(dataset.name, dataset.records), store, vocabulary)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AlignmentConfig(len(vocabulary), store.feature_size, embedding_size=8, hidden_size=8, word_size=6)
        model = AlignmentModel(config).eval()

    viewer = tour["watch"](model, pairs, 2, "two men")
    assert viewer.words == list(dataset[1].sentences[0].tokens)
    assert viewer.weights.shape == (1, 4, 3)  # the padded region is left out
    products = model.products(pairs.batch([2]))[0, :, :3]
    assert viewer.path == products.argmax(1).tolist()  # at rest, beta is 0

    tour |= {"model": model, "vocabulary": vocabulary, "pairs": pairs, "test": dataset}
    tour["v"], tour["region_mask"] = embed_pictures(model, pairs)
    exec("", tour)
    found = tour["search"]("a black dog")
    scores = [float(score) for score in re.findall(r"score (-?[\d.]+)", found.alt)]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)


def test_the_tour_counts_the_captions_that_name_a_thing(dataset):
    from vsa_lite.data.records import Dataset, Record, tokenise

    tour = definitions(next(path for path in NOTEBOOKS if path.stem == "00_tour"), "things_named", "naming")
    named = tour["things_named"](tokenise("Two puppies and a teddy bear under the light"))
    assert named == {"dog", "teddy bear", "lamp"}
    assert not tour["things_named"](["a", "toy"])  # it may be one of many

    labels = (("dog", "sofa"), ("bus",), ("cat", "dog"))
    records = [Record(i, str(i), dataset[0].picture, "test", (), labels=kinds) for i, kinds in enumerate(labels)]
    tour["test"] = Dataset("three", records)
    captions = [["a", "puppy"], ["a", "tree"], ["the", "kitten", "and", "a", "bus"]]
    assert tour["naming"](captions) == pytest.approx(200 / 3)
    assert tour["naming"](captions, 1) == 0  # beside "bus"; "cat", "dog"; "dog", "sofa"
    assert tour["naming"](captions, 2) == pytest.approx(200 / 3)
