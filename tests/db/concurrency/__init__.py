"""Many processes at one database."""
