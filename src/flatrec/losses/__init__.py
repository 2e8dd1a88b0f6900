"""Ranking losses: what a model's vectors of users, positives and negatives are trained by."""
