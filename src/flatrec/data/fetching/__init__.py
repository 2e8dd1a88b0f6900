"""Public data from where their makers keep them."""
