"""Images: what ``image:`` of a container may name, and how it is had. The agent runs what it finds here."""

from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.errors import PullError, PullFailure
from flametest.sandbox.images.image import Bind, Folder, Image, Link, Packages, TextFile
from flametest.sandbox.images.source import Fetch, Images, Obtained
from flametest.sandbox.images.store import ImageStore, StoredImage

__all__ = [
    "Bind",
    "Catalogue",
    "Fetch",
    "Folder",
    "Image",
    "ImageStore",
    "Images",
    "Link",
    "Obtained",
    "Packages",
    "PullError",
    "PullFailure",
    "StoredImage",
    "TextFile",
]
