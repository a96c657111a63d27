"""What is known of rare diseases: phenotypes, annotations, the ranker, and what confirmed cases teach.

    from galeno.knowledge import Patient, Ranker

    ranking = Ranker.load().rank(Patient(observed=("HP:0001166", "HP:0001083", "HP:0002616")))

Names are loaded when they are first used, so that importing a part of the room is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galeno.knowledge.base import KnowledgeBase
    from galeno.knowledge.cases import Patient
    from galeno.knowledge.ranker import Ranker
    from galeno.knowledge.ranking import Ranking

__all__ = ["KnowledgeBase", "Patient", "Ranker", "Ranking"]

_HOMES = {
    "KnowledgeBase": "galeno.knowledge.base",
    "Patient": "galeno.knowledge.cases",
    "Ranker": "galeno.knowledge.ranker",
    "Ranking": "galeno.knowledge.ranking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'galeno.knowledge' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
