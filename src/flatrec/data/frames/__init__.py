"""Data sets from frames of polars, pandas, pyarrow and others, and frames of data sets."""
