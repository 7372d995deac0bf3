"""What runs on a compute node: one process an attempt, standard library only until it must not be."""
