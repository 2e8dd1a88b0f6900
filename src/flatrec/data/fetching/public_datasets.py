"""The table of public data sets; no other module has addresses, counts or licenses.

Everything was read in the official description that ``source`` names, on the day ``read_on``. What the description does
not state is left empty: a size is then asked of the server, and a checksum is recorded at the first download.
"""

from __future__ import annotations

from collections.abc import Mapping

from flatrec.data.fetching.catalog import (
    ARCHIVE,
    IMAGE_FEATURES,
    INTERACTIONS,
    META,
    REVIEWS,
    TITLES,
    Encoder,
    PublicDataset,
    RemoteFile,
    StatedCounts,
)  # fmt: skip
from flatrec.utils.messages import unknown

_READ_ON = "2026-11-28"
_AMAZON = "https://snap.stanford.edu/data/amazon/productGraph"
_AMAZON_2023 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023"
_MOVIELENS = "https://files.grouplens.org/datasets/movielens"
_MICROLENS = "https://recsys.westlake.edu.cn"
_M3L = "https://zenodo.org/records/18499145/files"
_M3L_LISTING = "https://zenodo.org/api/records/18499145"
_SWAP = "swapUniba/multimodal_ml1m_dbbook_lfm2k"
_SWAP_COMMIT = "e8c90c3f93ed14753fec4905d37c401de2255160"  # of 11 July 2025

_MOVIELENS_TERMS = (
    "research use; acknowledge the data set in publications; no commercial use without permission of GroupLens"
)
_MICROLENS_TERMS = "altered copies must not be offered for download; cite arXiv 2309.15379"
_SWAP_CITE = "cite doi 10.1145/3705328.3748162 (Zenodo record 15403972)"


def _amazon(name: str, category: str) -> PublicDataset:
    return PublicDataset(
        name,
        "amazon-2014",
        (
            RemoteFile(REVIEWS, f"{_AMAZON}/categoryFiles/reviews_{category}_5.json.gz"),
            RemoteFile(META, f"{_AMAZON}/categoryFiles/meta_{category}.json.gz"),
            RemoteFile(IMAGE_FEATURES, f"{_AMAZON}/image_features/categoryFiles/image_features_{category}.b"),
        ),
        source="https://snap.stanford.edu/data/amazon/productGraph",
        read_on="",
    )


# The users, items and ratings of the 5-core. Categories without a 5-core, and their ratings of the 0-core, come last.
_CATEGORIES_5 = """
All_Beauty 253 356 2.5K
Arts_Crafts_and_Sewing 197.3K 90.0K 1.8M
Automotive 632.1K 267.3K 6.1M
Baby_Products 150.8K 36.0K 1.2M
Beauty_and_Personal_Care 729.6K 207.6K 6.6M
Books 776.4K 495.1K 9.5M
CDs_and_Vinyl 123.9K 89.4K 1.6M
Cell_Phones_and_Accessories 381.0K 111.5K 2.8M
Clothing_Shoes_and_Jewelry 2.5M 715.0K 23.1M
Electronics 1.6M 368.2K 15.5M
Gift_Cards 377 129 2.4K
Grocery_and_Gourmet_Food 404.8K 132.9K 3.9M
Health_and_Household 796.1K 184.3K 7.2M
Home_and_Kitchen 2.9M 763.6K 28.2M
Industrial_and_Scientific 51.0K 25.8K 412.9K
Kindle_Store 892.2K 466.6K 16.1M
Magazine_Subscriptions 30 21 176
Movies_and_TV 657.2K 197.9K 7.4M
Musical_Instruments 57.4K 24.6K 511.8K
Office_Products 223.3K 77.6K 1.8M
Patio_Lawn_and_Garden 416.6K 133.4K 3.4M
Pet_Supplies 594.8K 114.6K 5.3M
Software 146.4K 17.6K 1.3M
Sports_and_Outdoors 409.8K 156.2K 3.5M
Tools_and_Home_Improvement 842.0K 274.7K 7.9M
Toys_and_Games 432.3K 162.0K 3.9M
Video_Games 94.8K 25.6K 814.6K
"""
_CATEGORIES_0 = """
Amazon_Fashion 2.0M 825.9K 2.5M
Appliances 1.8M 94.3K 2.1M
Digital_Music 101.0K 70.5K 128.8K
Handmade_Products 586.6K 164.7K 656.1K
Health_and_Personal_Care 461.7K 60.3K 488.2K
Subscription_Boxes 15.2K 641 16.0K
"""


def _amazon_2023(row: str, core: str) -> PublicDataset:
    category, users, items, ratings = row.split()
    return PublicDataset(
        f"amazon-2023:{category}",
        "amazon-2023",
        (
            RemoteFile(INTERACTIONS, f"{_AMAZON_2023}/benchmark/{core}/rating_only/{category}.csv.gz"),
            RemoteFile(META, f"{_AMAZON_2023}/raw/meta_categories/meta_{category}.jsonl.gz"),
        ),
        source=f"https://amazon-reviews-2023.github.io/data_processing/{core}.html",
        read_on=_READ_ON,
        counts=StatedCounts(users, items, ratings),
        terms="cite arXiv 2403.03952",
    )


