"""What people see: tables, the live view, the closing summary, results.csv and the log."""
