"""How bytes and headers cross HTTP. Pure: knows no database and no disk."""
