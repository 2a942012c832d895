"""What upkeep leaves behind, and what holds it back."""
