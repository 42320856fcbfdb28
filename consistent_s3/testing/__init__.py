"""What tests of this project, and of projects that use it, are made of.

Here is what needs no Django. In modules of their own:

- `storage`: `InMemoryConsistentStorage`, for a project's `STORAGES` in tests.
- `aging`: `age(storage, timedelta)` lets time pass for what is stored.
- `eventual`, `faulty`: stores that show old things, and stores that fail, by seed; what happened is counted in `fired`.
- `simulation`: many clients in virtual time, one after another at each call to a seam, by seed.
- `contracts`: what every object store and every index must do, as test classes to inherit. Needs pytest.
- `worlds`, `state_worlds`, `stream_worlds`: this project's own proof, of files, documents and streams;
  `python -m consistent_s3.testing.worlds --help`.

pytest finds the fixtures `consistent_storage` and `s3_server` by itself.
"""

from consistent_s3.testing.clocks import ManualClock
from consistent_s3.testing.memory import MemoryObjectStore
from consistent_s3.testing.requests import assert_requests, count_requests
from consistent_s3.testing.server import S3Server

__all__ = ["ManualClock", "MemoryObjectStore", "S3Server", "assert_requests", "count_requests"]
