"""The words that every layer speaks: addresses, names of files, pages of a list, MLflow's search language."""
