"""Patient records that scikit-learn carries: something to run on with nothing but an installation."""

import polars as pl

from galeno.errors import SourceError

BUNDLED = ("breast_cancer", "digits", "iris", "wine")
"""Names that `read_bundled` knows."""


def read_bundled(name: str) -> pl.DataFrame:
    """Read a data set of scikit-learn.

    Args:
        name: breast_cancer (Wisconsin, 569 patients), digits, iris or wine.

    Returns:
        Float64 columns named as there, and `target` with the names of the classes.

    Raises:
        SourceError: another name.
    """
    if name not in BUNDLED:
        raise SourceError(
            "no such bundled set", where=f"sklearn:{name}", remedy=f"Known: {', '.join(BUNDLED)}"
        )
    from sklearn import datasets  # takes two seconds, and only these sets need it

    bunch = getattr(datasets, f"load_{name}")()
    matrix = bunch.data.astype("float64")
    columns = {str(column): matrix[:, index] for index, column in enumerate(bunch.feature_names)}
    names = [str(target) for target in bunch.target_names]
    return pl.DataFrame({**columns, "target": [names[index] for index in bunch.target]})
