"""`python -m tests.s3_process`: an S3 server in a process of its own; it prints its address and ends with its input."""

from __future__ import annotations

import sys

from consistent_s3.testing import S3Server


def main() -> None:
    with S3Server() as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