def _movielens(name: str, counts: StatedCounts) -> PublicDataset:
    return PublicDataset(
        name,
        "movielens",
        (RemoteFile(ARCHIVE, f"{_MOVIELENS}/{name}.zip", f"{_MOVIELENS}/{name}.zip.md5"),),
        source=f"{_MOVIELENS}/{name}-README.html",
        read_on=_READ_ON,
        counts=counts,
        license="GroupLens's own",
        terms=_MOVIELENS_TERMS,
        counts_listed_items=True,
    )


def _microlens(size: str, titles: str, counts: StatedCounts, encoders: tuple[Encoder, ...] = ()) -> PublicDataset:
    folder = f"{_MICROLENS}/MicroLens-{size}-Dataset"
    return PublicDataset(
        f"microlens-{size}",
        "microlens",
        (
            RemoteFile(INTERACTIONS, f"{folder}/MicroLens-{size}_pairs.csv"),
            RemoteFile(TITLES, f"{folder}/{titles}"),
        ),
        source="https://github.com/westlake-repl/MicroLens",
        read_on=_READ_ON,
        encoders=encoders,
        counts=counts,
        terms=_MICROLENS_TERMS,
    )


def _microlens_features(modality: str, name: str, ending: str) -> Encoder:
    folder = f"{_MICROLENS}/MicroLens-100k-Dataset/extracted_modality_features"
    address = f"{folder}/MicroLens-100k_{ending}_features_{name}.npy"
    return Encoder(modality, name, RemoteFile(f"{modality}-features", address, saved_as=f"{modality}_feat.npy"))


# Modality, encoder, size where it is known, and the id of the Git blob of its file.
_ML_1M = """
text all-MiniLM-L6-v2 - 87f2cd9ab6a9365da57d66c2e6d2f6a33b550a22
text all-mpnet-base-v2 - 107fbf53dac94f46a7b3e074cf81f67fb629fe26
image vit_cls - 22ca94dc909850acbbb88fc80cd0684f4265b8bc
image vit_avg - 34d66a1784b4af4b9de82d3c965efb65eade692c
image vgg - 0b549bdc6a0cdfbad79f18274aab8762b9922353
image resnet152 - c844904cc8f052dade7dbeffdb5bdc8e0bf3dc4d
audio vggish 3051648 dc56a878955547e52fd99e86985ce6d0a469173c
audio whisper - b76ae73152b83d9a41b17aa24552954722a579f6
video r2p1d - 9d8a0f8bfa229c90e94e0f9c6f038983a995a168
video i3d - ccfaa7c5d629386feb5096dea05b651ec95c3ff3
"""
_LFM_2K = """
text all-MiniLM-L6-v2 2188928 721dc2b7aaaca963e048aef7cc8f57a6ec0e7807
text all-mpnet-base-v2 - fc1684081b6fedebd6a541504e386a6e40f8cb77
image vit_cls - f234e736274e58fa7940e5626437497fe7eb635c
image vit_avg - 1c70612d744b2fc408c911e7d43992735c3f1bbc
image vgg - 50a912125f32c46dcd227375ff9c54062a8152fc
image resnet152 - 6b206825b316ee536d3f66a6a060f4da1150830f
audio vggish 1459328 bd44578e4aaef76d361f9f1fbea7e2f0e3f1a782
audio whisper 2918528 17f76f7f1b9ba593123f96027906b367d0864ffe
"""
_DBBOOK = """
text all-MiniLM-L6-v2 - d6c945dfb709142594366352653c2855653051a6
text all-mpnet-base-v2 - 913e4958ea7d4f3a292a0b118b9a9dd69dc4652b
image vit_cls - 18131f648e419f14746f5303b364f56a9dcc66d2
image vit_avg - 264398200e9ab929d8c294433b2745ad73893d68
image vgg - 2dae45fcff8781bf201d34289a6f7f00414e122f
image resnet152 - 442321608db5a44a0b5a692761465b5ee8496c51
"""


def _swap(interactions: RemoteFile, features: str, counts: StatedCounts, terms: str) -> PublicDataset:
    encoders = []
    for row in features.strip().splitlines():
        modality, encoder, size, blob = row.split()
        address = f"{interactions.address.rsplit('/', 1)[0]}/{encoder}.npy"
        file = RemoteFile(
            f"{modality}-features",
            address,
            checksum=f"git:{blob}",
            size=None if size == "-" else int(size),
            saved_as=f"{modality}_feat.npy",
        )
        encoders.append(Encoder(modality, encoder, file))
    return PublicDataset(
        interactions.name.removesuffix(".inter"),
        "mmrec",
        (interactions,),
        source=f"https://github.com/{_SWAP}/tree/{_SWAP_COMMIT}",
        read_on=_READ_ON,
        encoders=tuple(encoders),
        counts=counts,
        terms=terms,
    )


