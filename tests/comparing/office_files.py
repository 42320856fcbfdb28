"""Office files as small as they can be."""

from __future__ import annotations

import io
import zipfile

SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SLIDE = (
    '<p:sld xmlns:p="p" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p:txBody>%s</p:txBody></p:sld>'
)
OPEN = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body>%s</office:body></office:document-content>'
)


def packed(members: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def excel_members(*sheets: str, strings: str = "", namespace: str = SHEETS) -> dict[str, str | bytes]:
    """Return the members of an Excel file, whose first sheet is the last file."""
    order = list(range(len(sheets), 0, -1))
    listed = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" r:id="rId{n}"/>' for n in order)
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATIONS}/worksheet" Target="{"/xl/" * (n % 2)}worksheets/sheet{n}.xml"/>'
        for n in order
    )
    return {
        "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="x">{related}<Relationship Id="s" '
        f'Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{namespace}">{strings}</sst>',
        **{
            f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{namespace}"><sheetData>{rows}</sheetData></worksheet>'
            for n, rows in enumerate(sheets, 1)
        },
    }


def excel(*sheets: str, strings: str = "", namespace: str = SHEETS, pad: bytes = b"") -> bytes:
    """Return an Excel file, with some bytes in it that nobody reads."""
    return packed({**excel_members(*sheets, strings=strings, namespace=namespace), "pad": pad})


def powerpoint(*slides: str) -> bytes:
    """Return a PowerPoint file, each slide with one paragraph; an empty one without."""
    paragraphs = [f"<a:p><a:r><a:t>{slide}</a:t></a:r></a:p>" if slide else "" for slide in slides]
    members = {f"ppt/slides/slide{n}.xml": SLIDE % text for n, text in reversed([*enumerate(paragraphs, 1)])}
    return packed({"ppt/presentation.xml": "<p/>", **members})
