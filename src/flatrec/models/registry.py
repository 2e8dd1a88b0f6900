"""The table of models and baselines: a row each, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

# Families: what is read, and of baselines that nothing is trained.
CLICKS, FEATURES, BASELINE, FEATURE_BASELINE = "clicks", "features", "baseline", "baseline with features"
FAMILIES = {  # in the order in which they are listed
    CLICKS: "models that read interactions alone",
    FEATURES: "models that read item features too, of one or more modalities",
    BASELINE: "baselines, which need no training",
    FEATURE_BASELINE: "baselines that read item features",
}

ENTRIES: dict[str, Entry] = {
    "bpr": Entry(
        "flatrec.models.bpr:BPR",
        CLICKS,
        "Matrix factorization with the BPR loss: the model without a graph.",
        "Rendle et al., UAI 2009, https://arxiv.org/abs/1205.2618",
    ),
    "ngcf": Entry(
        "flatrec.models.ngcf:NGCF",
        CLICKS,
        "Propagation with weights, and with the product of neighbors' and own embeddings.",
        "Wang et al., SIGIR 2019, https://arxiv.org/abs/1905.08108",
    ),
    "lightgcn": Entry(
        "flatrec.models.lightgcn:LightGCN",
        CLICKS,
        "Propagation over the user-item graph, nothing else.",
        "He et al., SIGIR 2020, https://arxiv.org/abs/2002.02126",
    ),
    "layergcn": Entry(
        "flatrec.models.layergcn:LayerGCN",
        CLICKS,
        "Propagation whose layers are weighted by their similarity to the embeddings, over a pruned graph.",
        "Zhou et al., ICDE 2023, https://arxiv.org/abs/2207.11088",
    ),
    "fourierkan-gcf": Entry(
        "flatrec.models.fourierkan_gcf:FourierKANGCF",
        CLICKS,
        "NGCF whose only weights are Fourier series of the products with the neighbors.",
        "Xu et al., arXiv 2024, https://arxiv.org/abs/2406.01034",
    ),
    "vbpr": Entry(
        "flatrec.models.vbpr:VBPR",
        FEATURES,
        "Matrix factorization that sees item features.",
        "He & McAuley, AAAI 2016, https://arxiv.org/abs/1510.01784",
    ),
    "mmgcn": Entry(
        "flatrec.models.mmgcn:MMGCN",
        FEATURES,
        "One graph network per modality, held together by shared id embeddings.",
        "Wei et al., ACM MM 2019, https://doi.org/10.1145/3343031.3351034",
    ),
    "grcn": Entry(
        "flatrec.models.grcn:GRCN",
        FEATURES,
        "A user-item graph whose edges are weighted by how well features explain them.",
        "Wei et al., ACM MM 2020, https://arxiv.org/abs/2008.05270",
    ),
    "dualgnn": Entry(
        "flatrec.models.dualgnn:DualGNN",
        FEATURES,
        "Users learn from their neighbors which modality counts.",
        "Wang et al., IEEE TMM 2021, https://doi.org/10.1109/TMM.2021.3138298",
    ),
    "lattice": Entry(
        "flatrec.models.lattice:LATTICE",
        FEATURES,
        "An item graph learned from features, mixed with the one they begin with.",
        "Zhang et al., ACM MM 2021, https://arxiv.org/abs/2104.09036",
    ),
    "slmrec": Entry(
        "flatrec.models.slmrec:SLMRec",
        FEATURES,
        "A contrastive main loss, and self-supervision that aligns modalities.",
        "Tao et al., IEEE TMM 2022, https://doi.org/10.1109/TMM.2022.3187556",
    ),
    "bm3": Entry(
        "flatrec.models.bm3:BM3",
        FEATURES,
        "Bootstrapped representations, trained without negatives.",
        "Zhou et al., WWW 2023, https://arxiv.org/abs/2207.05969",
    ),
    "freedom": Entry(
        "flatrec.models.freedom:FREEDOM",
        FEATURES,
        "A frozen item graph from features, and a user-item graph whose edges are dropped again every epoch.",
        "Zhou & Shen, ACM MM 2023, https://arxiv.org/abs/2211.06924",
    ),
    "dragon": Entry(
        "flatrec.models.dragon:DRAGON",
        FEATURES,
        "A user-item graph, a user graph and an item graph; modalities are propagated separately and joined.",
        "Zhou et al., ECAI 2023, https://arxiv.org/abs/2301.12097",
    ),
    "lgmrec": Entry(
        "flatrec.models.lgmrec:LGMRec",
        FEATURES,
        "Local graphs of ids and modalities, and a global hypergraph learned from features.",
        "Guo et al., AAAI 2024, https://arxiv.org/abs/2312.16400",
    ),
    "mgcn": Entry(
        "flatrec.models.mgcn:MGCN",
        FEATURES,
        "Item features purified by ids, spread over separate graphs, and fused by how users behave.",
        "Yu et al., ACM MM 2023, https://arxiv.org/abs/2308.03588",
    ),
    "smore": Entry(
        "flatrec.models.smore:SMORE",
        FEATURES,
        "Modalities filtered and fused in the frequency domain, each over an item graph of its own.",
        "Ong & Khong, WSDM 2025, https://arxiv.org/abs/2412.14978",
    ),
    "cohesion": Entry(
        "flatrec.models.cohesion:COHESION",
        FEATURES,
        "Ids refine every modality first, and what a user likes least in an interaction weighs most.",
        "Xu et al., SIGIR 2025, https://arxiv.org/abs/2504.04452",
    ),
    "mentor": Entry(
        "flatrec.models.mentor:MENTOR",
        FEATURES,
        "Modalities aligned with ids by their moments, and general features made robust to noise and masks.",
        "Xu et al., AAAI 2025, https://arxiv.org/abs/2402.19407",
    ),
    "diffmm": Entry(
        "flatrec.models.diffmm:DiffMM",
        FEATURES,
        "Graphs that denoisers rebuild for each modality every epoch, and a contrast of modalities.",
        "Jiang et al., ACM MM 2024, https://arxiv.org/abs/2406.11781",
    ),
    "llmrec": Entry(
        "flatrec.models.llmrec:LLMRec",
        FEATURES,
        "Profiles, attributes and pairs that a language model wrote, beside features and pruned losses.",
        "Wei et al., WSDM 2024, https://arxiv.org/abs/2311.00423",
    ),
    "da-mrs": Entry(
        "flatrec.models.da_mrs:DAMRS",
        FEATURES,
        "Item graphs that all modalities agree on, a loss that weighs doubtful interactions, and alignment of both.",
        "Xv et al., KDD 2024, https://arxiv.org/abs/2406.12501",
    ),
    "pgl": Entry(
        "flatrec.models.pgl:PGL",
        FEATURES,
        "Modalities propagated over a small part of the user-item graph in training, and over all of it for ranking.",
        "Yu et al., AAAI 2025, https://doi.org/10.1609/aaai.v39i12.33429",
    ),
    "aligngroup": Entry(
        "flatrec.models.aligngroup:AlignGroup",
        CLICKS,
        "Recommends to groups of users as well, whose vectors agree with the middle of their members.",
        "Xu et al., CIKM 2024, https://arxiv.org/abs/2409.02580",
    ),
    "popularity": Entry("flatrec.models.popularity:Popularity", BASELINE, "Everyone gets what most people bought."),
    "item-knn": Entry(
        "flatrec.models.item_knn:ItemKNN",
        BASELINE,
        "Items bought by the same users.",
        "Deshpande & Karypis, TOIS 2004, https://doi.org/10.1145/963770.963776",
    ),
    "ease": Entry(
        "flatrec.models.ease:EASE",
        BASELINE,
        "A linear model of items by items, in closed form.",
        "Steck, WWW 2019, https://arxiv.org/abs/1905.03375",
    ),
    "rp3beta": Entry(
        "flatrec.models.rp3beta:RP3beta",
        BASELINE,
        "Random walks from a user's items over other users, popular items held back.",
        "Christoffel et al., RecSys 2015, https://doi.org/10.1145/2792838.2800180",
    ),
    "pure-svd": Entry(
        "flatrec.models.pure_svd:PureSVD",
        BASELINE,
        "The singular vectors of the matrix of interactions.",
        "Cremonesi et al., RecSys 2010, https://doi.org/10.1145/1864708.1864721",
    ),
    "user-knn": Entry(
        "flatrec.models.user_knn:UserKNN",
        BASELINE,
        "What similar users bought.",
        "Resnick et al., CSCW 1994, https://doi.org/10.1145/192844.192905",
    ),
    "content-knn": Entry(
        "flatrec.models.content_knn:ContentKNN",
        FEATURE_BASELINE,
        "Items whose features are similar.",
        "Ferrari Dacrema et al., RecSys 2019, https://arxiv.org/abs/1907.06902",
    ),
    "als": Entry(
        "flatrec.models.als:ALS",
        BASELINE,
        "Matrix factorization by alternating least squares, every missing interaction a weak zero.",
        "Hu et al., ICDM 2008, https://doi.org/10.1109/ICDM.2008.22",
    ),
    "slim": Entry(
        "flatrec.models.slim:SLIM",
        BASELINE,
        "A sparse linear model of items by items, by coordinate descent.",
        "Ning & Karypis, ICDM 2011, https://doi.org/10.1109/ICDM.2011.134",
    ),
    "hybrid-knn": Entry(
        "flatrec.models.hybrid_knn:HybridKNN",
        FEATURE_BASELINE,
        "Items bought by the same users, mixed with items whose features are similar.",
        "Ferrari Dacrema et al., RecSys 2019, https://arxiv.org/abs/1907.06902",
    ),
}