def _swap_interactions(name: str, folder: str, size: int | None, blob: str) -> RemoteFile:
    address = f"https://raw.githubusercontent.com/{_SWAP}/{_SWAP_COMMIT}/4_mmrec/data/{folder}/{folder}.inter"
    return RemoteFile(INTERACTIONS, address, checksum=f"git:{blob}", size=size, saved_as=f"{name}.inter")


_M3L_ENCODERS = tuple(
    Encoder(modality, name, member=f"{modality}/{name}.npy")
    for modality, names in (
        ("text", ("minilm", "mpnet", "clip_text")),
        ("image", ("vit", "vgg", "clip_image")),
        ("audio", ("vggish", "whisper", "ast")),
        ("video", ("r2p1d", "mvit", "slowfast")),
    )
    for name in names
)


def _m3l(size: str, counts: StatedCounts) -> PublicDataset:
    return PublicDataset(
        f"m3l-{size.lower()}",
        "mmrec-archive",
        (RemoteFile(ARCHIVE, f"{_M3L}/MMRec_M3L-{size}.zip", listing=_M3L_LISTING),),
        source="https://github.com/giuspillo/M3L_10M_20M and https://zenodo.org/records/18499145",
        read_on=_READ_ON,
        encoders=_M3L_ENCODERS,
        counts=counts,
        terms="the license of the Zenodo record, which is shown at the download; cite arXiv 2602.15505",
    )


_DATASETS = (
    _movielens("ml-latest-small", StatedCounts("610", "9,742", "100,836")),
    _movielens("ml-25m", StatedCounts("162,541", "62,423", "25,000,095")),
    _swap(
        _swap_interactions("ml-1m-mm", "movielens_1m", None, "bc00e77458b2a2f8ceb63c9d72b92057b70a23ca"),
        _ML_1M,
        StatedCounts("6,040", "2,980", "942,703"),
        f"{_MOVIELENS_TERMS}; {_SWAP_CITE}",
    ),
    _swap(
        _swap_interactions("lfm-2k-mm", "lfm2k", 695051, "456ee385aff6e2cf59acfb39329b555986c8709e"),
        _LFM_2K,
        StatedCounts("1,858", "1,425", "56,345"),
        f"non-commercial use; {_SWAP_CITE}",
    ),
    _swap(
        _swap_interactions("dbbook-mm", "dbbook", 1601639, "0a6fbb6cbd661fb031d6c7160153568263b2bc58"),
        _DBBOOK,
        StatedCounts("6,179", "4,191", "121,779"),
        _SWAP_CITE,
    ),
    _m3l("10M", StatedCounts("69,878", "9,031", "9,409,884")),
    _m3l("20M", StatedCounts("138,493", "19,009", "18,777,965")),
    _microlens("50k", "MicroLens-50k_titles.csv", StatedCounts("50,000")),
    _microlens(
        "100k",
        "MicroLens-100k_title_en.csv",
        StatedCounts("100,000", "19,738", "719,405"),
        (
            _microlens_features("text", "BgeM3", "title_en_text"),
            _microlens_features("image", "CLIPRN50", "image"),
            _microlens_features("video", "VideoMAE", "video"),
        ),
    ),
    _amazon("baby", "Baby"),
    _amazon("sports", "Sports_and_Outdoors"),
    _amazon("clothing", "Clothing_Shoes_and_Jewelry"),
    _amazon("pet", "Pet_Supplies"),
    _amazon("office", "Office_Products"),
    *(_amazon_2023(row, "5core") for row in _CATEGORIES_5.strip().splitlines()),
    *(_amazon_2023(row, "0core") for row in _CATEGORIES_0.strip().splitlines()),
)
DATASETS: Mapping[str, PublicDataset] = {dataset.name: dataset for dataset in _DATASETS}
AMAZON_2023 = "amazon-2023:CATEGORY"
NAMES = (*(name for name in DATASETS if ":" not in name), AMAZON_2023)  # for lists: one name for all categories


def find_dataset(name: str) -> PublicDataset:
    """Return the data set of a name, in upper or lower case.

    Raises:
        ValueError: there is none.
    """
    for known, dataset in DATASETS.items():
        if known.lower() == name.lower():
            return dataset
    if name.lower().startswith("amazon-2023"):
        categories = [known.partition(":")[2] for known in DATASETS if ":" in known]
        raise ValueError(f"amazon-2023: {unknown('category', name.partition(':')[2], categories)}")
    raise ValueError(unknown("data set", name, NAMES))
