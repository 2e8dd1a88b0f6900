"""Small public data sets of the layouts of the real ones, on the server of this machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from dataclasses import replace

import numpy as np

from flatrec.data.fetching.catalog import PublicDataset, RemoteFile
from flatrec.data.fetching.public_datasets import DATASETS

USERS, ITEMS = 4, 3
# userID, itemID and x_label: every user with two items, the last one in the test split of user 3
INTER = "userID\titemID\trating\tx_label\n" + "".join(
    f"{user}\t{(user + step) % ITEMS}\t1\t{2 if user == 3 and step else 0}\n"
    for user in range(USERS)
    for step in (0, 1)
)


def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def array(columns, rows=ITEMS, start=1.0):
    """Feature rows: ``start`` + row + column / 10."""
    data = io.BytesIO()
    np.save(data, start + np.arange(rows)[:, None] + np.arange(columns)[None] / 10)
    return data.getvalue()


def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def at(server, file: RemoteFile | None, **changes) -> RemoteFile | None:
    """A file of the table, on the server of this machine."""
    if file is None:
        return None
    listing = f"{server.address}/record.json" if file.listing else ""
    md5 = f"{server.address}/{file.published_name}.md5" if file.md5_address else ""
    address = f"{server.address}/{file.published_name}"
    return replace(file, address=address, md5_address=md5, listing=listing, **changes)


def sample(server, name, counts) -> PublicDataset:
    """A data set of the table with its files on the server, their checksums and sizes, and other counts."""
    dataset = DATASETS[name]

    def changed(file):
        if file is None or not file.checksum:
            return at(server, file)
        data = server.files[file.published_name]
        return at(server, file, checksum=f"git:{blob(data)}", size=len(data))

    return replace(
        dataset,
        files=tuple(map(changed, dataset.files)),
        encoders=tuple(
            replace(encoder, file=changed(encoder.file))
            for encoder in dataset.encoders
            if encoder.file is None or encoder.file.published_name in server.files
        ),
        counts=counts,
    )


def dbbook():
    return {
        "dbbook.inter": INTER.encode(),
        "all-MiniLM-L6-v2.npy": array(2),
        "all-mpnet-base-v2.npy": array(3, start=5.0),
        "vit_cls.npy": array(4),
    }


def m3l():
    members = {"m3l-20m/m3l-20m.inter": INTER, "__MACOSX/m3l-20m/._m3l-20m.inter": "x"}
    for encoder in DATASETS["m3l-20m"].encoders:
        members[f"m3l-20m/{encoder.member}"] = array(2, start=float(len(encoder.name)))
    archive = zipped(members)
    entry = {"key": "MMRec_M3L-20M.zip", "size": len(archive), "checksum": f"md5:{hashlib.md5(archive).hexdigest()}"}
    record = {"files": [entry], "metadata": {"license": {"id": "cc-by-4.0"}}}
    return {"MMRec_M3L-20M.zip": archive, "record.json": json.dumps(record).encode()}


def microlens():
    """Users 1 to 4, items 1 to 3; item 3 has a comma in its title and no quotation marks."""
    pairs = "user,item,timestamp\n" + "".join(
        f"{user},{item},{1_600_000_000_000 + user}\n" for user in range(1, 5) for item in (1, 2, 3) if user != item
    )
    files = {"MicroLens-100k_pairs.csv": pairs.encode(), "MicroLens-100k_title_en.csv": b"1,One\n2,Two\n3,Three, red\n"}
    for encoder in DATASETS["microlens-100k"].encoders:
        files[encoder.file.published_name] = array(2)
    return files


def amazon_2023():
    rows = [(user, item) for user in ("u1", "u2", "u3") for item in ("B1", "B2")]
    ratings = "user_id,parent_asin,rating,timestamp\n" + "".join(f"{u},{i},5.0,1588615855070\n" for u, i in rows)
    meta = [
        {"parent_asin": "B2", "title": "Drum", "categories": ["Music", "Drums"], "description": ["loud"]},
        {"parent_asin": "B9", "title": "Nobody rated it"},
        {"parent_asin": "B1", "title": "Flute", "store": "Winds"},
    ]
    return {
        "Musical_Instruments.csv.gz": gzip.compress(ratings.encode()),
        "meta_Musical_Instruments.jsonl.gz": gzip.compress("\n".join(map(json.dumps, meta)).encode()),
    }


def movielens():
    ratings = "userId,movieId,rating,timestamp\n" + "".join(f"{u},{m},4,9\n" for u in range(9) for m in range(7))
    movies = "movieId,title,genres\n" + "".join(f"{m},Movie {m},Drama\n" for m in range(8))
    archive = zipped({"ml-25m/ratings.csv": ratings, "ml-25m/movies.csv": movies, "ml-25m/README.txt": "terms"})
    return {"ml-25m.zip": archive, "ml-25m.zip.md5": f"{hashlib.md5(archive).hexdigest()}  ml-25m.zip\n".encode()}
