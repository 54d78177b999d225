"""`rie image`: what can be done with images that Lambda runs."""

from __future__ import annotations

from rie.commands.command import Command
from rie.commands.image_build import BUILD
from rie.commands.image_test import TEST

OVERVIEW = """\
usage: rie image COMMAND [OPTION]...

Images that AWS Lambda runs.

Commands:
  build    build a base image, or a function's image from its Dockerfile
  test     run an image as Lambda would, and invoke its function once

`rie image COMMAND --help` explains one."""

COMMANDS: dict[str, Command] = {"build": BUILD, "test": TEST}
