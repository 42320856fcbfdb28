"""The archive for everybody, and the admin for the staff."""

from django.contrib import admin
from django.urls import path

from archive.views import DocumentList

urlpatterns = [
    path("", DocumentList.as_view(), name="documents"),
    path("admin/", admin.site.urls),
]
