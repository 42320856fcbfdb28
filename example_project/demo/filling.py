"""The archive on its first day: three people, four documents, and what was done to them."""

from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile

from archive.models import Document
from consistent_s3.attribution import attribution
from demo import samples

ADMIN = "admin"
STAFF = (samples.ANN, samples.BOB)


def add_people(password: str) -> None:
    """Make an administrator, and two members of staff who look after the archive."""
    User.objects.create_superuser(ADMIN, password=password)
    may = Permission.objects.filter(content_type__app_label="archive")
    for name in STAFF:
        User.objects.create_user(name, password=password, is_staff=True).user_permissions.set(may)


def add_documents() -> list[Document]:
    """Save the sample files in their versions, delete one, and return the documents."""
    documents: dict[str, Document] = {}
    for upload in samples.uploads():
        document = documents.setdefault(upload.title, Document(title=upload.title))
        file = getattr(document, upload.field)
        file.save(upload.file_name, ContentFile(upload.content), author=upload.author, comment=upload.comment)
    with attribution(author=samples.BOB, comment="nobody needs them any more"):
        documents[samples.WITHDRAWN].withdraw()
    return list(documents.values())


def keys_to_age() -> frozenset[str]:
    """Return the keys of the sample versions that are to look a month old."""
    document = Document.objects.get(title=samples.AGED)
    return frozenset(version.key for version in document.file.history() if version.number in samples.AGED_VERSIONS)
