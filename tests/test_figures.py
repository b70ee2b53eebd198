"""Figures: what they draw is what they were given, they say it in words, and they read on light and on dark pages."""

import base64
import inspect
import io
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from vsa_lite import figures, labels
from vsa_lite.figures import (
    COLUMN,
    LARGE,
    RESOLUTION,
    STYLE,
    Picture,
    recall_bars,
    show_alignment,
    show_captions,
    show_regions,
    subplots,
    training_curve,
)
from vsa_lite.training import History
from vsa_lite.viewer import COLOURS, NEUTRAL

BOXES = np.array([[0, 0, 1, 1], [0.05, 0.1, 0.4, 0.5], [0.5, 0.6, 1, 1]])
HISTORY = History(
    [
        {"loss": 3.0, "recall": 10.0, "seconds": 1.0},
        {"loss": 2.0, "recall": 30.0, "seconds": 1.0},
        {"loss": 1.5, "recall": 20.0, "seconds": 1.0},
    ],
    best_epoch=1,
)


@pytest.fixture
def image():
    return Image.new("RGB", (90, 60), (40, 120, 200))


def run(what, first, seed=0):
    recalls = {f"{item}_r@{k}": first * k**0.5 for item in ("sentence", "image") for k in (1, 5, 10)}
    return {"what": what, "seed": seed, "metrics": recalls}


def extents(picture):
    """Every text with its place in the figure, in pixels."""
    renderer = FigureCanvasAgg(picture).get_renderer()
    picture.draw(renderer)
    texts = [text for text in picture.findobj(matplotlib.text.Text) if text.get_text() and text.get_visible()]
    return {text.get_text(): text.get_window_extent(renderer) for text in texts}


def rectangles(picture):
    """The outlines of boxes, each once: (x0, y0, x1, y1)."""
    found = [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle)]
    return {tuple(np.round(patch.get_bbox().extents, 3).tolist()) for patch in found}


def test_alignment_outlines_the_regions_of_the_path(image):
    words = ["a", "dog", "on", "the", "grass"]
    picture = show_alignment(image, torch.tensor(BOXES), words, torch.tensor([1, 1, 0, 2, 2]))
    assert rectangles(picture) == {tuple(np.round(box, 3).tolist()) for box in BOXES}
    assert picture.alt == (
        "“a dog”: upper left, 14 % of the picture; “on”: the whole picture; "
        "“the grass”: lower right, 20 % of the picture."
    )
    # a region that no word is on is not drawn
    assert rectangles(show_alignment(image, BOXES, ["dog"], [1])) == {tuple(np.round(BOXES[1], 3).tolist())}
    # words in their order, and the segment at its box
    texts = extents(picture)
    assert {"a", "dog", "on", "the", "grass", "a dog", "the grass"} <= set(texts)
    assert [texts[word].x0 for word in words] == sorted(texts[word].x0 for word in words)


def test_a_long_sentence_wraps_inside_the_figure(image):
    words = [f"word{number}" for number in range(40)]
    picture = show_alignment(image, BOXES, words, [number % 3 for number in range(40)])
    texts = extents(picture)
    right, top = picture.bbox.width, picture.bbox.height
    for word in words:
        assert 0 <= texts[word].x0 < texts[word].x1 <= right, word
        assert 0 <= texts[word].y0 < texts[word].y1 <= top, word
    # no word covers another
    assert not any(texts[a].overlaps(texts[b]) for a in words for b in words if a < b)


def test_labels_stay_in_the_picture_and_off_each_other(image):
    boxes = np.array([[0, 0, 0.3, 0.3], [0, 0, 0.31, 0.31], [0.9, 0.9, 1, 1]])
    picture = show_regions(image, boxes, ["a red ball", "a blue balloon", "a small black dog"], "everything at once")
    texts = extents(picture)
    frame = picture.axes[0].get_window_extent()
    names = ("a red ball", "a blue balloon", "a small black dog")
    for name in names:
        assert frame.x0 <= texts[name].x0 < texts[name].x1 <= frame.x1
        assert frame.y0 <= texts[name].y0 < texts[name].y1 <= frame.y1
    assert not texts[names[0]].overlaps(texts[names[1]])
    assert texts["everything at once"].y1 <= frame.y0
    assert picture.alt.startswith("“everything at once”; “a red ball”: upper left")
    assert len(rectangles(picture)) == 3


