"""What `headway doctor` looks at, in the order in which it tells it."""
