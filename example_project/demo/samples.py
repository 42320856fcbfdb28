"""The sample files: real ones, small, each version a little different, as if two people had worked on them."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw

ANN, BOB = "ann", "bob"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Somebody saves a file in a document."""

    title: str
    field: str = "file"
    file_name: str
    content: bytes
    author: str
    comment: str


PRICES, HOURS, CONTRACT, MINUTES = "Price list", "Opening hours", "Lease contract", "Minutes of the meeting"
WITHDRAWN = MINUTES
AGED, AGED_VERSIONS = PRICES, frozenset({1, 2, 3})
"""The demo dates these a month back, so that there is something to collect."""


def uploads() -> Iterator[Upload]:
    """Yield everything that is uploaded, in order; a file comes before the cover of its document."""
    yield _prices(ANN, "first draft", tea=3.20, coffee=3.50)
    yield _prices(BOB, "coffee is dearer", tea=3.20, coffee=3.80)
    yield _prices(ANN, "tea too", tea=3.40, coffee=3.80)
    yield _prices(BOB, "cake is new", tea=3.40, coffee=3.80, cake=4.50)
    yield _prices(ANN, "summer prices", file_name="prices-summer.txt", tea=2.90, coffee=3.50, cake=4.20)
    yield _hours(BOB, "as on the door", monday=None, tuesday="9-17", saturday="10-14")
    yield _hours(ANN, "open on Mondays", monday="9-17", tuesday="9-17", saturday="10-14")
    yield _hours(BOB, "closed on Saturdays in winter", monday="9-17", tuesday="9-17", saturday=None)
    yield _contract(ANN, "sent to the landlord", "Lease contract, draft", "The rent is 900 a month.")
    yield _contract(BOB, "as signed", "Lease contract", "The rent is 880 a month.", "Signed by both parties.")
    yield _cover(ANN, "placeholder", "DRAFT", "#b0b8c4")
    yield _cover(BOB, "the signed one has a green cover", "SIGNED", "#6fae7c")
    yield _minutes(BOB, "taken down in the meeting", "Present: Ann, Bob.", "Ann repairs the door.")
    yield _minutes(ANN, "corrected", "Present: Ann, Bob, Carol.", "Bob repairs the door.")


def _prices(author: str, comment: str, *, file_name: str = "prices.txt", **prices: float) -> Upload:
    text = "".join(f"{what:<10}{price:>6.2f}\n" for what, price in prices.items())
    return Upload(title=PRICES, file_name=file_name, content=text.encode(), author=author, comment=comment)


def _hours(author: str, comment: str, **days: str | None) -> Upload:
    content = json.dumps(days, indent=2).encode()
    return Upload(title=HOURS, file_name="hours.json", content=content, author=author, comment=comment)


def _contract(author: str, comment: str, *lines: str) -> Upload:
    return Upload(title=CONTRACT, file_name="contract.pdf", content=pdf(*lines), author=author, comment=comment)


def _cover(author: str, comment: str, text: str, colour: str) -> Upload:
    return Upload(
        title=CONTRACT,
        field="cover",
        file_name="cover.png",
        content=picture(text, colour),
        author=author,
        comment=comment,
    )


def _minutes(author: str, comment: str, *lines: str) -> Upload:
    content = "\n".join(lines).encode()
    return Upload(title=MINUTES, file_name="minutes.txt", content=content, author=author, comment=comment)


def picture(text: str, colour: str) -> bytes:
    """Return a small PNG with a word on it."""
    image = Image.new("RGB", (240, 160), colour)
    ImageDraw.Draw(image).text((24, 60), text, fill="white", font_size=32)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def pdf(*lines: str) -> bytes:
    """Return a PDF of one page with a few lines of ASCII text without brackets."""
    text = "\n".join(f"({line}) Tj T*" for line in lines)
    stream = f"BT /F1 18 Tf 24 TL 72 760 Td\n{text}\nET"
    fonts = "<< /Font << /F1 5 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources {fonts} >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    file = "%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n{body}\nendobj\n"
    # Each entry of the cross-reference table takes exactly 20 bytes.
    table = "0000000000 65535 f \n" + "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    file += f"xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(file)}\n%%EOF\n"
    return file.encode("ascii")
