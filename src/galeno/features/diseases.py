"""Which diseases the classes of a study are, as OMIM, Orphanet, DECIPHER or Mondo number them."""

import re
from types import MappingProxyType

from galeno.recipes import DISEASE_ID, Features
from galeno.study import Study

_DATABASES = MappingProxyType(
    {"orpha.net": "ORPHA", "omim.org": "OMIM", "purl.obolibrary.org/obo/mondo.owl": "MONDO"}
)
"""Database of a FHIR code system, without scheme, `www.` and a slash at its end."""


def name_diseases(study: Study) -> Features:
    """The study's features with the diseases of its classes.

    Returns:
        Diseases that the study names are kept, and knowledge of them is then required unless the study says
        that it is optional; else those are taken that `fhir.classes`, the class names or their values tell,
        and `auto` stands for what may be unknown.
    """
    phenotype = study.features.phenotype
    if phenotype.knowledge == "none" or all(c.type != "terms" for c in study.features_columns.values()):
        return study.features
    if phenotype.diseases:
        knowledge = "required" if phenotype.knowledge == "auto" else phenotype.knowledge
        update: dict[str, object] = {"knowledge": knowledge}
    else:
        found = {each.name: _implied(study, each.name, each.raw) for each in study.classes}
        update = {"diseases": {name: ids for name, ids in found.items() if ids}}
        if phenotype.knowledge == "optional":
            update["knowledge"] = "auto"
    return study.features.model_copy(update={"phenotype": phenotype.model_copy(update=update)})


def _implied(study: Study, name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    code = study.fhir.classes.get(name)
    if code is not None:
        system = re.sub(r"^https?://(www\.)?|/$", "", code.system)
        digits = re.fullmatch(r"(?:[A-Za-z]+[:_])?([0-9]+)", code.code.strip())
        if digits and system in _DATABASES:
            return (f"{_DATABASES[system]}:{digits[1]}",)
    return tuple(dict.fromkeys(each for each in (name, *values) if re.fullmatch(DISEASE_ID, each)))
