"""flatrec: multimodal recommenders trained into flat minima."""

__version__ = "0.1.0"
