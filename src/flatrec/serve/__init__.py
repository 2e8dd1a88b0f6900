"""The HTTP service of a trained recommender: extra ``flatrec[serve]``; nothing else of flatrec imports it."""
