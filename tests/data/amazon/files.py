"""Files as Amazon's data are distributed, made up."""

from __future__ import annotations

import gzip
import json

import numpy as np


def interactions(n_users=30, n_items=12, each=7):
    """Users and items in blocks: every user and item has five interactions at least."""
    return [(f"A{u:09d}", f"B{(u + 5 * k) % n_items:09d}") for u in range(n_users) for k in range(each)]


def write_lines(path, lines):
    data = "".join(line + "\n" for line in lines).encode("utf-8", errors="surrogatepass")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def reviews_2014(path, some=None):
    lines = [
        json.dumps(
            {"reviewerID": user, "asin": item, "helpful": [0, 1], "reviewText": 'He said "fine"', "overall": 4.0,
             "unixReviewTime": 1373846400}
        )
        for user, item in (some or interactions())
    ]  # fmt: skip
    return write_lines(path, lines)


def reviews_2023(path, some=None):
    lines = [
        json.dumps(
            {"rating": 5.0, "title": "Ok", "text": "t", "asin": "C" + item[1:], "parent_asin": item, "user_id": user,
             "timestamp": 1373846400923, "verified_purchase": True}
        )
        for user, item in (some or interactions())
    ]  # fmt: skip
    return write_lines(path, lines)


def meta_2014(path, extra=()):
    """Python literals, not JSON: single quotes, doubled lists of categories, fields that are not there."""
    records = [
        {"asin": f"B{n:09d}", "title": f"Baby's \"thing\" {n}", "price": 7.5, "imUrl": f"http://images/{n}.jpg",
         "related": {"also_bought": ["B1", "B2"]}, "brand": "Ёлка", "categories": [["Baby", "Toys"], ["Baby", f"C{n}"]],
         "salesRank": {"Baby": 3}, "description": f"Line one\nline two \u00e9 {n}"}
        for n in range(12)
    ]  # fmt: skip
    for key in ("title", "brand", "categories", "description", "imUrl"):
        del records[0][key]
    del records[1]["description"]
    return write_lines(path, [*extra, *map(repr, [*records[:11], {"asin": "B999999999", "title": "never reviewed"}])])


def meta_2018(path):
    records = [
        {"category": ["Baby", f"C{n}"], "description": ["One.", "Two."], "title": f"Thing {n}", "brand": "Maker",
         "feature": ["Soft"], "imageURL": [f"http://small/{n}.jpg"], "imageURLHighRes": [f"http://large/{n}.jpg"],
         "asin": f"B{n:09d}"}
        for n in range(12)
    ]  # fmt: skip
    return write_lines(path, map(json.dumps, records))


def meta_2023(path):
    records = [
        {"main_category": "Baby", "title": f"Thing {n}", "features": ["Soft."], "description": ["One.", "Two."],
         "images": [{"thumb": "t", "large": f"http://large/{n}.jpg", "hi_res": None}], "store": "Shop",
         "categories": ["Baby", f"C{n}"], "details": {"Brand": "Maker"}, "parent_asin": f"B{n:09d}"}
        for n in range(12)
    ]  # fmt: skip
    return write_lines(path, map(json.dumps, records))


def image_features(path, items=range(11)):
    generator = np.random.default_rng(0)
    rows = {n: generator.random(4096, dtype=np.float32) for n in (*items, 99)}
    path.write_bytes(b"".join(f"B{n:09d}".encode() + row.astype("<f4").tobytes() for n, row in rows.items()))
    return rows
