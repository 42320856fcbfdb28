"""Django's storage API: the same tests against `FileSystemStorage` and ours, then the names that only S3 makes hard."""

from __future__ import annotations

import io
import os
import pathlib
import pickle
import re
import tempfile
import unicodedata
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests

MakeStorage = Callable[..., ConsistentS3Storage]


@pytest.fixture(params=["file system", "ours"])
def make_either(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Callable[..., Storage]:
    """Return a function that makes a storage which overwrites, or finds another name."""
    if request.param == "file system":
        return lambda *, overwrite=True: FileSystemStorage(tmp_path, base_url="/", allow_overwrite=overwrite)
    make_storage: MakeStorage = request.getfixturevalue("make_storage")
    return lambda *, overwrite=True: make_storage(file_overwrite=overwrite)


@pytest.fixture
def either(make_either: Callable[..., Storage]) -> Storage:
    return make_either()


def read(storage: Storage, name: str) -> bytes:
    with storage.open(name) as file:
        return file.read()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


class OwnChunks(ContentFile):
    """A content that knows better than `read` what it consists of."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield b"one "
        yield b"two"


class Unseekable(io.RawIOBase):
    """A stream that can only be read on, as a socket's."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


# Saving and reading


def test_what_was_saved_is_read(either: Storage) -> None:
    name = either.save("notes/a.txt", ContentFile(b"first"))

    assert name == "notes/a.txt"
    assert read(either, name) == b"first"
    assert either.size(name) == 5
    assert either.exists(name)


def test_saving_again_replaces_what_is_read(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"first"))

    name = either.save("a.txt", ContentFile(b"second"))

    assert name == "a.txt"
    assert read(either, "a.txt") == b"second"


def test_saving_again_without_overwrite_takes_another_name(make_either: Callable[..., Storage]) -> None:
    storage = make_either(overwrite=False)
    storage.save("notes/a.tar.gz", ContentFile(b"first"))

    name = storage.save("notes/a.tar.gz", ContentFile(b"second"))

    assert re.fullmatch(r"notes/a_[A-Za-z0-9]{7}\.tar\.gz", name)
    assert read(storage, "notes/a.tar.gz") == b"first"
    assert read(storage, name) == b"second"


def test_without_a_name_the_contents_own_is_taken(make_either: Callable[..., Storage]) -> None:
    for overwrite in (True, False):
        storage = make_either(overwrite=overwrite)

        name = storage.save(None, ContentFile(b"text", name=f"own-{overwrite}.txt"))

        assert name == f"own-{overwrite}.txt"
        assert read(storage, name) == b"text"


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        pytest.param(lambda: ContentFile(b""), b"", id="empty"),
        pytest.param(lambda: ContentFile("naïve €"), "naïve €".encode(), id="text"),
        pytest.param(lambda: ContentFile("a\r\nb\n"), b"a\r\nb\n", id="text with both line ends"),
        pytest.param(lambda: io.BytesIO(b"plain stream"), b"plain stream", id="stream that is no File"),
        pytest.param(lambda: io.StringIO("plain text"), b"plain text", id="text stream that is no File"),
        pytest.param(lambda: OwnChunks(b"ignored"), b"one two", id="its own chunks"),
        pytest.param(lambda: File(Unseekable(b"x" * 200_000)), b"x" * 200_000, id="unseekable stream"),
        pytest.param(lambda: SimpleUploadedFile("a.txt", b"uploaded"), b"uploaded", id="upload"),
    ],
)
def test_any_content_is_stored_as_it_reads(either: Storage, content: Callable[[], Any], stored: bytes) -> None:
    either.save("a.bin", content())

    assert read(either, "a.bin") == stored
    assert either.size("a.bin") == len(stored)


def test_content_positioned_in_the_middle_is_stored_whole(either: Storage) -> None:
    content = ContentFile(b"from the beginning")
    content.seek(9)

    either.save("a.txt", content)

    assert read(either, "a.txt") == b"from the beginning"


