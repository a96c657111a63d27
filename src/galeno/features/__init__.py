"""Encoders: from a record to one row of a float32 matrix."""
