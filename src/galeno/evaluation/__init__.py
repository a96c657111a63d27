"""How a model is judged: metrics, groups, gate, report, card."""
