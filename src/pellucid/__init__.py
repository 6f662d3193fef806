"""Multi-layer perceptrons for tables: fast, right by default, open to inspection."""
