"""The viewer's HTML: safe, well formed, the same every time, and saying the alignment in words."""

import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from vsa_lite.data.records import Phrase, Record, Sentence
from vsa_lite.viewer import (
    COLOURS,
    NEUTRAL,
    AlignmentViewer,
    mark_corners,
    place,
    region_colours,
    segments_in_words,
    true_boxes,
)

BOXES = np.array([[0, 0, 1, 1], [0, 0, 0.4, 0.4], [0.5, 0.6, 1, 1], [0, 0, 0.3, 0.4]], np.float32)
WORDS = ["a", "dog", "sits", "here"]
VOID = {"img", "input"}


class Reader(HTMLParser):
    """Collects elements, and fails on a tag that is not closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag, name=""):
        return [a for found, a in self.found if found == tag and name in ["", *a.get("class", "").split()]]


@pytest.fixture
def image():
    return Image.new("RGB", (60, 40), (40, 120, 200))


@pytest.fixture
def weights():
    return torch.rand(4, 4, generator=torch.Generator().manual_seed(0))


def test_words_boxes_and_picture_are_in_the_page(image, weights):
    page = Reader(AlignmentViewer(image, BOXES, WORDS, weights, [0, 1, 1, 2])._repr_html_())
    assert len(page.all("button", "vsa-word")) == 4
    assert len(page.all("span", "vsa-box")) == 4
    assert len(page.all("span", "vsa-used")) == 3
    (picture,) = page.all("img")
    assert picture["src"].startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
    assert "“dog sits”: upper left, 16 % of the picture" in picture["alt"]
    assert page.all("figure", "vsa-viewer")[0]["aria-label"]
    assert not page.all("input")


def test_nothing_from_outside_is_markup(image, weights):
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    viewer = AlignmentViewer(image, BOXES, [evil, "b", "c", "d"], weights, caption=evil, alt=evil)
    page = Reader(viewer._repr_html_())
    assert len(page.all("img")) == 1
    assert sum(tag == "script" for tag, _ in page.found) == 1
    assert page.all("img")[0]["alt"].startswith(evil)
    assert evil in page.text


def test_needs_no_network_and_is_the_same_every_time(image, weights):
    first, second = (AlignmentViewer(image, BOXES, WORDS, weights)._repr_html_() for _ in range(2))
    assert first == second
    assert "http" not in first


def test_path_is_the_strongest_region_unless_given(image, weights):
    assert AlignmentViewer(image, BOXES, WORDS, weights).path == weights.argmax(1).tolist()
    assert AlignmentViewer(image, BOXES, WORDS, weights, torch.tensor([3, 2, 1, 0])).path == [3, 2, 1, 0]


def test_slider_has_a_step_for_each_beta(image, weights):
    paths = {2.0: [0, 0, 0, 0], 0.0: [0, 1, 1, 2]}
    viewer = AlignmentViewer(image, BOXES, WORDS, weights, paths=paths)
    page = Reader(viewer._repr_html_())
    (slider,) = page.all("input")
    view = json.loads(page.all("figure", "vsa-viewer")[0]["data-view"])
    assert (slider["max"], slider["value"]) == ("1", "0")
    assert view["betas"] == ["0", "2"]
    assert slider["aria-label"] == "beta"
    assert view["paths"] == [[0, 1, 1, 2], [0, 0, 0, 0]]
    later = Reader(AlignmentViewer(image, BOXES, WORDS, weights, [0, 0, 0, 0], paths=paths)._repr_html_())
    assert later.all("input")[0]["value"] == "1"
    named = Reader(AlignmentViewer(image, BOXES, WORDS, weights, paths=paths, slider="<pass>")._repr_html_())
    assert named.all("input")[0]["aria-label"] == "<pass>"


def test_each_step_of_the_slider_may_have_its_own_weights(image):
    passes = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))
    viewer = AlignmentViewer(image, BOXES, WORDS, passes, paths=dict(enumerate(passes.argmax(2).tolist())))
    assert viewer.path == passes[0].argmax(1).tolist()
    view = viewer._view()
    assert view["weights"] == [[[pytest.approx(w, abs=1e-3) for w in row] for row in one] for one in passes.tolist()]
    for number, one in enumerate(view["strengths"]):
        assert [row.index(1.0) for row in one] == view["paths"][number]


def test_truth_of_a_record(image, weights):
    sentence = Sentence("A dog sits here.", tuple(WORDS), (Phrase(0, 2, (1, 0)),))
    record = Record(7, "seven", image, "test", (sentence,), BOXES)
    truth = true_boxes(record, sentence)
    assert [len(boxes) for boxes in truth] == [2, 2, 0, 0]
    view = AlignmentViewer(image, BOXES, WORDS, weights, truth=truth)._view()
    assert view["overlaps"][0] == [100, 100, 20, 75]  # the better of the two true boxes
    assert view["overlaps"][2:] == [None, None]


def test_strengths_are_relative_to_the_word(image):
    weights = torch.tensor([[0.0, -4.0, 4.0, 2.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1e-9], [5.0, 6.0, 7.0, 8.0]])
    strengths = AlignmentViewer(image, BOXES, WORDS, weights)._view()["strengths"][0]
    assert strengths[0] == [0.5, 0.0, 1.0, 0.75]
    assert strengths[1] == [0.0] * 4


def test_text_where_html_is_not_shown(image, weights):
    text = repr(AlignmentViewer(image, BOXES, WORDS, weights, [0, 1, 1, 2]))
    assert text.splitlines() == [
        "a         region 0: the whole picture",
        "dog sits  region 1: upper left, 16 % of the picture",
        "here      region 2: lower right, 20 % of the picture",
    ]


def test_small_parts():
    assert segments_in_words("a b c a".split(), [1, 1, 2, 1]) == [(1, "a b"), (2, "c"), (1, "a")]
    assert place([0.4, 0.4, 0.6, 0.6]) == "centre, 4 % of the picture"
    colours = region_colours(BOXES, [[0, 2, 2, 1], [3, 3, 3, 3]])
    assert colours == {0: NEUTRAL, 2: COLOURS[0], 1: COLOURS[1], 3: COLOURS[2]}
    assert mark_corners(BOXES, [1, 3, 2]) == {1: "tl", 3: "tr", 2: "tl"}


def test_large_pictures_are_made_smaller(weights):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
    viewer = AlignmentViewer(Image.fromarray(noise), BOXES, WORDS, weights)
    assert len(viewer._repr_html_()) < 1_000_000
    assert viewer.image.size == (2000, 1500)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_any_kind_of_picture(mode, weights):
    assert "data:image/" in AlignmentViewer(Image.new(mode, (9, 9)), BOXES, WORDS, weights)._repr_html_()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": []}, "needs words"),
        ({"boxes": np.zeros((0, 4))}, "needs words and boxes"),
        ({"boxes": BOXES * 60}, "divide pixels"),
        ({"weights": torch.zeros(4, 3)}, r"\(4, 4\).*\(4, 3\)"),
        ({"weights": torch.zeros(2, 4, 4)}, "each of the 0 paths"),
        ({"weights": torch.full((4, 4), torch.nan)}, "finite"),
        ({"path": [0, 1]}, "one region a word, 4, got 2"),
        ({"path": [0, 1, 2, 4]}, "path names region 4"),
        ({"paths": {0.5: [0, 1, 2, -1]}}, r"paths\[0.5\] names region -1"),
        ({"truth": [[]]}, "truth must have one entry a word"),
    ],
)
def test_what_does_not_fit_is_refused(image, weights, change, message):
    arguments = {"boxes": BOXES, "words": WORDS, "weights": weights, **change}
    with pytest.raises(ValueError, match=message):
        AlignmentViewer(image, **arguments)


def test_style_and_script_travel_with_the_package():
    code = "from importlib.resources import files; print(*(p.name for p in files('vsa_lite').iterdir()))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"viewer.css", "viewer.js"} <= set(names)
