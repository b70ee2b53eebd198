"""Pictures that move: a slider over some made beforehand, which needs no kernel, and controls that draw anew."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vsa_lite.figures import Picture

if TYPE_CHECKING:
    from ipywidgets import VBox, Widget

_number = itertools.count()

_SCRIPT = """
(() => {
  const figure = document.currentScript.previousElementSibling;
  const slider = figure.querySelector("input"), said = figure.querySelector("output");
  const frames = [...figure.querySelectorAll(".vsa-frame")], labels = JSON.parse(figure.dataset.labels);
  const show = () => {
    frames.forEach((frame, i) => { frame.hidden = i !== +slider.value; });
    said.textContent = labels[slider.value];
    slider.setAttribute("aria-valuetext", labels[slider.value]);
  };
  slider.addEventListener("input", show);
  show();
})();
"""


class Frames:
    """Several pictures of which a slider shows one.

    Where scripts are not run all of them stand one below the other. The slider takes arrow keys and touch; each
    picture keeps its own text alternative. A caption that all of them have stands once, beneath.

    Args:
        pictures: at least one.
        labels: what the slider says at each of them, such as "margin 0.2".
        name: of what the slider changes, such as "margin".
        first: which picture is shown at the beginning.

    Raises:
        ValueError: for no picture, another number of labels, a picture without a text alternative, or a first one
            that is not there.
    """

    def __init__(self, pictures: Sequence[Picture], labels: Sequence[str], name: str, first: int = 0) -> None:
        self.pictures, self.labels, self.name, self.first = list(pictures), list(map(str, labels)), name, first
        if not self.pictures or len(self.pictures) != len(self.labels):
            raise ValueError(f"wanted a label for each picture, got {len(self.pictures)} and {len(self.labels)}")
        silent = [label for picture, label in zip(self.pictures, self.labels, strict=True) if not picture.alt]
        if silent:
            raise ValueError(f"the picture of {silent[0]!r} has no text alternative: give it an alt")
        if not 0 <= first < len(self.pictures):
            raise ValueError(f"first must be from 0 to {len(self.pictures) - 1}, got {first}")

    def __repr__(self) -> str:
        return "\n".join(f"{label}: {p.alt}" for label, p in zip(self.labels, self.pictures, strict=True))

    def _repr_html_(self) -> str:
        number = next(_number)
        caption = self.pictures[0].caption_html() if len({picture.caption for picture in self.pictures}) == 1 else ""
        shown = [picture.image_html() if caption else picture._repr_html_() for picture in self.pictures]
        frames = "".join(f'<div class="vsa-frame">{picture}</div>' for picture in shown)
        label = html.escape(self.name)
        return (
            f'<figure class="vsa-frames" data-labels="{html.escape(json.dumps(self.labels))}" style="margin:1em 0">'
            f'<label for="vsa-frames-{number}">{label} '
            f'<input id="vsa-frames-{number}" type="range" min="0" max="{len(self.pictures) - 1}" step="1" '
            f'value="{self.first}" style="vertical-align:middle;width:min(20em,60%)"></label> '
            f"<output>{html.escape(self.labels[self.first])}</output>{frames}{caption}</figure><script>{_SCRIPT}</script>"
        )


def live(draw: Callable[..., Any], **controls: Widget) -> VBox:
    """Controls, and beneath them what `draw` makes of their values, anew whenever one is moved: needs a kernel.

    As `ipywidgets.interact`, but for pictures as HTML, so that text alternatives stay; in a built page the first state
    is shown.

    Args:
        draw: takes the controls' values by name; returns a picture, or several, to stand one below the other.
        controls: ipywidgets with a value, by the name of the argument.
    """
    from ipywidgets import HTML, VBox

    view = HTML()

    def update(_: object = None) -> None:
        made = draw(**{name: control.value for name, control in controls.items()})
        view.value = "".join(part._repr_html_() for part in (made if isinstance(made, list | tuple) else [made]))

    for name, control in controls.items():
        control.description = name
        control.style.description_width = f"{max(map(len, controls)) + 1}ch"  # no name is cut short
        control.observe(update, "value")
    update()
    return VBox([*controls.values(), view])