def test_content_without_seek_is_stored_from_where_it_stands(either: Storage) -> None:
    content = File(Unseekable(b"read already, the rest"))
    content.read(14)

    either.save("a.txt", content)

    assert read(either, "a.txt") == b"the rest"


def test_an_unnamed_temporary_file_is_stored(either: Storage) -> None:
    with tempfile.TemporaryFile() as temporary:
        temporary.write(b"its name is a number")

        either.save("a.txt", File(temporary))

    assert read(either, "a.txt") == b"its name is a number"


def test_a_file_named_by_bytes_is_stored(either: Storage, tmp_path: pathlib.Path) -> None:
    path = os.fsencode(tmp_path) + b"/h\xe4lfte.txt"
    pathlib.Path(os.fsdecode(path)).write_bytes(b"latin-1 name")

    with open(path, "rb") as file:
        either.save("a.txt", File(file))

    assert read(either, "a.txt") == b"latin-1 name"


def test_closed_content_is_refused(either: Storage) -> None:
    content = File(io.BytesIO(b"gone"))
    content.close()

    with pytest.raises(ValueError, match=r"I/O operation on closed file\."):
        either.save("a.txt", content)


def test_closed_content_leaves_no_version(storage: ConsistentS3Storage) -> None:
    content = File(io.BytesIO(b"gone"))
    content.close()

    with assert_requests(storage), pytest.raises(ValueError, match="closed"):
        storage.save("a.txt", content)


def test_content_stays_open_and_usable(either: Storage) -> None:
    content = ContentFile(b"read me again")

    either.save("a.txt", content)

    content.seek(0)
    assert content.read() == b"read me again"


# Opening


@pytest.mark.parametrize("mode", ["r", "rb", "rt"])
def test_opening_a_missing_file_raises_at_once(either: Storage, mode: str) -> None:
    with pytest.raises(FileNotFoundError):
        either.open("missing.txt", mode)


def test_opening_for_text_reads_text(either: Storage) -> None:
    either.save("a.txt", ContentFile("é\r\nb\n".encode()))

    with either.open("a.txt", "r") as file:
        text = file.read()

    assert text == "é\nb\n"


def test_lines_are_iterated(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"one\ntwo\r\nthree"))

    with either.open("a.txt") as file:
        lines = list(file)

    assert lines == [b"one\n", b"two\r\n", b"three"]


def test_a_closed_file_can_be_reopened_by_itself(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"again"))
    file = either.open("a.txt")
    file.close()

    with file.open() as reopened:
        assert reopened.read() == b"again"

    assert file.closed


def test_an_open_file_goes_back_to_its_beginning(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"again"))

    with either.open("a.txt") as file:
        file.read()
        file.open()

        assert file.read() == b"again"


def test_a_closed_file_cannot_be_read(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"text"))
    file = either.open("a.txt")
    file.close()

    with pytest.raises(ValueError, match="closed file"):
        file.read()


@pytest.mark.parametrize(("mode", "data"), [("wb", b"written"), ("w", "written"), ("xb", b"written")])
def test_opening_for_writing_writes(either: Storage, mode: str, data: bytes | str) -> None:
    with either.open("a.txt", mode) as file:
        file.write(data)

    assert read(either, "a.txt") == b"written"


def test_opening_for_writing_without_writing_makes_an_empty_file(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"before"))

    either.open("a.txt", "wb").close()

    assert read(either, "a.txt") == b""


def test_creating_an_existing_file_is_refused(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"before"))

    with pytest.raises(FileExistsError), either.open("a.txt", "xb") as file:
        file.write(b"after")

    assert read(either, "a.txt") == b"before"


# Names

