"""The repository keeps its promises: import order, floors that Colab meets, files that agree, nothing left behind."""

import ast
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from vsa_lite.cli_arguments import command_parser

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = sorted((ROOT / "vsa_lite").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# a room imports itself and rooms of a smaller number; words and regions do not know each other, nor do rooms of 0
ROOMS = {
    "distributed": 0,
    "tensor_files": 0,
    "data": 0,
    "words": 1,
    "regions": 1,
    "alignment": 2,
    "captioning": 3,
    "evaluation": 4,
    "searching": 5,
}
# each function draws the thing that it is named after
DRAWINGS = {"scenes_animals.py", "scenes_people.py", "scenes_things.py"}


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def room_imports(text):
    """Parts of the package that a module's text imports: ["data", "training", ...]."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are written out in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("vsa_lite."))


def may_import(room, other):
    return other == room or ROOMS.get(other, 9) < ROOMS.get(room, 9) or room not in ROOMS


def tracked_files():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git repository here")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_is_short_says_why_and_imports_only_rooms_before_its_own(path):
    text = path.read_text(encoding="utf-8")
    room = path.relative_to(ROOT / "vsa_lite").parts[0]
    assert len(text.splitlines()) <= 400
    wrong = [other for other in room_imports(text) if not may_import(room, other)]
    assert not wrong, f"{room} must not import {wrong}"
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "a docstring says why the module exists"
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    silent = [node.name for node in public if not ast.get_docstring(node)]
    assert path.name in DRAWINGS or not silent, f"no docstring: {silent}"


def test_import_order_would_be_noticed():
    assert list(room_imports("import vsa_lite.data.records as r\nfrom vsa_lite import words")) == ["data", "words"]
    assert may_import("alignment", "words")
    assert may_import("cli.py", "evaluation")
    assert not may_import("words", "regions")
    assert not may_import("data", "alignment")
    assert not may_import("evaluation", "training")


def test_importing_the_package_is_light():
    code = "import sys, vsa_lite; print(*{'torch', 'torchvision', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_every_module_changes_nothing():
    code = """
import importlib, os, pkgutil, sys
import matplotlib, numpy, torch
import vsa_lite

def state():
    settings = {key: str(matplotlib.rcParams[key]) for key in matplotlib.rcParams if not key.startswith("backend")}
    variables = {key: value for key, value in os.environ.items() if not key.startswith("TORCH")}  # torch's own doing
    random = {"torch": torch.get_rng_state().tolist(), "numpy": str(numpy.random.get_state())}
    return {**settings, **variables, **random, "threads": torch.get_num_threads(), "type": torch.get_default_dtype()}

before = state()
for module in pkgutil.walk_packages(vsa_lite.__path__, "vsa_lite."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
after = state()
changed = [key for key in before | after if before.get(key) != after.get(key)]
assert not changed, f"imports have changed {changed}"
for slow in ("matplotlib.pyplot", "torchvision", "torch._dynamo"):
    assert slow not in sys.modules, f"an import has brought {slow}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""


def test_floors_leave_colab_as_it_is():
    colab = json.loads(read("tests/colab_versions.json"))
    assert SpecifierSet(PROJECT["requires-python"]).contains(colab["python"])
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert {part.operator for part in requirement.specifier} == {">="}, f"{requirement}: a floor and nothing else"
        version = colab["versions"].get(requirement.name)
        assert version is None or requirement.specifier.contains(version), (
            f"{requirement} would upgrade Colab's {version}"
        )


def test_constraints_meet_every_requirement():
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", read("constraints.txt"), re.M))
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in (Requirement(text) for group in groups for text in group):
        assert requirement.name in pinned, f"constraints.txt lacks {requirement.name}: make it again (CONTRIBUTING.md)"
        assert requirement.specifier.contains(pinned[requirement.name]), (
            f"{requirement}, pinned {pinned[requirement.name]}"
        )
    assert pinned["torch"] != "2.13.0"  # pip finds a local build of it on some machines, and torchvision then fails


def test_conda_environment_takes_everything_from_the_project():
    environment = yaml.safe_load(read("environment.yml"))
    *conda, pip = environment["dependencies"]
    assert [name.partition("=")[0] for name in conda] == ["python", "pip"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(conda[0].partition("=")[2])
    assert environment["name"] == PROJECT["name"]
    constraint, project = pip["pip"]
    assert (ROOT / constraint.removeprefix("--constraint ")).is_file()
    extras = re.fullmatch(r"--editable \.\[([\w,-]+)\]", project)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_versions_agree():
    import vsa_lite

    citation = yaml.safe_load(read("CITATION.cff"))
    assert PROJECT["version"] == vsa_lite.__version__ == citation["version"]


def test_the_address_stands_in_one_place():
    tool = load_tool("set_address")
    assert tool.disagreements(ROOT) == []
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == tool.read_address(ROOT)


def test_a_new_address_goes_everywhere(tmp_path):
    tool = load_tool("set_address")
    for path in [ROOT / "pyproject.toml", *tool.made_files(ROOT)]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    old = tool.slug_of(tool.read_address(ROOT))
    changed = tool.set_address(tmp_path, "https://github.com/Some-One/a.book")
    assert {"pyproject.toml", "README.md", "CITATION.cff", "notebooks/00_tour.ipynb"} <= set(changed)
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in changed]
    assert not any(old in text or tool.pages_of(old) in text for text in texts)
    assert tool.disagreements(tmp_path) == []
    assert any("https://some-one.github.io/a.book/" in text for text in texts)
    for notebook in tmp_path.rglob("*.ipynb"):
        json.loads(notebook.read_text(encoding="utf-8"))
    folders = ("notebooks", "assignments", "assignments/student")  # each notebook installs the package from there
    assert {f"{folder}/{path.name}" for folder in folders for path in (ROOT / folder).glob("*.ipynb")} <= {*changed}
    # a file that was left behind is named
    shutil.copyfile(ROOT / "CITATION.cff", tmp_path / "CITATION.cff")
    wrong = tool.disagreements(tmp_path)
    assert len(wrong) == 2
    assert all(line.startswith("CITATION.cff, line ") for line in wrong)


@pytest.mark.parametrize("address", ["github.com/a/b", "https://github.com/a", "https://github.com/a/b.git", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(SystemExit, match=r"the address must be https://github.com/OWNER/NAME"):
        load_tool("set_address").slug_of(address)


def test_what_an_installation_changes_is_noticed():
    before = {"torch": "2.11.0", "numpy": "2.1.3", "old": "1"}
    after = {"torch": "2.11.0", "numpy": "2.2.0", "vsa-lite": "0.1.0"}
    assert load_tool("in_colab").changes(before, after) == ["numpy 2.1.3 -> 2.2.0", "old 1 -> gone"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_chapter_has_no_outputs_and_begins_with_colabs_cell(path):
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    source = "".join(cells[0]["source"])
    assert 'if "google.colab" in sys.modules:' in source
    assert f'%pip install -q "vsa-lite @ git+{PROJECT["urls"]["Repository"]}"' in source
    assert "hide-input" in cells[0]["metadata"]["tags"]


def test_nothing_of_this_machine_and_no_data_is_committed():
    # in pieces, so that this file is not found by itself
    hosts = re.compile("|".join(["pypi" + r"\.org", "python" + "hosted", r"registry\." + "npmjs", r"deb\." + "debian"]))
    folders = re.compile("(^|[^A-Za-z0-9_.])/(" + "|".join(["home", "Users", "root", "work", "tmp"]) + ")/")
    data = {".jpg", ".jpeg", ".pt", ".pth", ".onnx", ".safetensors", ".npz", ".npy", ".h5", ".mat"}
    faults = []
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix.lower() in data or path.stat().st_size > 600_000:
            faults.append(f"{name}: data, or too large")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if hosts.search(line) or folders.search(line):
                faults.append(f"{name}, line {number}: {line.strip()[:80]}")
    assert not faults, "\n".join(faults)


def test_licences_are_there():
    assert read("LICENSE").startswith("MIT License")
    assert "THE SOFTWARE IS PROVIDED" in read("LICENSE")
    assert "https://creativecommons.org/licenses/by/4.0/legalcode" in read("LICENSE-prose.md")
    assert PROJECT["license"] == "MIT"


def test_readme_names_what_ci_runs():
    said = [" ".join(words) for words in commands("README.md")]
    ran = re.findall(r"^python3 tasks\.py \w+", read(".ci/run"), re.M)
    for command in ("python3 tasks.py book", "python3 tasks.py test"):
        assert command in said
        assert command in ran
    assert {"python3 tasks.py lint", "python3 tasks.py browser"} <= set(ran)


def commands(name):
    """The commands in the code blocks of a page, comments left out."""
    blocks = "\n".join(re.findall(r"```\w*\n(.*?)```", read(name), re.S)).replace("\\\n", "")
    return [words for line in blocks.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("name", ["README.md", "book/using.md"])
def test_the_command_line_understands_what_the_pages_say(name):
    said = [words[1:] for words in commands(name) if words[0] == "vsa-lite"]
    assert len(said) >= 5
    for words in said:
        command_parser().parse_args(words)  # ends the test with what it does not understand


@pytest.mark.parametrize("name", ["README.md", "book/results.md"])
def test_results_have_their_place(name):
    text = read(name)
    assert text.count("<!-- results:begin -->") == text.count("<!-- results:end -->") == 1
    assert text.index("<!-- results:begin -->") < text.index("<!-- results:end -->")


def test_workflows_may_do_no_more_than_they_must():
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert {path.stem for path in workflows} == {"test", "publish", "colab"}
    for path in workflows:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert content["permissions"] == {"contents": "read"}, path.name
        assert "concurrency" in content, path.name
        assert all("timeout-minutes" in job for job in content["jobs"].values()), path.name
