"""Each operation's folder says what a time step means (reference), and how it runs fast (op)."""