TRAVERSAL = ["..", "../b", "a/../../b", "/", "/abs", "/abs/b"]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "a/", "a/.", "a/..", "a/../b", "../b", "/abs", "/abs/b", "a\\..\\b", "..\\b", "tmp/.\\."],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_dangerous_names_are_not_saved(make_either: Callable[..., Storage], name: str, overwrite: bool) -> None:
    storage = make_either(overwrite=overwrite)

    with pytest.raises(SuspiciousFileOperation, match=r"Could not derive file name|Detected path traversal attempt"):
        storage.save(name, ContentFile(b"text"))


@pytest.mark.parametrize("name", TRAVERSAL)
@pytest.mark.parametrize(
    "operation", ["open", "exists", "size", "delete", "listdir", "get_modified_time", "get_created_time"]
)
def test_no_operation_leaves_the_storage(either: Storage, operation: str, name: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        getattr(either, operation)(name)


@pytest.mark.parametrize("name", TRAVERSAL)
def test_a_url_never_leaves_the_storage(storage: ConsistentS3Storage, name: str) -> None:
    with pytest.raises(SuspiciousFileOperation, match=r"is outside of the storage\. Use a relative path"):
        storage.url(name)


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        pytest.param("a\\b.txt", "a/b.txt", id="backslash"),
        pytest.param("C:\\b.txt", "C:/b.txt", id="drive"),
        pytest.param("a//b.txt", "a/b.txt", id="double slash"),
        pytest.param("./b.txt", "b.txt", id="leading dot"),
        pytest.param("a/./b.txt", "a/b.txt", id="dot"),
        pytest.param(pathlib.PurePosixPath("a/b.txt"), "a/b.txt", id="path object"),
        pytest.param(".hidden", ".hidden", id="hidden"),
        pytest.param("a..b", "a..b", id="two dots inside"),
        pytest.param("...", "...", id="three dots"),
        pytest.param(" ", " ", id="a space"),
        pytest.param("b.txt ", "b.txt ", id="trailing space"),
        pytest.param("~", "~", id="tilde"),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_names_are_normalised_alike(
    make_either: Callable[..., Storage], given: Any, saved: str, overwrite: bool
) -> None:
    storage = make_either(overwrite=overwrite)

    name = storage.save(given, ContentFile(b"text"))

    assert name == saved
    assert read(storage, name) == b"text"


@pytest.mark.parametrize("name", ["a/./b.txt", "a//b.txt", "x/../a/b.txt", pathlib.PurePosixPath("a/b.txt")])
def test_reading_normalises_as_saving_does(either: Storage, name: Any) -> None:
    either.save("x/other.txt", ContentFile(b"other"))
    either.save("a/b.txt", ContentFile(b"text"))

    assert either.exists(name)
    assert either.size(name) == 4
    assert read(either, name) == b"text"


def test_backslashes_mean_directories_in_every_operation(storage: ConsistentS3Storage) -> None:
    version = storage.write("a\\b.txt", ContentFile(b"text"))

    assert version.name == "a/b.txt"
    assert storage.exists("a\\b.txt")
    assert read(storage, "a\\b.txt") == b"text"
    assert fetch(storage.url("a\\b.txt")) == b"text"
    assert storage.delete("a\\b.txt").name == "a/b.txt"


@pytest.mark.parametrize(
    "name",
    ["a b.txt", "ä€.txt", "a%b#c?.txt", "x/y z.txt", "a\\b c.txt", "a/../b.txt", "..", "", "a/..", "a/", "$.txt", "\t"],
)
@pytest.mark.parametrize("method", ["generate_filename", "get_valid_name", "get_available_name"])
def test_names_are_generated_and_validated_as_djangos_storage_does(
    storage: ConsistentS3Storage, tmp_path: pathlib.Path, method: str, name: str
) -> None:
    def outcome(storage: Storage) -> str:
        try:
            return getattr(storage, method)(name)
        except SuspiciousFileOperation:
            return "suspicious"

    djangos = FileSystemStorage(tmp_path, allow_overwrite=True)

    with assert_requests(storage):
        ours = outcome(storage)

    assert ours == outcome(djangos)


@pytest.mark.parametrize(
    ("name", "max_length", "saved"),
    [
        ("abcdefghij.txt", 14, "abcdefghij.txt"),
        ("abcdefghij.txt", 13, "abcdefghi.txt"),
        ("abcdefghij.txt", 5, "a.txt"),
        ("abcdefghij.tar.gz", 12, "abcde.tar.gz"),
        ("dir/abcdefghij.txt", 12, "dir/abcd.txt"),
        ("abcdefghij", 3, "abc"),
        (".hidden", 4, ".hid"),
    ],
)
def test_a_long_name_is_cut_before_its_extensions(either: Storage, name: str, max_length: int, saved: str) -> None:
    got = either.save(name, ContentFile(b"text"), max_length=max_length)

    assert got == saved
    assert read(either, saved) == b"text"


@pytest.mark.parametrize(
    ("name", "max_length"),
    [("abcdefghij.txt", 4), ("abcdefghij.txt", 2), ("a.tar.gz", 7), ("directory/a.txt", 12)],
)
def test_a_name_that_cannot_be_cut_is_refused(either: Storage, name: str, max_length: int) -> None:
    with pytest.raises(SuspiciousFileOperation):
        either.save(name, ContentFile(b"text"), max_length=max_length)


def test_the_refusal_to_cut_says_what_is_too_long(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage), pytest.raises(SuspiciousFileOperation) as raised:
        storage.save("abc.text", ContentFile(b"text"), max_length=4)

    assert str(raised.value) == (
        "No available name fits 'abc.text': it is 4 characters too long, and only 3 of them may go. "
        "Raise the field's max_length."
    )


@pytest.mark.parametrize(
    ("name", "max_length", "pattern"),
    [
        ("abcdefghij.txt", 14, r"abcdefghij\.txt"),
        ("abcdefghij.txt", 13, r"a_[A-Za-z0-9]{7}\.txt"),
        ("dir/abcdefghij.tar.gz", 20, r"dir/a_[A-Za-z0-9]{7}\.tar\.gz"),
    ],
)
def test_a_long_new_name_is_cut_and_made_unlike_others(
    make_either: Callable[..., Storage], name: str, max_length: int, pattern: str
) -> None:
    storage = make_either(overwrite=False)

    got = storage.save(name, ContentFile(b"text"), max_length=max_length)

    assert re.fullmatch(pattern, got)
    assert len(got) <= max_length


def test_a_taken_name_is_cut_to_make_room_for_the_random_part(make_either: Callable[..., Storage]) -> None:
    storage = make_either(overwrite=False)
    storage.save("abcdefghij.txt", ContentFile(b"first"))

    got = storage.save("abcdefghij.txt", ContentFile(b"second"), max_length=14)

    assert re.fullmatch(r"ab_[A-Za-z0-9]{7}\.txt", got)


def test_a_new_name_without_room_for_the_random_part_is_refused(make_either: Callable[..., Storage]) -> None:
    storage = make_either(overwrite=False)

    with pytest.raises(SuspiciousFileOperation):
        storage.save("abcdefghij.txt", ContentFile(b"text"), max_length=12)


def test_an_available_name_is_another_one_without_overwrite(make_either: Callable[..., Storage]) -> None:
    storage = make_either(overwrite=False)
    storage.save("a.txt", ContentFile(b"text"))

    name = storage.get_available_name("a.txt")

    assert re.fullmatch(r"a_[A-Za-z0-9]{7}\.txt", name)


# Directories


def test_a_directory_is_listed(either: Storage) -> None:
    for name in ("top.txt", "a/one.txt", "a/two.txt", "a/b/three.txt", "a.txt"):
        either.save(name, ContentFile(name.encode()))

    top, inner = either.listdir(""), either.listdir("a")

    assert [sorted(part) for part in top] == [["a"], ["a.txt", "top.txt"]]
    assert [sorted(part) for part in inner] == [["b"], ["one.txt", "two.txt"]]


@pytest.mark.parametrize("path", ["a", "a/", "./a", "a/."])
def test_a_directorys_path_may_be_written_in_many_ways(either: Storage, path: str) -> None:
    either.save("a/one.txt", ContentFile(b"text"))

    assert either.listdir(path) == ([], ["one.txt"])


@pytest.mark.parametrize("path", ["", ".", "./"])
def test_the_root_directory_may_be_written_in_many_ways(either: Storage, path: str) -> None:
    either.save("one.txt", ContentFile(b"text"))

    assert either.listdir(path) == ([], ["one.txt"])
    assert either.exists(path)


def test_a_deleted_file_is_not_listed(either: Storage) -> None:
    either.save("a/one.txt", ContentFile(b"one"))
    either.save("a/two.txt", ContentFile(b"two"))

    either.delete("a/one.txt")

    assert either.listdir("a") == ([], ["two.txt"])


def test_an_emptied_directory_lists_as_empty(either: Storage) -> None:
    either.save("a/one.txt", ContentFile(b"one"))

    either.delete("a/one.txt")

    assert either.listdir("a") == ([], [])


def test_a_directory_that_never_was_lists_as_empty(storage: ConsistentS3Storage) -> None:
    assert storage.listdir("never") == ([], [])


def test_asking_whether_the_root_exists_asks_nobody(storage: ConsistentS3Storage) -> None:
    with assert_requests(storage):
        assert storage.exists("")


# Deleting


def test_a_deleted_file_is_gone_and_can_be_saved_again(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"first"))

    either.delete("a.txt")

    assert not either.exists("a.txt")
    with pytest.raises(FileNotFoundError):
        either.open("a.txt")
    assert either.save("a.txt", ContentFile(b"second")) == "a.txt"
    assert read(either, "a.txt") == b"second"


