"""What runs attempts: the interface, Slurm behind it, and local processes behind it."""
