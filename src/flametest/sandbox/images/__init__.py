"""Images: what ``image:`` of a container may name, and how it is had. The agent runs what it finds here."""

from flametest.sandbox.images.catalogue import Catalogue, PullError
from flametest.sandbox.images.image import Bind, Folder, Image, Link, TextFile

__all__ = ["Bind", "Catalogue", "Folder", "Image", "Link", "PullError", "TextFile"]