def test_a_deleted_name_is_free_without_overwrite(make_either: Callable[..., Storage]) -> None:
    storage = make_either(overwrite=False)
    storage.save("a.txt", ContentFile(b"first"))
    storage.delete("a.txt")

    assert storage.save("a.txt", ContentFile(b"second")) == "a.txt"


def test_deleting_what_is_missing_is_no_error(either: Storage) -> None:
    either.delete("missing.txt")

    assert not either.exists("missing.txt")


@pytest.mark.parametrize("name", ["", None])
def test_deleting_nothing_is_an_error(either: Storage, name: Any) -> None:
    with pytest.raises(ValueError, match=r"The name must be given to delete\(\)\."):
        either.delete(name)


# Times and sizes


@pytest.mark.parametrize("method", ["get_modified_time", "get_created_time", "get_accessed_time"])
def test_times_are_aware_and_utc_with_time_zones(either: Storage, settings: Any, method: str) -> None:
    settings.USE_TZ = True
    either.save("a.txt", ContentFile(b"text"))

    time = getattr(either, method)("a.txt")

    assert timezone.is_aware(time)
    assert time.utcoffset() == timedelta(0)
    assert abs(timezone.now() - time) < timedelta(minutes=1)


@pytest.mark.parametrize("method", ["get_modified_time", "get_created_time", "get_accessed_time"])
def test_times_are_naive_and_local_without_time_zones(either: Storage, settings: Any, method: str) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Kolkata"
    either.save("a.txt", ContentFile(b"text"))

    time = getattr(either, method)("a.txt")

    assert timezone.is_naive(time)
    local = timezone.make_naive(timezone.datetime.now(UTC), timezone.get_default_timezone())
    assert abs(local - time) < timedelta(minutes=1)


