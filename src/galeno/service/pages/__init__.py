"""The pages: another face of the desk, for people with a browser."""
