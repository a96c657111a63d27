"""Who may do what, what was done, and what patients were promised."""
