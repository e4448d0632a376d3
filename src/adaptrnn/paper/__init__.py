"""The paper, one file for each figure or table: runs, measures, drawing, verdicts."""
