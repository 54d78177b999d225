"""What cannot be built, unpacked or started, said so that its user can mend it."""

from __future__ import annotations

from rie.core.errors import RieError


class BuildError(RieError):
    """One layer, package or image cannot be had: one line that says what, where, and what to do.

    Nothing half-done is left when it is raised.
    """


class NoSpaceError(BuildError):
    """There is no space left where something is to be written; what is written may be right."""
