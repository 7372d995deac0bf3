"""What proposes points: one interface, its implementations, and the process they run in."""
