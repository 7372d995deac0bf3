"""What judges: the class of a failure, and what a trial may still try."""
