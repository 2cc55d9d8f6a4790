"""Pictures of bars and indicators: what is on them, and how it is drawn."""
