"""However a survey is cut and broken off, each name is come to once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consistent_s3.core import collector as collecting
from consistent_s3.core import survey as surveying
from consistent_s3.core.archive import Archive
from consistent_s3.core.collector import Collector, Limits
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.core.span import Span
from consistent_s3.core.survey import Group, ListingSurvey
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive
from tests.core.faults import Faulty

LAST = RetentionPolicy(keep_last=1)
WRITE_ID = "0123456789abcdef01234567"

Fill = Callable[[Archive], object]


def put(archive: Archive, key: str, data: bytes = b"x") -> None:
    archive.store.put(key, io.BytesIO(data), mode=PutMode.OVERWRITE, attributes=Attributes())


def versions(archive: Archive, name: str, count: int = 2) -> None:
    for number in range(1, count + 1):
        put(archive, archive.layout.version_key(name, number))


def everything(archive: Archive, name: str) -> None:
    """Give a name versions, a body, a hint, and foreign keys before, between and after them."""
    layout = archive.layout
    versions(archive, name, 3)
    put(archive, layout.body_key(name, WRITE_ID))
    put(archive, layout.hint_key(name, WRITE_ID), b"")
    for ending in ("", ".-v-aaa", ".-v-body/notes", ".-v-c", ".-v/notes", ".-v/9999", ".-vz", ".-w"):
        put(archive, f"{layout.root}{name}{ending}")


def flat(archive: Archive) -> None:
    for place in range(40):
        versions(archive, f"{place:03}.txt")


def one_directory(archive: Archive) -> None:
    for place in range(25):
        versions(archive, f"only/{place:03}.txt")


def deep(archive: Archive) -> None:
    for place in range(20):
        versions(archive, "/".join("abcdefgh"[: 1 + place % 8]) + f"/{place}.txt")


def very_deep(archive: Archive) -> None:
    for place in range(9):
        versions(archive, "/".join("d" for _ in range(15)) + f"/{place}.txt")


def one_after_the_other(archive: Archive) -> None:
    """Names that are beginnings of one another, and directories called as files are."""
    for name in ("a", "a/a", "a/a/a", "a-", "a-/b", "a.", "a.-", "a.-/a", "a0", "a/b", "a.txt", "a.txt/a", "a.txta"):
        versions(archive, name)


def all_kinds(archive: Archive) -> None:
    for name in ("a.iso", "a.iso/inside", "b/c.iso", "b/d.iso", "b/d/e.iso", "z.iso"):
        everything(archive, name)


def unicode(archive: Archive) -> None:
    for name in ("é.txt", "é.txt", "ä/ö.txt", "ä/ü.txt", "\U0001f600/x", "\uf8ff/x", "中/文.txt", "a b+c%2F&.txt"):
        versions(archive, name)


def foreign_only(archive: Archive) -> None:
    for place in range(30):
        put(archive, f"{archive.layout.root}photos/{place}.jpg")


def empty(archive: Archive) -> None:
    pass


KINDS = [flat, one_directory, deep, very_deep, one_after_the_other, all_kinds, unicode, foreign_only, empty]


@pytest.fixture(params=["", "media/files"], ids=["bucket", "location"])
def place(request: pytest.FixtureRequest, memory: MemoryObjectStore, clock: ManualClock) -> Archive:
    return make_archive(memory, clock, location=request.param)


def seen(survey: ListingSurvey, span: Span) -> list[tuple[str, list[str]]]:
    return [(group.name, sorted(keys(group))) for group in survey.groups(span) if group.name]


def keys(group: Group) -> list[str]:
    return [info.key for info in (*dict(group.versions).values(), *group.bodies, *group.hints, *group.strays)]


def foreign(survey: ListingSurvey, span: Span) -> int:
    return sum(group.foreign for group in survey.groups(span))


def pieces(survey: ListingSurvey, span: Span, depth: int = 12) -> Iterator[Span]:
    """Halve a span, and its halves, for as long as they can be."""
    middle = survey.halve(span) if depth else ""
    if not middle:
        yield span
        return
    assert span.holds(middle)
    yield from pieces(survey, Span(after=span.after, until=middle), depth - 1)
    yield from pieces(survey, Span(after=middle, until=span.until), depth - 1)


@pytest.mark.parametrize("fill", KINDS)
def test_halves_of_halves_come_to_each_name_once_and_whole(place: Archive, fill: Fill) -> None:
    fill(place)
    survey = ListingSurvey(archive=place)

    parts = list(pieces(survey, Span()))

    whole = seen(survey, Span())
    assert sorted(found for part in parts for found in seen(survey, part)) == sorted(whole)
    assert len({name for name, _ in whole}) == len(whole)
    assert sum(foreign(survey, part) for part in parts) == foreign(survey, Span())


@pytest.mark.parametrize(
    ("fill", "names"), [(flat, 40), (one_directory, 25), (deep, 20), (one_after_the_other, 13), (all_kinds, 6)]
)
def test_what_has_many_names_can_be_halved_until_each_half_has_few(place: Archive, fill: Fill, names: int) -> None:
    fill(place)
    survey = ListingSurvey(archive=place)

    parts = [seen(survey, part) for part in pieces(survey, Span())]

    assert sum(map(len, parts)) == names
    assert max(map(len, parts)) <= 3


def test_two_halves_of_a_flat_bucket_are_about_equal(place: Archive) -> None:
    flat(place)
    survey = ListingSurvey(archive=place)

    middle = survey.halve(Span())

    assert len(seen(survey, Span(until=middle))) == len(seen(survey, Span(after=middle))) == 20


def test_of_more_entries_than_a_page_shows_the_rest_is_halved_again(place: Archive) -> None:
    for number in range(1200):
        put(place, place.layout.version_key(f"{number:04}", 1))
    survey = ListingSurvey(archive=place)

    middle = survey.halve(Span())
    again = survey.halve(Span(after=middle))

    sizes = [
        len(seen(survey, span)) for span in (Span(until=middle), Span(after=middle, until=again), Span(after=again))
    ]
    assert sizes == [999, 101, 100]


def test_a_name_that_is_alone_is_not_halved(place: Archive) -> None:
    versions(place, "dir/only.txt", 5)

    assert ListingSurvey(archive=place).halve(Span()) == ""


def test_a_place_to_halve_costs_a_listing_for_each_level(memory: MemoryObjectStore, clock: ManualClock) -> None:
    store = Faulty(memory)
    place = make_archive(store, clock)
    deep(place)

    ListingSurvey(archive=place).halve(Span(after=place.layout.version_key("a/b/c/d/2", 1)))

    assert 1 <= store.count("list") <= 6


@pytest.mark.parametrize("fill", KINDS)
def test_broken_off_after_any_name_the_rest_is_what_was_not_seen(place: Archive, fill: Fill) -> None:
    fill(place)
    survey = ListingSurvey(archive=place)
    groups = list(survey.groups(Span()))

    for count, group in enumerate(groups, start=1):
        rest = list(survey.groups(Span(after=group.end)))

        assert [(one.name, keys(one), one.foreign) for one in rest] == [
            (one.name, keys(one), one.foreign) for one in groups[count:]
        ]


def test_many_foreign_keys_in_a_row_are_passed_in_parts(
    archive: Archive, memory: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a worker would show no sign of life, nor move on, for as long as they last."""
    monkeypatch.setattr(surveying, "FOREIGN", 10)
    foreign_only(archive)

    groups = list(ListingSurvey(archive=archive).groups(Span()))

    assert [(group.name, group.foreign) for group in groups] == [("", 10)] * 3
    assert groups[-1].end == memory.keys[-1]


