"""Searches in MLflow's language as SQL: filters to conditions, orders to sort keys, pages by their last row."""
