"""What people see of an experiment."""
