"""The same project, in the theme of django-unfold."""

from importlib.util import find_spec

from tests.coexistence.settings import *  # noqa: F403 - everything else is the same
from tests.coexistence.settings import INSTALLED_APPS as OTHERS

# Older unfolds, all that Python 3.11 is given, do not theme django-reversion.
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.simple_history",
    *(["unfold.contrib.reversion"] if find_spec("unfold.contrib.reversion") else []),
    *OTHERS,
]
