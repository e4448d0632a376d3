"""One folder per operation: what a time step means (reference), and how it runs fast (op)."""
