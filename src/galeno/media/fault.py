"""What is wrong with a file of a sound or an image."""

RULES = (
    "missing_file",
    "empty_file",
    "wrong_type",
    "truncated",
    "damaged",
    "too_large",
    "too_short",
    "silent",
    "clipped",
    "blank_image",
)
"""Names of the rules that a file can break."""


class MediaFault(Exception):  # noqa: N818 - a finding about a patient's file, not a failure of Galeno
    """A file breaks a rule; whoever reads records turns it into a fault of that record.

    Args:
        rule: one of RULES.
        what: one sentence without a full stop; it holds no file name, no value of a header, and nothing
            that a decoder said.

    Raises:
        ValueError: there is no such rule.
    """

    def __init__(self, rule: str, what: str) -> None:
        if rule not in RULES:
            raise ValueError(f"no rule of files is called {rule!r}")
        super().__init__(what)
        self.rule = rule
        self.what = what
