"""Small documents on S3 that many may read and change: the states of jobs, counters, settings.

from consistent_s3 import state

state.write("jobs/import", {"done": 0})
state.update("jobs/import", lambda job: {**job, "done": job["done"] + 1})
state.read("jobs/import", default={})
"""

from consistent_s3.core.documents import Document, PastDocument, Serializer
from consistent_s3.state.cache import S3Cache
from consistent_s3.state.functions import delete, history, keys, read, read_versioned, update, write
from consistent_s3.state.serializing import JSONSerializer
from consistent_s3.state.store import StateStore

__all__ = [
    "Document",
    "JSONSerializer",
    "PastDocument",
    "S3Cache",
    "Serializer",
    "StateStore",
    "delete",
    "history",
    "keys",
    "read",
    "read_versioned",
    "update",
    "write",
]
