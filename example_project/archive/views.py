"""What visitors see: the documents, each in the version that its row has."""

from django.views.generic import ListView

from archive.models import Document


class DocumentList(ListView):
    model = Document
