"""Training over several processes, each of which holds some columns of every embedding."""
