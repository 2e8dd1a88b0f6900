"""The nightly job: a new delivery of the data becomes the recommender in use, or is refused."""
