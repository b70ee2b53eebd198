"""The check of the built pages finds what it is for: each page here has one fault, and one page has none."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vsa_lite.viewer import AlignmentViewer

ROOT = Path(__file__).resolve().parents[1]
DOT = '<img src="dot.png" alt="a dot">'
BARE = DOT.replace("<img", '<img class="dark-light"')
SET = '<mjx-container style="display:inline-block;width:9px;height:9px"></mjx-container>'


def viewer():
    boxes = np.array([[0, 0, 1, 1], [0.1, 0.1, 0.4, 0.4], [0.5, 0.6, 0.9, 0.9]])
    weights = np.array([[0.1, 3, 0], [0.2, 2, 1], [0.3, 0, 4.0]])
    image = Image.new("RGB", (200, 150), (120, 160, 200))
    paths = {0: [1, 1, 2], 2: [1, 1, 1]}
    return AlignmentViewer(image, boxes, ["a", "dog", "runs"], weights, paths=paths, alt="blue")._repr_html_()


def change(text, old, new=""):
    assert old in text
    return text.replace(old, new)


# name of the page: what is in it, and what must be said about it
FAULTS = {
    "outside": (
        '<img src="http://example.invalid/a.png" alt="a">',
        "asks for something outside: http://example.invalid",
    ),
    "missing": ('<script src="none.js"></script>', "404 for none.js"),
    "script": ("<script>throw new Error('oops')</script>", "script error: oops"),
    "console": ("<script>console.error('careful')</script>", "console: careful"),
    "dollars": ("<p>so $x_i$ is left</p>", "raw mathematics: $x_i$"),
    "command": (r"<p>so \alpha is left</p>", r"raw mathematics: \alpha"),
    "unset": ('<span class="math">x</span>', "mathematics is not set"),
    "wrong": (f'<span class="math">{SET}<mjx-merror>x</mjx-merror></span>', "mathematics with an error"),
    "wide": ('<p style="width:1200px">wide</p>', "wider than its place"),
    "cut": ('<div style="overflow:hidden;width:90px"><p style="width:300px">cut</p></div>', "wider than its place"),
    "silent": ('<img src="dot.png">', "picture without a text alternative"),
    "default": ('<img src="dot.png" alt="images/dot.png">', "picture without a text alternative"),
    "bare": (f'<div class="cell_output">{BARE}</div>', "figure without a caption"),
    "drawing": ('<svg width="9" height="9"></svg>', "drawing without a text alternative"),
    "nowhere": ('<a href="none.html">on</a>', "leads nowhere: none.html"),
    "place": ('<a href="good.html#none">on</a>', "leads to no place in good.html"),
    "faint": ('<p style="color:#ddd">faint</p>', "text is faint"),
    "dead": (re.sub("<script>.*</script>", "", viewer(), flags=re.S), "viewer: its script did not run"),
    "keys": (change(viewer(), "ArrowRight: t === last ? 0 : t + 1", "ArrowRight: t"), "viewer: an arrow goes on"),
    "touch": (change(viewer(), 'word.addEventListener("click", () => pin(t));'), "viewer: a touched word"),
    "hover": (change(viewer(), 'word.addEventListener("pointerenter", () => showWord(t));'), "viewer: the word under"),
    "slider": (change(viewer(), "usePath(view.paths[slider.value]);\n", "throw new Error('stuck');\n"), "error: stuck"),
}
GOOD = f"""<h1 id="top">Good</h1><p>Costs <code>$x$ \\alpha</code></p><a href="#top">up</a> <a href="place.html">on</a>
{DOT}<span class="math">{SET}</span>{viewer()}"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """What the check says, by page."""
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    tasks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tasks)
    chromium, node = tasks.find_chromium(), shutil.which("node")
    if chromium is None or node is None or not (ROOT / "_vendor" / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs Chromium, Node.js and its driver: python3 tasks.py browser")
    site = tmp_path_factory.mktemp("site")
    Image.new("RGB", (4, 4)).save(site / "dot.png")
    for name, (body, _) in {**FAULTS, "good": (GOOD, "")}.items():
        head = '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>t</title>'
        page = f"{head}<style>body {{ color: #000; background: #fff }}</style><main>{body}</main>"
        (site / f"{name}.html").write_text(page, encoding="utf-8")
    command = [node, ROOT / "browser" / "check.mjs", "--site", site]
    environment = {**os.environ, "CHROMIUM": chromium}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(lines, name):
    said = [line for line in lines if line.startswith(f"{name}.html: ")]
    assert any(FAULTS[name][1] in line for line in said), said


def test_what_is_good_is_not_blamed(lines):
    assert not [line for line in lines if line.startswith("good.html: ")]
    assert any(re.fullmatch(r"\d+ faults", line) for line in lines)
