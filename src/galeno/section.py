"""What all sections of a study file share."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _text(value: Any) -> Any:
    """YAML reads an unquoted 1 or true as number or boolean; class names and codes are texts."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]


class Section(BaseModel):
    """A section: no unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
