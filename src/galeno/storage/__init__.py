"""Where things are kept: lake, packages, registry, run folders."""
