"""`python -m rie` is `rie`."""

import sys

from rie.cli import main

sys.exit(main())
