"""Runs the bootstrap client (python/bootstrap): a file, as wrapper scripts expect one."""

import sys

sys.path.append("/var/runtime/python")

from bootstrap.__main__ import main

main(sys.argv[1:])
