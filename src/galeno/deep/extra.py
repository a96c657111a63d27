"""Whether what the extra `deep` installs is there."""

from importlib.util import find_spec

from galeno.errors import MissingExtraError


def require_deep(feature: str, *packages: str) -> None:
    """Check that packages of the extra can be imported, without importing them.

    Args:
        feature: what needs them, for the message.
        packages: import names, such as `torch`.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    if not all(has_package(package) for package in packages):
        raise MissingExtraError(feature, "deep")


def has_package(package: str) -> bool:
    """Whether a package can be imported; None in `sys.modules` means that it cannot."""
    try:
        return find_spec(package) is not None
    except ValueError:
        return False