def test_regions_without_a_sentence_or_without_regions(image):
    assert show_regions(image, BOXES[:0], []).alt == "A picture."
    assert show_regions(image, BOXES[:0], [], "a dog").alt == "“a dog”."
    assert show_regions(image, BOXES[1:2], ["dog"]).alt == "“dog”: upper left, 14 % of the picture."


def test_captions_stand_under_their_pictures(image):
    picture = show_captions([image] * 4, ["one", "two", "three", "four"], ["eins", "zwei", "drei", "vier"], columns=3)
    assert picture.alt == "picture 1: “one”; picture 2: “two”; picture 3: “three”; picture 4: “four”."
    assert len(picture.axes) == 6
    assert [ax.texts[0].get_text() for ax in picture.axes[:4]] == ["one", "two", "three", "four"]
    assert [ax.texts[1].get_fontstyle() for ax in picture.axes[:4]] == ["italic"] * 4
    assert not any(ax.texts or ax.images for ax in picture.axes[4:])
    texts = extents(picture)
    for caption, reference in (("one", "eins"), ("four", "vier")):
        assert texts[reference].y1 <= texts[caption].y0


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
def test_no_caption_covers_another_or_is_cut_off(image, columns):
    said = [f"a picture of child {n} in a very light blue coat in the street" for n in range(5)]
    people = [f"there is a teddy bear, number {n}, leaning on the green ball at the park" for n in range(5)]
    picture = show_captions([image] * 5, said, people, columns=columns)
    right, top = picture.canvas.get_width_height()
    texts = [box for text, box in extents(picture).items() if text]
    assert len(texts) == 10
    for box in texts:
        assert 0 <= box.x0 < box.x1 <= right
        assert 0 <= box.y0 < box.y1 <= top
    assert not any(a.overlaps(b) for n, a in enumerate(texts) for b in texts[:n])
    assert picture.get_figwidth() <= COLUMN


def test_training_curve_draws_the_history():
    picture = training_curve(HISTORY, ["recall"])
    loss, validation = picture.axes
    assert list(loss.lines[0].get_ydata()) == [3.0, 2.0, 1.5]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]
    assert list(validation.lines[0].get_ydata()) == [10.0, 30.0, 20.0]
    assert list(validation.lines[1].get_xdata()) == [2, 2]  # the best epoch
    assert picture.alt == "Training over 3 epochs: loss goes from 3 to 1.5; recall goes from 10 to 20."
    assert len(training_curve(HISTORY).axes) == 1


def test_recall_bars_are_means_over_seeds():
    runs = [run("best", 10, 0), run("best", 14, 1), run("printed", 5)]
    paper = {f"{item}_r@{k}": 7.0 + k for item in ("sentence", "image") for k in (1, 5, 10)}
    picture = recall_bars(runs, paper)
    for ax in picture.axes:
        best, printed = ax.containers[1], ax.containers[2]  # behind the error bars
        heights = [[bar.get_height() for bar in bars] for bars in (best, printed)]
        np.testing.assert_allclose(heights[0], [12 * k**0.5 for k in (1, 5, 10)])
        np.testing.assert_allclose(heights[1], [5 * k**0.5 for k in (1, 5, 10)])
        lines = [line for line in ax.collections if len(line.get_segments()) == 1]
        assert sorted({segment[0][1] for line in lines for segment in line.get_segments()} & {8, 12, 17}) == [8, 12, 17]
    assert "best, finding the sentence, from the picture: 12.0, 26.8, 37.9" in picture.alt
    assert "the paper, finding the picture, from the sentence: 8.0, 12.0, 17.0" in picture.alt


