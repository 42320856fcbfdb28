"""The settings of a small document archive.

Which bucket? The one that these variables of the environment name:

    AWS_STORAGE_BUCKET_NAME     an existing bucket
    AWS_LOCATION                a directory in it; `consistent-s3-example` unless given
    AWS_S3_ENDPOINT_URL         a store other than Amazon's
    AWS_S3_REGION_NAME          or AWS_DEFAULT_REGION
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or whatever else boto3 takes: AWS_PROFILE, AWS_SESSION_TOKEN, a role

The key needs to list, read, write and delete objects. `manage.py demo` sets these variables for a bucket of its own,
and leaves them alone when AWS_STORAGE_BUCKET_NAME is there already.

Where is the rest? In one directory, EXAMPLE_DATA (`.demo` beside `manage.py` unless given): the SQLite file, and the
folders through which web server, Celery worker and beat reach each other.
"""

import os
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("EXAMPLE_DATA") or ROOT / ".demo")

# What consistent_s3 needs: an installed app, a storage, and a line in the schedule.

BUCKET = os.environ.get("AWS_STORAGE_BUCKET_NAME")
# Without a bucket nothing is configured, and nothing must leave this machine: nobody listens on this port.
NOWHERE = "http://127.0.0.1:9"

STORAGES = {
    "default": {
        "BACKEND": "consistent_s3.storage.ConsistentS3Storage",
        "OPTIONS": {
            "bucket_name": BUCKET or "not-configured",
            "endpoint_url": os.environ.get("AWS_S3_ENDPOINT_URL") if BUCKET else NOWHERE,
            "region_name": os.environ.get("AWS_S3_REGION_NAME"),
            "security_token": os.environ.get("AWS_SESSION_TOKEN"),
            "location": os.environ.get("AWS_LOCATION", "consistent-s3-example"),
            # A version stays while any of these holds: it is among the newest three, or it was replaced less than a
            # week ago. `grace` outlasts the slowest writer; it must exceed the write deadline plus 15 minutes.
            "retention": {"keep_last": 3, "keep_for": timedelta(days=7), "grace": timedelta(minutes=30)},
        },
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# How streams of events are folded to states, so that the admin can show them; see archive/orders.py.
CONSISTENT_S3_STREAMS = {
    "order": {
        "fold": "archive.orders.fold",
        "initial": {"price": "0", "parcels": [], "paid": "0", "payments": [], "shipped": []},
        "schema_version": 1,
        "snapshot_every": 10,
    },
}

CELERY_BEAT_SCHEDULE = {
    "collect-garbage": {
        "task": "consistent_s3.collect_garbage",
        # A project collects once a day or once an hour; the demo does not wait that long.
        "schedule": float(os.environ.get("EXAMPLE_COLLECT_EVERY") or timedelta(hours=1).total_seconds()),
    },
    # Has streams of events read with fewer requests; what it makes needless is collected.
    "compact-streams": {"task": "consistent_s3.compact_streams", "schedule": timedelta(hours=1)},
    # Goes on with what a killed worker left.
    "resume-collections": {"task": "consistent_s3.resume_collections", "schedule": timedelta(minutes=10)},
}

INSTALLED_APPS = [
    "archive",
    "consistent_s3",
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# The rest is any Django project's.

# Nothing here is fit for a public server: it is an example, and `manage.py demo` listens on loopback only.
SECRET_KEY = "insecure: everybody can read it"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LOGIN_URL = "admin:login"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "db.sqlite3",
        # Web server and worker write side by side: wait for each other instead of failing.
        "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}

# A broker made of folders, so that the example needs no server for it. A real project names its Redis or RabbitMQ.
BROKER_FOLDERS = {
    "control_folder": DATA / "broker" / "control",
    "data_folder_in": DATA / "broker" / "messages",
    "data_folder_out": DATA / "broker" / "messages",
    "processed_folder": DATA / "broker" / "processed",
}
RESULTS = DATA / "results"
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Otherwise messages pass through the system's temporary directory, and stay there if the worker is killed.
    "store_processed": True,
    **{name: str(folder) for name, folder in BROKER_FOLDERS.items()},
}
CELERY_RESULT_BACKEND = f"file://{RESULTS}"
CELERY_TASK_TIME_LIMIT = 600
