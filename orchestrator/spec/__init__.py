"""What was asked for: space, constraints, objectives, resources, the whole experiment."""