PICTURES = {
    "subplots": lambda image, **more: subplots(alt="an empty figure", **more)[0],
    "alignment": lambda image, **more: show_alignment(image, BOXES, ["a", "dog"], [0, 1], **more),
    "regions": lambda image, **more: show_regions(image, BOXES, ["all", "<dog> & 'cat'", "grass"], "a dog", **more),
    "captions": lambda image, **more: show_captions([image], ["a dog"], ["a hound"], **more),
    "curve": lambda image, **more: training_curve(HISTORY, ["recall"], **more),
    "recall": lambda image, **more: recall_bars([run("best", 10)], **more),
}


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_every_figure_shows_itself_with_its_words_and_leaves_settings_alone(make, image):
    before = dict(matplotlib.rcParams)
    picture = make(image)
    shown = picture._repr_html_()
    assert dict(matplotlib.rcParams) == before
    assert shown == picture._repr_html_()
    element = ElementTree.fromstring(shown.replace(">", "/>") if shown.count("<") == 1 else shown)
    assert element.tag == "img"
    assert element.get("alt") == picture.alt
    assert len(picture.alt) > 10
    assert element.get("src").startswith(("data:image/png;base64,", "data:image/webp;base64,"))
    assert isinstance(picture, Picture)


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_a_caption_stands_beneath_its_figure(make, image, tmp_path, monkeypatch):
    said = 'Is a < b & c? Look at “the dog\'s "head"”.'
    picture = make(image, caption=said)
    shown = picture._repr_html_()
    figure = ElementTree.fromstring(re.sub("(<img [^>]*)>", r"\1/>", shown))
    assert figure.tag == "figure"
    assert [part.tag for part in figure] == ["img", "figcaption"]
    assert figure[1].text == said  # as text, whatever is in it
    assert "a &lt; b &amp; c" in shown
    assert figure[0].get("alt") == picture.alt == make(image).alt
    assert f"max-width:max({figure[0].get('width')}px," in figure[1].get("style")  # no wider than its figure
    assert "color:inherit" in figure[1].get("style")  # the page's own, light or dark

    monkeypatch.setenv("VSA_LITE_FIGURES", str(tmp_path))
    picture._repr_html_()
    assert (tmp_path / "01.txt").read_text(encoding="utf-8") == f"{picture.alt}\n{said}\n"
    picture.caption = ""
    assert picture._repr_html_().startswith("<img ")
    assert (tmp_path / "02.txt").read_text(encoding="utf-8") == f"{picture.alt}\n"


def test_a_photograph_is_small_on_a_page_and_looks_the_same():
    def on_page(picture):
        form, data = re.search('src="data:image/([a-z]+);base64,([^"]+)"', picture._repr_html_()).groups()
        return form, base64.b64decode(data)

    def png(picture):
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", dpi=RESOLUTION, metadata={"Software": None})
        return buffer.getvalue()

    y, x = np.mgrid[0:150, 0:200]
    grain = np.random.default_rng(0).integers(0, 12, (150, 200, 3))
    photograph = (np.stack([x, y, 200 - x], 2) + grain).astype(np.uint8)
    picture = show_captions([Image.fromarray(photograph)], ["a dog"])
    form, data = on_page(picture)
    assert form == "webp"
    assert 2 * len(data) < len(png(picture)) > LARGE
    shown, exact = (np.asarray(Image.open(io.BytesIO(one)).convert("RGBA"), int) for one in (data, png(picture)))
    assert shown.shape == exact.shape
    np.testing.assert_array_equal(shown[..., 3], exact[..., 3])  # transparent where it was
    assert np.abs(shown - exact)[exact[..., 3] == 255].mean() < 4  # of 255

    plot, axes = subplots(alt="a line")
    axes.plot([0, 1])
    assert on_page(plot) == ("png", png(plot))


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_nothing_is_black_or_white_on_the_page_itself(make, image):
    """Grey reads on both; a legend without a box, axes and the figure without a ground."""
    picture = make(image)
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=50)
    corners = np.asarray(Image.open(buffer).convert("RGBA"))[[-1, -1], [0, -1], 3]
    assert not corners.any()
    for ax in picture.axes:
        assert ax.get_facecolor()[3] == 0 or not ax.axison
        legend = ax.get_legend()
        if legend is not None:
            assert not legend.get_frame_on()
            assert {text.get_color() for text in legend.get_texts()} == {NEUTRAL}
    on_page = [
        text for text in picture.findobj(matplotlib.text.Text) if text.get_text() and text.get_bbox_patch() is None
    ]
    assert {text.get_color() for text in on_page} <= {NEUTRAL}


