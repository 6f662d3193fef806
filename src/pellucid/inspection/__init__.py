"""Looking inside a network: arrays and reports come out, nothing is drawn."""
