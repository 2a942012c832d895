"""How much of the server anybody may have at a time, and what has been used."""
