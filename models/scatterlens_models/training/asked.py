"""Recipes as people name them, checked without torch: before anything is queued, or begun."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from scatterlens_models.training.recipe import Recipe, slim

_PREFIX = "slim-"
_BACKBONES = ("vgg11", "vgg16", "resnet18", "resnet50", "googlenet")
_PATCH_BACKBONES = ("vgg11", "resnet18", "resnet50", "googlenet")
_PATCHES = ("loss_attention", "mean", "attention", "gated", "loss_attention_capsule", "routing")
_FASHION = ("fashion2", "fashion3", "fashion5")

METHOD_NAMES: tuple[str, ...] = (
    "aam",
    *(f"aam_{name}" for name in ("aggregation", "cbam", "residual", "se")),
    *_BACKBONES,
    *(f"{method}_{name}" for method in ("maap", "icasc") for name in _BACKBONES),
    *(f"{method}_{name}" for method in _PATCHES for name in _PATCH_BACKBONES),
    *_FASHION,
    *(f"{name}_aam" for name in _FASHION),
)
"""The names of `nets.METHODS`, which cannot be read without torch."""
NOT_TO_OVERRIDE = ("method", "vocabulary", "start")
"""Fields of a recipe that other words of a job decide."""


_PLAIN = slim("resnet18")
"""Goes with every setting that makes sense by itself."""


class RecipeError(ValueError):
    """No such recipe, or nothing that can be set so; `known` are the names that there are."""

    def __init__(self, text: str, known: Collection[str] = ()):
        super().__init__(text)
        self.known = tuple(known)


def method_of(recipe: str) -> str:
    """Method of a recipe by its name, `slim-METHOD`.

    Raises:
        RecipeError: there is none of that name.
    """
    known = [f"{_PREFIX}{method}" for method in METHOD_NAMES]
    if recipe not in known:
        raise RecipeError(f"there is no recipe {_near(recipe, known)}", known)
    return recipe.removeprefix(_PREFIX)


def check_overrides(overrides: Mapping[str, Any]) -> None:
    """Check settings of a recipe one by one: their names, kinds and ranges.

    Raises:
        RecipeError: one cannot be set, or not to that value.
    """
    kinds = get_type_hints(Recipe)
    known = [name for name in kinds if name not in NOT_TO_OVERRIDE]
    for name, value in overrides.items():
        if name not in known:
            raise RecipeError(
                f"nothing of a recipe can be set by the name {_near(name, known)}", known
            )
        try:
            TypeAdapter(kinds[name]).validate_python(value, strict=True)
            replace(_PLAIN, **{name: value})
        except ValidationError as error:
            told = error.errors(include_url=False)[0]["msg"]
            raise RecipeError(f"{name} cannot be {value!r}: {told}") from error
        except ValueError as error:
            raise RecipeError(f"{error}") from error


def _near(name: str, known: Collection[str]) -> str:
    found = get_close_matches(name, known, n=1)
    return f"{name!r}; did you mean {found[0]!r}?" if found else f"{name!r}; {', '.join(known)}"
