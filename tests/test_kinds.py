import pytest

from consistent_s3.kinds import PREVIEW, kind_of


@pytest.mark.parametrize(
    ("name", "label", "picture"),
    [
        ("a/b/lease.pdf", "PDF", False),
        ("photo.JPEG", "JPEG", True),
        ("photo.png", "PNG", True),
        ("drawing.svg", "SVG", False),
        ("archive.tar.gz", "GZ", False),
        ("notes.markdown", "MARK", False),
        ("README", "–", False),
        (".profile", "–", False),
        ("a.b/c", "–", False),
        ("", "–", False),
    ],
)
def test_a_name_tells_the_kind(name, label, picture):
    kind = kind_of(name)

    assert (kind.label, kind.picture) == (label, picture)


@pytest.mark.parametrize(("size", "shown"), [(0, False), (1, True), (PREVIEW, True), (PREVIEW + 1, False)])
def test_a_picture_is_shown_if_it_is_neither_empty_nor_large(size, shown):
    assert kind_of("a.png").shown(size) is shown
    assert not kind_of("a.txt").shown(size)
