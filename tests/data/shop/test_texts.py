import re

import numpy as np

from flatrec.data.shop.catalog import ATTRIBUTES, MATERIALS_OF_KIND, draw_catalog
from flatrec.data.shop.texts import SYNONYMS, describe


def test_descriptions_name_every_attribute_in_some_words(drawn):
    for row in drawn.catalog.iter_rows(named=True):
        for attribute in ATTRIBUTES:
            words = SYNONYMS.get(row[attribute], (row[attribute],))
            assert any(word in row["description"].lower() or word in row["description"] for word in words)


def test_descriptions_vary_and_read_as_sentences(drawn):
    texts = drawn.catalog["description"]
    assert texts.n_unique() > 0.95 * len(texts)
    for text in texts:
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text
        assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]", text)


def test_synonyms_name_values_that_exist():
    assert set(SYNONYMS) <= {value for values in ATTRIBUTES.values() for value in values}


def test_items_are_made_of_what_suits_their_kind():
    catalog = draw_catalog(500, np.random.default_rng(1))
    items = [catalog.item(number) for number in range(len(catalog))]
    assert all(item["material"] in MATERIALS_OF_KIND[item["kind"]] for item in items)
    assert len(describe(catalog, np.random.default_rng(1))) == 500
    for attribute, values in ATTRIBUTES.items():
        assert set(catalog.column(attribute)) == set(values)
