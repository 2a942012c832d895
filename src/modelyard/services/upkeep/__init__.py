"""What runs beside the server by the clock: comparing database and store, removing what nothing needs."""