def test_every_page_is_a_sign_of_life(archive: Archive) -> None:
    versions(archive, "a.txt", 2500)
    signs: list[None] = []

    list(ListingSurvey(archive=archive, alive=lambda: signs.append(None)).groups(Span()))

    assert len(signs) == 3


# Whole collections, cut and broken off

SEGMENT = st.text(alphabet="ab.-0é", min_size=1, max_size=3).filter(lambda text: text not in {".", ".."})
NAME = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join).filter(lambda name: ".-v" not in name)
CONTENTS = st.fixed_dictionaries(
    {
        "versions": st.dictionaries(NAME, st.integers(1, 5), max_size=12),
        "bodies": st.lists(NAME, max_size=3),
        "hints": st.lists(NAME, max_size=3),
        "foreign": st.lists(st.text(alphabet="ab.-v/9", min_size=1, max_size=8), max_size=6),
    }
)


def filled(contents: dict[str, object]) -> Archive:
    clock = ManualClock()
    archive = make_archive(MemoryObjectStore(clock=clock), clock)
    for name, count in contents["versions"].items():  # type: ignore[attr-defined]
        versions(archive, name, count)
    for name in contents["bodies"]:  # type: ignore[attr-defined]
        put(archive, archive.layout.body_key(name, WRITE_ID))
    for name in contents["hints"]:  # type: ignore[attr-defined]
        put(archive, archive.layout.hint_key(name, WRITE_ID), b"")
    for key in contents["foreign"]:  # type: ignore[attr-defined]
        put(archive, key)
    clock.advance(timedelta(days=3))
    return archive


def counts(summary: Summary) -> dict[str, object]:
    return {**summary.as_dict(), "reasons": dict(sorted(summary.reasons.items()))}


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry", "real"])
@given(contents=CONTENTS, chance=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_sequence_of_turns_and_halvings_ends_as_one_pass_does(
    dry_run: bool, contents: dict[str, object], chance: object
) -> None:
    whole, cut = filled(contents), filled(contents)
    once: list[Fate] = []
    expected = Collector(archive=whole, policy=LAST).run(dry_run=dry_run, tell=once.append)

    found: list[Fate] = []
    total = Summary(dry_run=dry_run)
    spans = [Span()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "NAMES", 2)
        patch.setattr(collecting, "DELETE_BATCH", 3)
        collector = Collector(archive=cut, policy=LAST)
        while spans:
            span = spans.pop(chance.randrange(len(spans)))  # type: ignore[attr-defined]
            seconds = 0.0 if chance.random() < 0.7 else None  # type: ignore[attr-defined]
            summary = collector.run(dry_run=dry_run, tell=found.append, span=span, limits=Limits(seconds=seconds))
            total.add(summary)
            if summary.rest is None:
                continue
            middle = ListingSurvey(archive=cut).halve(summary.rest) if chance.random() < 0.6 else ""  # type: ignore[attr-defined]
            rest = summary.rest
            if middle:
                spans.append(Span(after=middle, until=rest.until))
                rest = Span(after=rest.after, until=middle)
            spans.append(rest)

    assert sorted(found, key=lambda fate: fate.key) == sorted(once, key=lambda fate: fate.key)
    assert counts(total) == counts(expected)
    assert cut.store.keys == whole.store.keys  # type: ignore[attr-defined]
