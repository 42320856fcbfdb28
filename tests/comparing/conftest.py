"""Whatever a PDF is asked is answered, however busy the machine is."""

from __future__ import annotations

import pytest

from consistent_s3.comparing import pdf


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock end no process: what a processor takes to begin one may be long in coming."""
    monkeypatch.setattr(pdf, "WAITED", 300)
