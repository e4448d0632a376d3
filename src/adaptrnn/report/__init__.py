"""The report is one self-contained page."""
