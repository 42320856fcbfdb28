"""A project that has django-reversion and django-simple-history beside ours, in the stock admin."""

from tests.settings import *  # noqa: F403 - everything else is as in the other tests
from tests.settings import INSTALLED_APPS as OTHERS
from tests.settings import MIDDLEWARE as USUAL

INSTALLED_APPS = [*OTHERS, "reversion", "simple_history", "tests.coexistence.office"]
MIDDLEWARE = [
    *USUAL,
    "reversion.middleware.RevisionMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]
