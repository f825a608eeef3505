"""Every benchmark, in the order in which it is run and told: sizes made to fit the minutes that there are."""

from __future__ import annotations

from benchmarks import told
from benchmarks.case import Budget, Case, Options


def _scale(budget: Budget) -> Options:
    sizes = [10_000, 100_000, 1_000_000] if budget.share >= 0.9 else [10_000, 100_000]
    if budget.share < 0.25:
        sizes = [2_000, 10_000]
    return {"images": sizes}


def _outcomes(budget: Budget) -> Options:
    files = budget.size(1500, 120)
    return {"files": files, "hostile": max(40, files // 25), "seconds": 5}


CASES = (
    Case("copies", "Copies and parts, beside peers", 11, told.copies, told.copies_lost, told.copies_headline)
    .sized(originals=(300, 4), indexed=(800, 40), held_out=(400, 10), styled=(60, 4), slow_originals=(6, 1))
    .given(lambda budget: {"minutes": max(0.2, 5 * budget.share)}),
    Case("recall", "Whole copies", 2, told.recall).sized(originals=(60, 6), unrelated=(400, 8)),
    Case("strangers", "Unrelated pictures", 1, told.strangers),
    Case(
        "similar",
        "Look-alikes, walls, and what embeddings add to copies",
        3.5,
        told.similar,
        told.similar_lost,
    )
    .sized(originals=(30, 3), walls=(40, 3))
    .shared(),
    Case("duplicates", "Duplicates", 0.7).shared(),
    Case("changes", "Edits of pixels named", 1.2).sized(pictures=(60, 6)).shared(),
    Case(
        "search_scale",
        "Search as a collection grows",
        8,
        lambda rows: {"rows": rows},
        None,
        told.scale_headline,
    )
    .sized(queries=(60, 10))
    .given(_scale),
    Case("indexing", "Indexing", 2, told.indexing, told.indexing_lost, told.indexing_headline).sized(
        files=(120, 6), large=(6, 2), repeat=(3, 1)
    ),
    Case("hamming", "Fingerprints", 2.5, told.hamming, told.hamming_lost, told.hamming_headline).sized(
        codes=(10e6, 200e3), repeat=(15, 3), queries=(1024, 64), graphs=(100e3, 5e3)
    ),
    Case("hamming_large", "100 million fingerprints", 4, told.hamming, None, told.hamming_headline)
    .given(lambda _: {"codes": 100_000_000, "only": "mih"})
    .full("hamming"),
    Case("vectors", "Vectors", 5, told.vectors, told.vectors_lost, told.vectors_headline)
    .sized(rows=(200e3, 5e3), queries=(200, 50), repeat=(30, 5))
    .given(lambda _: {"kinds": ["pictures"], "threads": 2}),
    Case("words", "The words index", 1.5)
    .sized(searches=(40, 5), added=(16_384, 100))
    .given(lambda budget: {"images": [budget.size(1e4, 2048), budget.size(1e5, 8192)]}),
    Case("updates", "Adding known features", 1, told.updates).sized(rows=(1e6, 10e3)),
    Case("cold", "Cold search", 0.7).sized(images=(10_000, 500)),
    Case("outcomes", "Outcomes", 1.5, told.outcomes, None, told.outcomes_headline).given(_outcomes),
    Case("crash", "Crashes", 1, told.crash, None, told.crash_headline).sized(kills=(40, 4)),
    Case("service", "The service under load", 3, told.service, None, told.service_headline).sized(
        **{"images": (100e3, 5e3), "requests": (600, 60), "uploaded": (60, 10), "rounds": (5, 2)},
        **{"malformed_uploads": (1_000, 60), "kills": (3, 1)},
    ),
    Case("service_long", "The service over 20,000 requests", 25, told.service, None, told.service_headline)
    .given(lambda _: {"requests": 20_000})
    .full("service"),
    Case("page_feel", "How the page feels", 1.2, told.page_feel, None, told.page_feel_headline).sized(
        images=(100e3, 5e3), drops=(15, 5), cards=(5_000, 500)
    ),
    Case("sizes", "Pictures of any size", 60, told.anything).by_hand(),
    Case("hostile_queries", "Hostile queries", 60, told.anything).by_hand(),
    Case("direction", "Direction", 10, told.anything).by_hand(),
    Case("crossover", "From how many codes on their index pays", 10, told.anything).by_hand(
        "hamming:crossover"
    ),
    Case("startup", "From how many pairs of codes on Numba pays", 1, told.anything).by_hand(
        "hamming:startup"
    ),
    Case("embeddings", "Embeddings of parts of pictures", 60, told.anything).by_hand(),
)
