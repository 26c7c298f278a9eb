"""Hypothesis: no deadlines (a busy machine is not a bug), and on CI the same examples every time."""

import os

from hypothesis import settings

settings.register_profile("default", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("default")
