"""Lambda's quotas for archives of code, in bytes, and how sizes are said to people.

Source: Lambda developer guide, "Lambda quotas"; its MB are of 1024 x 1024 bytes.
"""

from __future__ import annotations

from rie.artifacts.errors import BuildError

KB = 1024
MB = 1024 * KB

ZIPPED = 50 * MB  # of a function's archive, uploaded directly
UNZIPPED = 250 * MB  # of a function and all its layers together
LAYERS = 5

# Not Lambda's, but what keeps a hostile archive from using up memory and time.
ENTRIES = 100_000
ARCHIVE = UNZIPPED + 64 * MB  # no more can hold 250 MB of content
NAME = 4096  # PATH_MAX
PART_OF_NAME = 255  # NAME_MAX


def size_in_words(size: int) -> str:
    """Return a size as people say it: `312 bytes`, `4.5 KB`, `250 MB`."""
    if size < KB:
        return f"{size} byte{'' if size == 1 else 's'}"
    number, unit = (size / KB, "KB") if size < MB else (size / MB, "MB")
    return f"{f'{number:.1f}'.removesuffix('.0')} {unit}"


def require_size(size: int, what: str) -> None:
    """Raise BuildError for more than a function and its layers may hold."""
    if size > UNZIPPED:
        raise BuildError(
            f"{what} are {size_in_words(size)} unzipped, Lambda takes at most "
            f"{size_in_words(UNZIPPED)}: leave out what is not needed at run time"
        )
