"""Recipes by the names that the command line knows, the small ones for scenes among them."""

from __future__ import annotations

from vsa_lite.recipes import (
    ALIGNMENT,
    ATTENTION,
    CAPTIONS,
    SCENES_ALIGNMENT,
    SCENES_ATTENTION,
    SCENES_CAPTIONS,
    Recipe,
)

ALIGNMENT_RECIPES: dict[str, Recipe] = ALIGNMENT | {"scenes": SCENES_ALIGNMENT}
ATTENTION_RECIPES: dict[str, Recipe] = ATTENTION | {"scenes": SCENES_ATTENTION}
CAPTION_RECIPES: dict[str, Recipe] = CAPTIONS | {"scenes": SCENES_CAPTIONS}


def recipe_name(chosen: str | None, dataset_name: str, default: str) -> str:
    """The recipe that was asked for; without a wish, the small one for scenes and the default for photographs."""
    return chosen or ("scenes" if dataset_name == "scenes" else default)