@pytest.mark.parametrize("method", ["size", "get_modified_time", "get_created_time", "get_accessed_time"])
def test_nothing_is_known_of_a_missing_file(either: Storage, method: str) -> None:
    with pytest.raises(FileNotFoundError):
        getattr(either, method)("missing.txt")


def test_there_is_no_local_path(storage: ConsistentS3Storage) -> None:
    with pytest.raises(NotImplementedError, match="absolute paths"):
        storage.path("a.txt")


# Storages as values


def test_a_storage_is_deconstructed_for_migrations(make_storage: MakeStorage, storage_options: dict[str, Any]) -> None:
    storage = make_storage(location="media")

    path, positional, options = storage.deconstruct()

    assert path == "consistent_s3.storage.ConsistentS3Storage"
    assert positional == ()
    assert options == {**storage_options, "location": "media"}


def test_a_storage_survives_pickling_in_use(either: Storage) -> None:
    either.save("a.txt", ContentFile(b"text"))

    copy = pickle.loads(pickle.dumps(either))

    assert read(copy, "a.txt") == b"text"
    assert copy.save("a.txt", ContentFile(b"more")) == "a.txt"
    assert read(either, "a.txt") == b"more"


# Names that are hard on S3 and on URLs

HARD_NAMES = [
    pytest.param("two words.txt", id="space"),
    pytest.param("a/#1?.txt", id="fragment and query"),
    pytest.param("100%.txt", id="percent"),
    pytest.param("%41.txt", id="percent-encoded"),
    pytest.param("a+b=c&d.txt", id="plus"),
    pytest.param("me@home~.txt", id="at and tilde"),
    pytest.param("!$'()*,:;[]{}|^`<>\".txt", id="punctuation"),
    pytest.param("日本語/ключ.txt", id="other scripts"),
    pytest.param("🗄️.txt", id="beyond the basic plane"),
    pytest.param("a\u2028b.txt", id="line separator"),
    pytest.param("trailing. ", id="trailing dot and space"),
    pytest.param("n" * 896 + ".txt", id="900 bytes"),
    pytest.param("é" * 448 + ".txt", id="900 bytes of two"),
    pytest.param("/".join(["d" * 99] * 9), id="899 bytes in directories"),
]


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_hard_name_is_saved_listed_read_and_fetched(make_storage: MakeStorage, name: str) -> None:
    storage = make_storage()

    saved = storage.save(name, ContentFile(b"first"))
    storage.save(name, ContentFile(b"second"))

    directory, _, last = name.rpartition("/")
    assert saved == name
    assert storage.listdir(directory) == ([], [last])
    assert read(storage, name) == b"second"
    assert [version.name for version in storage.history(name)] == [name, name]
    assert fetch(storage.url(name)) == b"second"
    assert fetch(storage.url(name, version=1)) == b"first"


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_hard_name_is_fetched_without_signature(make_storage: MakeStorage, name: str) -> None:
    storage = make_storage(querystring_auth=False, default_acl="public-read", location="media/public")
    storage.save(name, ContentFile(b"text"))

    url = storage.url(name)

    assert "?" not in url
    assert fetch(url) == b"text"


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_hard_name_is_deleted_and_undeleted(storage: ConsistentS3Storage, name: str) -> None:
    storage.save(name, ContentFile(b"text"))

    storage.delete(name)

    directory, _, last = name.rpartition("/")
    assert storage.listdir(directory) == ([], [])
    storage.undelete(name)
    assert storage.listdir(directory) == ([], [last])
    assert read(storage, name) == b"text"


