"""Pictures made small, and what somebody may have put in their place."""

from __future__ import annotations

import io
import sys

import pytest
from PIL import Image

from consistent_s3.comparing import thumbnails
from consistent_s3.comparing.thumbnails import SIDE, thumbnail


def drawn(size: tuple[int, int], form: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    written = io.BytesIO()
    Image.new(mode, size, 1).save(written, form, **options)
    return written.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_large_picture_becomes_small_and_keeps_its_proportions(form):
    made = thumbnail(drawn((1000, 500), form))

    with Image.open(io.BytesIO(made)) as picture:
        assert (picture.format, picture.size) == ("PNG", (SIDE, SIDE // 2))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16"])
def test_every_way_to_say_colours_is_understood(mode):
    assert thumbnail(drawn((9, 9), mode=mode))


def test_a_small_picture_is_not_made_larger():
    with Image.open(io.BytesIO(thumbnail(drawn((9, 5))))) as picture:
        assert picture.size == (9, 5)


def test_a_camera_held_sideways_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6

    made = thumbnail(drawn((20, 10), "JPEG", exif=exif))

    with Image.open(io.BytesIO(made)) as picture:
        assert picture.size == (10, 20)


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n broken", drawn((300, 300))[:100]])
def test_what_is_no_whole_picture_has_no_thumbnail(data):
    assert thumbnail(data) is None


def test_a_picture_that_unpacks_to_too_much_is_left_alone(monkeypatch):
    monkeypatch.setattr(thumbnails, "PIXELS", 99)

    assert thumbnail(drawn((10, 10))) is None
    assert thumbnail(drawn((9, 11)))


def test_without_pillow_there_are_no_thumbnails(monkeypatch):
    data = drawn((9, 9))
    monkeypatch.setitem(sys.modules, "PIL", None)

    assert thumbnail(data) is None
