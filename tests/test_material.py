"""What chapters share is made once, and read after that; sliders show one picture of several."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ipywidgets import IntSlider
from matplotlib.figure import Figure

from vsa_lite import material
from vsa_lite.figures import subplots
from vsa_lite.frames import Frames, live
from vsa_lite.material import Material
from vsa_lite.training import TrainingConfig


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Scenes of a few pictures, models of one epoch; calls that make something are counted."""
    monkeypatch.setattr(material, "SCENES", {"train": 8, "val": 4, "test": 4})
    for name in ("ALIGNMENT_TRAINING", "CAPTION_TRAINING", "ATTENTION_TRAINING"):
        monkeypatch.setattr(material, name, TrainingConfig(epochs=1, batch_size=8))
    things, scenes = material.make_single_things, material.make_scenes
    monkeypatch.setattr(material, "make_single_things", lambda n: things(8))
    monkeypatch.setattr(
        material, "make_scenes", lambda train, val, test, seed=0: scenes(min(train, 8), val, test, seed)
    )
    made = []
    trained = ("train_word2vec", "train_alignment", "train_captioner", "train_attention")
    for name in ("pretrain", "extract_features", *trained):
        original = getattr(material, name)

        def counted(*arguments, name=name, original=original, **options):
            made.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(material, name, counted)
    return lambda: Material("scenes", tmp_path / "material"), made


def test_parts_are_made_once_and_read_after_that(small):
    new, made = small
    first = new()
    assert made == []
    alignment, captions, attention = first.alignment, first.captions, first.attention
    trained = ["train_alignment", "train_attention", "train_captioner", "train_word2vec"]
    assert sorted(made) == ["extract_features", "pretrain", *trained]
    again = new()
    assert again.alignment.model.config == alignment.model.config
    assert again.captions.vocabulary.digest() == captions.vocabulary.digest()
    assert torch.equal(again.attention.model.query.weight, attention.model.query.weight)
    assert again.store.provenance == first.store.provenance
    assert len(again.pairs("test")) == len(first.pairs("test")) > 0
    assert again.words.size == 64
    assert len(made) == 6
    again.train_attention()  # with settings of one's own: anew each time
    assert made[6:] == ["train_attention"]


def test_features_that_were_stopped_half_way_are_gone_on_with(small, tmp_path):
    new, _ = small
    folder = new().store.path
    done = np.load(folder / "done.npy", mmap_mode="r+")
    done[3:] = 0
    done.flush()
    assert len(new().store) == 16


def test_every_long_training_keeps_a_state_to_go_on_from(tmp_path, monkeypatch):
    kept = []
    for name in ("train_alignment", "train_captioner", "train_attention"):
        monkeypatch.setattr(material, name, lambda *given, folder, **options: kept.append(folder))
    for name in ("save_checkpoint", "load_checkpoint"):
        monkeypatch.setattr(material, name, lambda *given: None)
    photographs = Material("flickr8k", tmp_path)
    vars(photographs).update(dict.fromkeys(("dataset", "store", "vocabulary", "words")))
    _ = photographs.alignment, photographs.captions, photographs.attention
    assert kept == [tmp_path / f"{name}.state" for name in ("alignment", "captions", "attention")]


def test_live_figures_draw_anew():
    drawn = []

    def draw(number):
        drawn.append(number)
        return picture(f"number {number}")

    slider = IntSlider(3, 0, 9)
    box = live(draw, number=slider)
    assert drawn == [3]
    assert 'alt="number 3"' in box.children[-1].value
    slider.value = 5
    assert drawn == [3, 5]
    assert 'alt="number 5"' in box.children[-1].value
    both = live(lambda number: [picture("one"), picture("two")], number=IntSlider(1))
    assert both.children[-1].value.count("<img") == 2


def test_sizes_and_what_photographs_need(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="size must be 'scenes' or 'flickr8k', got 'coco'"):
        Material("coco")
    monkeypatch.delenv("VSA_LITE_FEATURES", raising=False)
    with pytest.raises(ValueError, match="let VSA_LITE_FEATURES name that folder"):
        _ = Material("flickr8k", tmp_path).store
    assert torch.cuda.is_available() or "Change runtime type" in capsys.readouterr().out
    with pytest.raises(ValueError, match="only scenes have"):
        _ = Material("flickr8k", tmp_path).cnn


def picture(alt, caption=""):
    figure, axes = subplots(alt=alt, caption=caption)
    axes.plot([0, 1])
    return figure


def test_frames_hold_every_picture_and_its_words():
    frames = Frames([picture("a line"), picture("the same line")], [0.1, 0.2], "margin", first=1)
    page = frames._repr_html_()
    assert isinstance(frames.pictures[0], Figure)
    assert page.count("<img") == 2
    assert page.count('alt="') == 2
    assert 'max="1"' in page
    assert "<output>0.2</output>" in page
    assert "http" not in page.split("data:image")[0]
    assert repr(frames) == "0.1: a line\n0.2: the same line"
    assert frames._repr_html_() != page  # each on a page has its own id


def test_frames_say_a_common_caption_once():
    page = Frames([picture("one", "Look & see."), picture("two", "Look & see.")], "ab", "step")._repr_html_()
    assert page.count("<figcaption") == page.count("Look &amp; see.</figcaption></figure>") == 1
    page = Frames([picture("one", "First."), picture("two", "Then.")], "ab", "step")._repr_html_()
    assert page.count("<figcaption") == 2
    for said in ("First.", "Then."):  # with its own frame, which comes and goes
        assert page.count(f"{said}</figcaption></figure></div>") == 1
    assert "<figcaption" not in Frames([picture("one")], "a", "step")._repr_html_()


@pytest.mark.parametrize(
    ("pictures", "labels", "first", "message"),
    [
        ([], [], 0, "a label for each picture"),
        (["a"], ["x", "y"], 0, "got 1 and 2"),
        ([""], ["x"], 0, "the picture of 'x' has no text alternative"),
        (["a"], ["x"], 1, "first must be from 0 to 0"),
    ],
)
def test_frames_refuse_what_does_not_fit(pictures, labels, first, message):
    with pytest.raises(ValueError, match=message):
        Frames([picture(alt) for alt in pictures], labels, "margin", first)


def test_two_that_want_the_same_part_at_once_make_it_once(small):
    new, made = small
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda one: one.words, (new(), new()))
    assert made == ["train_word2vec"]
    assert torch.equal(torch.as_tensor(first.vectors), torch.as_tensor(second.vectors))