def test_svg_is_the_same_every_time(tmp_path):
    paths = [tmp_path / f"{number}.svg" for number in range(2)]
    for path in paths:
        recall_bars([run("best", 10, seed) for seed in range(3)]).save_svg(path, "made from results 0")
    first, second = (path.read_text() for path in paths)
    assert first == second
    assert "made from results 0" in first
    assert not re.search(r"20\d\d-\d\d-\d\d|Matplotlib v", first)
    ElementTree.fromstring(first)


def test_subplots_and_use_style(monkeypatch):
    monkeypatch.setattr(figures, "rcParams", settings := {})
    figures.use_style()
    assert settings == STYLE
    picture, axes = subplots(2, 3, size=(5, 4), alt="nothing yet", sharex=True)
    assert axes.shape == (2, 3)
    assert picture.get_size_inches().tolist() == [5, 4]
    assert picture.alt == "nothing yet"


def test_ink_reads_on_every_colour():
    for colour in (*COLOURS, NEUTRAL, "#000000", "#ffffff"):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        contrast = {"white": 1.05 / (luminance + 0.05), "#000000": (luminance + 0.05) / 0.05}
        assert contrast[labels.ink(colour)] >= 3.5, colour


def test_words_on_a_colour_stay_as_they_are_when_shown(image):
    for picture in (
        show_alignment(image, BOXES, ["a", "red", "ball"], [0, 1, 1]),
        show_regions(image, BOXES[1:], ["a ball", "a tree"]),
    ):
        picture._repr_html_()
        colours = {text.get_color() for text in picture.findobj(Text) if text.get_bbox_patch() is not None}
        assert colours
        assert colours <= {"white", "#000000"}


def test_neither_module_touches_pyplot():
    for module in (figures, labels):
        assert "import matplotlib.pyplot" not in inspect.getsource(module)
        assert "from matplotlib import pyplot" not in inspect.getsource(module)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda image: show_alignment(image, BOXES, ["a", "dog"], [0]), "one region a word, 2, got 1"),
        (lambda image: show_alignment(image, BOXES, [], []), "one region a word, 0, got 0"),
        (lambda image: show_regions(image, BOXES, ["a"]), "one entry a region, 3, got 1"),
        (lambda image: show_captions([image], ["a", "b"]), "captions must have one entry a picture, 1, got 2"),
        (lambda image: show_captions([image], ["a"], []), "references must have one entry a picture, 1, got 0"),
        (lambda image: show_captions([], []), "there must be a picture and a column, got 0 and 3"),
        (lambda image: show_captions([image], ["a"], columns=0), "got 1 and 0"),
        (lambda image: training_curve(History()), "no epoch yet"),
        (lambda image: training_curve(HISTORY, ["bleu"]), "no 'bleu'; it has loss, recall"),
        (lambda image: recall_bars([]), "no run to show"),
        (lambda image: recall_bars([{"what": "x", "metrics": {"bleu_1": 3}}]), "run 'x' has no recall; it has bleu_1"),
    ],
)
def test_bad_input_is_named(call, message, image):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(image)


def test_text_that_was_added_later_is_legible_on_black():
    figure, axes = subplots(alt="bars")
    axes.bar_label(axes.bar([0, 1], [1, 2], label="bars"))
    axes.text(0, 1, "red", color="red")
    axes.text(0, 3, "black on a bright cell", color="k")
    axes.text(0, 2, "an array", color=np.array([0.0, 0.5, 1.0]))
    axes.legend()
    figure._repr_html_()
    colours = {str(text.get_color()) for text in figure.findobj(Text) if text.get_text()}
    assert "black" not in colours
    assert {"red", "k"} <= colours  # somebody chose them
    assert not axes.get_legend().get_frame_on()
