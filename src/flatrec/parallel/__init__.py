"""Training over several processes, each of which has some columns of every embedding or some portions of a batch."""
