"""``python -m netmap_conformance`` is ``netmap-verify``."""

import sys

from .cli import main

sys.exit(main())
