"""The options that the commands about images have in common."""

from __future__ import annotations

from rie.options import Option, choice

ENGINE = Option(
    name="engine",
    parse=choice("podman", "docker"),
    metavar="podman|docker",
    help="What builds and runs images.",
    default="what is installed, podman first",
)
ARCHITECTURE = Option(
    name="architecture",
    parse=choice("x86_64", "arm64", amd64="x86_64", aarch64="arm64"),
    metavar="x86_64|arm64",
    help="The machine that the image is for.",
    default="this one",
    variable="",
)
