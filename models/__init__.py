"""Networks and data sets built with tinygraph, run from a checkout."""
