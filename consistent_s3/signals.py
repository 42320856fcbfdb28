"""What this app tells others."""

from __future__ import annotations

from django.dispatch import Signal

collection_finished = Signal()
"""Sent when a collection has ended, however it ended, with `sender` (the model `CollectionRun`) and `run`.

`run.state` says how; `run.summary` has what `Summary.as_dict` gives. Sent once for each run, by whoever ended it.
"""
