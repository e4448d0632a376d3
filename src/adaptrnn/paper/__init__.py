"""Each figure or table of the paper has one file: its runs, measures, drawing and verdicts."""
