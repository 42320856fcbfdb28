"""What tests of this project, and of projects that use it, are made of."""

from consistent_s3.testing.clocks import ManualClock
from consistent_s3.testing.memory import MemoryObjectStore
from consistent_s3.testing.requests import assert_requests, count_requests
from consistent_s3.testing.server import S3Server

__all__ = ["ManualClock", "MemoryObjectStore", "S3Server", "assert_requests", "count_requests"]
