"""The desk: every use case of the service, where access is checked and everything is audited.

Faces (REST, FHIR, CDS Hooks, pages) translate what was asked into a call of the desk and its answer
back; they decide nothing.
"""

from galeno.service.following import Following
from galeno.service.locating import Locating
from galeno.service.overseeing import Overseeing
from galeno.service.ranking import Ranking
from galeno.service.receiving import Receiving
from galeno.service.steering import Steering


class Desk(Receiving, Locating, Ranking, Following, Steering, Overseeing):
    """Diagnoses and rankings, what follows them, what steers them, and what is seen of them."""
