"""What a bakery keeps in its files: small, real, and the same at every run."""

from __future__ import annotations

import io
import json
import zipfile

from PIL import Image, ImageDraw

CARDS = """article,unit,price,since
{rows}
"""
SIGN = (640, 400)


def prices(**articles: float) -> bytes:
    """Return a price list as people export it from a spreadsheet."""
    rows = "\n".join(f"{article.replace('_', ' ')},piece,{price:.2f},2026-01-01" for article, price in articles.items())
    return CARDS.format(rows=rows).encode()


def lease(rent: int, *more: str) -> bytes:
    """Return a contract of a page."""
    lines = [
        "LEASE OF THE NORTH WING",
        "",
        "between Keller & Ott Bakery, Lindenweg 4, and the tenant.",
        "",
        "§ 1  The lease covers the ground floor and the cellar.",
        f"§ 2  The rent is {rent} a month, due on the third working day.",
        "§ 3  The term is two years and goes on by a year unless one party objects.",
        "§ 4  Heating and water are paid by the tenant.",
        "§ 5  The oven in the yard may be used on Saturdays.",
        *more,
        "",
        "Signed by both parties.",
    ]
    return "\n".join(lines).encode()


def hours(**days: str | None) -> bytes:
    """Return opening hours as the web site reads them."""
    return json.dumps({"shop": "Lindenweg 4", "days": days}, indent=2).encode()


def sign(text: str, ground: str) -> bytes:
    """Return the picture of a shop sign."""
    image = Image.new("RGB", SIGN, ground)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((24, 24, SIGN[0] - 24, SIGN[1] - 24), radius=36, outline="#fff8e7", width=8)
    draw.ellipse((250, 70, 390, 210), fill="#e0a458", outline="#fff8e7", width=6)
    draw.arc((275, 95, 365, 185), 200, 340, fill="#8a5a2b", width=6)
    draw.text((SIGN[0] // 2, 290), text, fill="#fff8e7", font_size=56, anchor="mm")
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


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
    file, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n{body}\nendobj\n"
    table = "0000000000 65535 f \n" + "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size, begin = len(objects) + 1, len(file)
    file += f"xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{begin}\n%%EOF\n"
    return file.encode("ascii")


def archive(*names: str) -> bytes:
    """Return a ZIP file that nobody can compare but by its size."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name in names:
            packed.writestr(zipfile.ZipInfo(name), f"Recipe: {name}")
    return written.getvalue()
