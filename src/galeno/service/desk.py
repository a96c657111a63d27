"""The desk: every use case of the service, where access is checked and everything is audited.

Faces (REST, FHIR, CDS Hooks, pages) translate what was asked into a call of the desk and its answer
back; they decide nothing.
"""

from galeno.service.diagnosing import Diagnosing
from galeno.service.following import Following
from galeno.service.steering import Steering


class Desk(Diagnosing, Following, Steering):
    """Diagnoses, what follows them, and what steers them."""