def test_two_normal_forms_are_two_names(storage: ConsistentS3Storage) -> None:
    composed, decomposed = unicodedata.normalize("NFC", "é.txt"), unicodedata.normalize("NFD", "é.txt")
    storage.save(composed, ContentFile(b"composed"))

    storage.save(decomposed, ContentFile(b"decomposed"))

    assert composed != decomposed
    assert storage.listdir("") == ([], sorted([composed, decomposed]))
    assert [len(list(storage.history(name))) for name in (composed, decomposed)] == [1, 1]
    assert fetch(storage.url(composed)) == b"composed"
    assert fetch(storage.url(decomposed)) == b"decomposed"


def test_similar_names_keep_apart(storage: ConsistentS3Storage) -> None:
    names = ["key", "key2", "key/below", "key.1", "Key", "key.-", "key ", "ke", "key-", "key.txt", "key.-w"]
    for name in names:
        storage.save(name, ContentFile(name.encode()))

    histories = {name: list(storage.history(name)) for name in names}

    assert {name: [version.name for version in history] for name, history in histories.items()} == {
        name: [name] for name in names
    }
    assert {name: read(storage, name) for name in names} == {name: name.encode() for name in names}
    assert storage.listdir("") == (["key"], sorted(set(names) - {"key/below"}))


