"""The layers and images that come with rie: recipes, as data of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rie.artifacts.errors import BuildError

Kind = Literal["layers", "images"]

_PACKAGE = Path(__file__).parent.parent
# The wheel has them inside the package, a checkout beside it, where people look for them.
_PLACES = (_PACKAGE / "data", _PACKAGE.parent)


def shipped(kind: Kind) -> Path:
    """Return the folder that has one folder for each layer, or image. Raises BuildError."""
    for place in _PLACES:
        if (place / kind).is_dir():
            return place / kind
    raise BuildError(f"this installation of rie has no {kind}: install it anew")
