"""The laboratory: one question, one file; each answer a labelled xarray.Dataset."""