IMPOSSIBLE_NAMES = [
    pytest.param("a\nb.txt", "'a\\nb.txt' contains a control character (U+000A). Remove it.", id="newline"),
    pytest.param("a\0b.txt", "'a\\x00b.txt' contains a control character (U+0000). Remove it.", id="null"),
    pytest.param("a\x7fb.txt", "'a\\x7fb.txt' contains a control character (U+007F). Remove it.", id="delete"),
    pytest.param("a\x85b.txt", "'a\\x85b.txt' contains a control character (U+0085). Remove it.", id="C1"),
    pytest.param(
        "a\udc80.txt", "'a\\udc80.txt' contains half of a surrogate pair (U+DC80). Remove it.", id="surrogate"
    ),
    pytest.param(
        "x" * 2000,
        f"'{'x' * 80}...' has 2000 bytes, 1024 too many for a key of 1024 bytes. Choose a shorter name.",
        id="2,000 characters",
    ),
    pytest.param(
        "a.-v/b.txt",
        "'a.-v/b.txt' contains '.-v', which sets versions apart from names. Choose another name.",
        id="our own marker",
    ),
]


@pytest.mark.parametrize(("name", "sentence"), IMPOSSIBLE_NAMES)
@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda storage, name: storage.save(name, ContentFile(b"text")), id="save"),
        pytest.param(lambda storage, name: storage.save_new(name, ContentFile(b"text")), id="save_new"),
        pytest.param(lambda storage, name: storage.write(name, ContentFile(b"text")), id="write"),
        pytest.param(lambda storage, name: storage.open(name), id="open"),
        pytest.param(lambda storage, name: storage.open(name, "wb"), id="open for writing"),
        pytest.param(lambda storage, name: storage.exists(name), id="exists"),
        pytest.param(lambda storage, name: storage.delete(name), id="delete"),
        pytest.param(lambda storage, name: storage.url(name), id="url"),
        pytest.param(lambda storage, name: storage.size(name), id="size"),
        pytest.param(lambda storage, name: storage.listdir(name), id="listdir"),
        pytest.param(lambda storage, name: storage.history(name), id="history"),
        pytest.param(lambda storage, name: storage.restore(name, 1), id="restore"),
        pytest.param(lambda storage, name: storage.undelete(name), id="undelete"),
        pytest.param(lambda storage, name: storage.erase(name), id="erase"),
    ],
)
def test_an_impossible_name_is_refused_before_any_request(
    storage: ConsistentS3Storage, operation: Callable[[ConsistentS3Storage, str], Any], name: str, sentence: str
) -> None:
    with assert_requests(storage), pytest.raises(SuspiciousFileOperation) as raised:
        operation(storage, name)

    assert str(raised.value) == sentence
    assert isinstance(raised.value, ConsistentS3Error)
    assert isinstance(raised.value, ValueError)


def test_a_location_counts_against_the_length_of_a_name(make_storage: MakeStorage) -> None:
    storage = make_storage(location="l" * 100)

    with assert_requests(storage), pytest.raises(SuspiciousFileOperation) as raised:
        storage.save("n" * 900, ContentFile(b"text"))

    assert str(raised.value) == (
        f"'{'n' * 80}...' has 900 bytes, 25 too many for a key of 1024 bytes. Choose a shorter name."
    )
