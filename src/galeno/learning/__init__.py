"""How a model is learned: split, balance, candidates, search, export."""
