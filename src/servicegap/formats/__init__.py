"""One module for each outside format: what others write, read as a study or a table."""
