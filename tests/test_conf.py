"""Bad options are refused when a storage is made, with a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from consistent_s3 import conf
from consistent_s3.core.numbers import Numbering
from consistent_s3.rules import KEEP_RULES, STORAGE_WIDE
from consistent_s3.storage import ConsistentS3Storage

MakeStorage = Callable[..., ConsistentS3Storage]
WHERE = "ConsistentS3Storage for bucket 'files'"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(
            {"retension": {}},
            "ConsistentS3Storage has no option 'retension'. Did you mean 'retention'?",
            id="our option misspelt",
        ),
        pytest.param(
            {"bucket": "files"},
            "ConsistentS3Storage has no option 'bucket'. Did you mean 'bucket_name'?",
            id="django-storages' option misspelt",
        ),
        pytest.param(
            {"index": "zzz"},
            f"{WHERE}['index'] has no option 'zzz'. Known are: {', '.join(sorted(conf.INDEXES))}.",
            id="unknown index",
        ),
        pytest.param(
            {"index": None},
            f"{WHERE}['index'] has no option None. Known are: {', '.join(sorted(conf.INDEXES))}.",
            id="no index",
        ),
        pytest.param(
            {"numbering": "sequense"},
            f"{WHERE}['numbering'] has no option 'sequense'. Did you mean 'sequence'?",
            id="numbering misspelt",
        ),
        pytest.param(
            {"numbering": 7}, f"{WHERE}['numbering'] has no option 7. Known are: clock, sequence.", id="numbering 7"
        ),
        pytest.param(
            {"location": "media//files"},
            f"{WHERE}['location']: 'media//files' has the segment ''. "
            "Use a relative path without empty, '.' or '..' segments.",
            id="location with an empty segment",
        ),
        pytest.param(
            {"location": "media/../.."},
            f"{WHERE}['location']: 'media/../..' has the segment '..'. "
            "Use a relative path without empty, '.' or '..' segments.",
            id="location outside",
        ),
        pytest.param(
            {"retention": None},
            f"{WHERE}['retention'] is None. Use a dictionary such as {{'keep_last': 10}}.",
            id="no retention",
        ),
        pytest.param(
            {"retention": {"keep_lats": 3}},
            f"{WHERE}['retention'] has no option 'keep_lats'. Did you mean 'keep_last'?",
            id="retention misspelt",
        ),
        pytest.param(
            {"retention": {3: 3}},
            f"{WHERE}['retention'] has no option 3. Known are: {', '.join(sorted((*KEEP_RULES, *STORAGE_WIDE)))}.",
            id="retention of numbers",
        ),
        pytest.param(
            {"retention": {"keep_last": "3"}},
            f"{WHERE}['retention']['keep_last'] is '3'. Use a whole number, at least 1.",
            id="keep_last as text",
        ),
        pytest.param(
            {"retention": {"keep_last": True}},
            f"{WHERE}['retention']['keep_last'] is True. Use a whole number, at least 1.",
            id="keep_last as a boolean",
        ),
        pytest.param(
            {"retention": {"keep_last": 0}},
            f"{WHERE}['retention']: keep_last is 0. Keep at least 1, or a name would be left nothing.",
            id="keep_last nothing",
        ),
        pytest.param(
            {"retention": {"keep_for": "30 days"}},
            f"{WHERE}['retention']['keep_for'] is '30 days'. Use a timedelta, or a number of seconds.",
            id="keep_for as text",
        ),
        pytest.param(
            {"retention": {"keep_for": True}},
            f"{WHERE}['retention']['keep_for'] is True. Use a timedelta, or a number of seconds.",
            id="keep_for as a boolean",
        ),
        pytest.param(
            {"retention": {"keep_for": -1}},
            f"{WHERE}['retention']: keep_for is -1 day, 23:59:59. It must not be negative.",
            id="keep_for negative",
        ),
        pytest.param(
            {"retention": {"tombstone_for": "30 days"}},
            f"{WHERE}['retention']['tombstone_for'] is '30 days'. Use a timedelta, or a number of seconds.",
            id="tombstone_for as text",
        ),
        pytest.param(
            {"retention": {"grace": 1e300}},
            f"{WHERE}['retention']['grace'] is 1e+300. Use a timedelta, or a number of seconds.",
            id="grace beyond measure",
        ),
        pytest.param(
            {"patience": float("nan")},
            f"{WHERE}['patience'] is nan. Use a timedelta, or a number of seconds.",
            id="patience not a number",
        ),
        pytest.param({"patience": 0}, f"{WHERE}: patience is 0:00:00. It must be greater than zero.", id="no patience"),
        pytest.param(
            {"write_deadline": None},
            f"{WHERE}['write_deadline'] is None. Use a timedelta, or a number of seconds.",
            id="no write deadline",
        ),
        pytest.param(
            {"write_deadline": timedelta(0)},
            f"{WHERE}: write_deadline is 0:00:00. It must be greater than zero.",
            id="write deadline of nothing",
        ),
        pytest.param(
            {"retention": {"grace": 960}},
            f"{WHERE}: grace is 0:16:00, but a stalled writer can still create a number 0:16:00 after it learned it "
            "(write_deadline 0:01:00 plus 0:15:00 for which a signed request is valid). "
            "Raise grace or lower write_deadline.",
            id="grace too short",
        ),
        pytest.param(
            {"write_deadline": timedelta(days=1)},
            f"{WHERE}: grace is 1 day, 0:00:00, but a stalled writer can still create a number 1 day, 0:15:00 after "
            "it learned it (write_deadline 1 day, 0:00:00 plus 0:15:00 for which a signed request is valid). "
            "Raise grace or lower write_deadline.",
            id="write deadline too long",
        ),
    ],
)
def test_a_bad_option_is_refused_with_what_to_write_instead(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        ConsistentS3Storage(**{"bucket_name": "files", **options})

    assert str(raised.value) == sentence


def test_an_option_like_no_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        ConsistentS3Storage(zzz=1)

    message = str(raised.value)
    assert message.startswith("ConsistentS3Storage has no option 'zzz'. Known are: access_key, addressing_style, ")
    assert ", retention, " in message


def test_a_subclass_is_named_in_the_error() -> None:
    class Invoices(ConsistentS3Storage):
        pass

    with pytest.raises(ImproperlyConfigured, match=r"^Invoices has no option 'buket_name'"):
        Invoices(buket_name="files")


def test_durations_are_timedeltas_or_seconds() -> None:
    storage = ConsistentS3Storage(
        bucket_name="files",
        write_deadline=30,
        patience=2.5,
        retention={"keep_last": 3, "keep_for": timedelta(days=30), "grace": 3600},
    )

    assert storage.timing.write_deadline == timedelta(seconds=30)
    assert storage.timing.patience == timedelta(seconds=2.5)
    assert storage.timing.grace == timedelta(hours=1)
    assert (storage.policy.keep_last, storage.policy.keep_for) == (3, timedelta(days=30))


def test_without_options_everything_is_kept() -> None:
    storage = ConsistentS3Storage(bucket_name="files")

    assert storage.policy.keeps_everything
    assert storage.numbers is Numbering.SEQUENCE
    assert storage.timing.write_deadline == timedelta(seconds=60)
    assert storage.timing.patience == timedelta(seconds=30)
    assert storage.timing.grace == timedelta(days=1)


def test_a_setting_serves_for_all_storages_and_an_option_for_one(settings: Any) -> None:
    settings.CONSISTENT_S3_RETENTION = {"keep_last": 5}
    settings.CONSISTENT_S3_NUMBERING = "clock"
    settings.CONSISTENT_S3_WRITE_DEADLINE = 10

    by_setting = ConsistentS3Storage(bucket_name="files")
    by_option = ConsistentS3Storage(bucket_name="files", retention={"keep_last": 2}, numbering="sequence")

    assert (by_setting.policy.keep_last, by_setting.numbers) == (5, Numbering.CLOCK)
    assert (by_option.policy.keep_last, by_option.numbers) == (2, Numbering.SEQUENCE)
    assert by_setting.timing.write_deadline == by_option.timing.write_deadline == timedelta(seconds=10)


def test_a_storage_without_a_bucket_is_refused_at_once(settings):
    with pytest.raises(ImproperlyConfigured) as refusal:
        ConsistentS3Storage(bucket_name=None)

    assert str(refusal.value) == (
        "ConsistentS3Storage has no bucket. Set OPTIONS['bucket_name'], or AWS_STORAGE_BUCKET_NAME."
    )
