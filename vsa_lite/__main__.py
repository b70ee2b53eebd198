"""`python -m vsa_lite` is the command `vsa-lite`."""

import sys

from vsa_lite.cli import main

sys.exit(main())
