"""The built-in shop: a generated data set with images, texts and purchases that needs no download."""

from flatrec.data.shop.settings import ShopSettings
from flatrec.data.shop.shop import Shop, generate
from flatrec.data.shop.writing import write

__all__ = ["Shop", "ShopSettings", "generate", "write"]
