"""Public data from where their makers keep them."""

from flatrec.data.fetching.catalogue import CATALOGUE, RemoteFile
from flatrec.data.fetching.download import fetch

__all__ = ["CATALOGUE", "RemoteFile", "fetch"]
