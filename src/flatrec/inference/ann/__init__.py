"""An approximate index of the items of large catalogs, whose recall is measured against exact lists."""

from flatrec.inference.ann.index import ItemIndex, build_index
from flatrec.inference.ann.settings import IndexFacts, IndexSettings

__all__ = ["IndexFacts", "IndexSettings", "ItemIndex", "build_index"]
