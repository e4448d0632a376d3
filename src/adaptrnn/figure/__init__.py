"""Each drawing takes a labelled data set and gives a figure. Nothing is computed or read here."""
