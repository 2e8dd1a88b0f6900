import pytest

from flatrec.data.shop import Shop, ShopSettings, generate


@pytest.fixture(scope="package")
def drawn() -> Shop:
    return generate(ShopSettings(users=300, items=240, seed=3))


@pytest.fixture(scope="package")
def undrawn() -> Shop:
    return generate(ShopSettings(users=300, items=240, seed=3, images=False, image_dim=300, text_dim=20))
