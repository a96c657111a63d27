"""The service: one desk of use cases, and faces that translate."""
