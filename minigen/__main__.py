"""`python -m minigen` is `minigen`."""

import sys

from minigen.cli.main import main

sys.exit(main())
