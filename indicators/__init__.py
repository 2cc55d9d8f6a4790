"""Numbers from bars and books, one at a time, and the catalogue of their names."""
