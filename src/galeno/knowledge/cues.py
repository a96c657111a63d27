"""The words that say whether a sign is there, in English and Spanish, folded."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a cue does."""

    NEGATE = "negate"
    NEGATED = "negated"
    """Said behind a sign; before one, it negates just so."""
    DOUBT = "doubt"
    DOUBTED = "doubted"
    """Said behind a sign."""
    FAMILY = "family"
    CLOSE = "close"
    """Ends every scope."""
    VERB = "verb"
    """Ends a negation."""
    PATIENT = "patient"
    """Ends a negation, and what is said of the family."""
    NOTHING = "nothing"
    """Looks like a cue and is none."""


_ENGLISH = {
    Kind.NEGATE: """
        no | not | never | without | denies | denied | denying | deny | absence of | negative for | free of |
        lack of | lacks | lacked | lacking | nor | neither | no evidence of | no sign of | no signs of |
        no history of | fails to show | failed to show | fails to reveal | failed to reveal | rules out |
        excludes | unremarkable for | not associated with | no problems with | cannot | non | none of
    """,
    Kind.NEGATED: """
        absent | not present | not seen | not observed | not noted | not found | not detected |
        not identified | not evident | not apparent | not reported | never observed |
        never seen | never noted |
        never documented |
        negative | ruled out | been excluded |
        was excluded | were excluded | was denied | were denied | excluded | are denied | is denied
    """,
    Kind.DOUBT: """
        if | risk of | risk for | risks of | at risk | risk factors for | risk factor for | possible |
        possibly | probable | probably | suspected | suspicion of | suspicious for | suspicion for |
        concern for | concerns for | concerning for | rule out | r o | to exclude | screen for |
        screened for | screening for | monitor for | monitored for | monitoring for | watch for |
        surveillance for | in case of | may develop | might develop | could develop | may have | might have |
        could have | may cause | can cause | may be | might be | could be | may include | may occur | unless |
        questionable | cannot exclude | cannot rule out | prophylaxis for | prophylaxis against |
        prevention of | to prevent | differential diagnosis | differential | counseled about |
        counselled about | fear of developing | can be associated with | should
    """,
    Kind.DOUBTED: """
        free | suspected | is possible | cannot be excluded | cannot be ruled out | to be ruled out |
        to be excluded | is suspected | was suspected | may occur | could occur | can occur
    """,
    Kind.FAMILY: """
        family history | familial history | family hx | fhx
    """,
    Kind.CLOSE: """
        but | however | although | though | except | except for | apart from | aside from | besides | yet |
        nevertheless | nonetheless | whereas | while | instead | other than | despite | because | because of |
        due to
    """,
    Kind.VERB: """
        has | have | had | having | presents | presented | presenting | present with | shows | showed |
        showing | developed | develops | with | exhibits | exhibited | displays | displayed | revealed |
        reveals | demonstrated | demonstrates | suffers | suffered | experienced | which | then | now |
        later | notable for | positive for | significant for | confirmed | there is | there was | there were |
        there are | noted to have | found to have | diagnosed with
    """,
    Kind.PATIENT: """
        patient | he | she | they | proband | the boy | the girl | the child | the infant | index case |
        this child
    """,
    Kind.NOTHING: """
        not only | no increase | no increase in | no change | no changes | no change in | no changes in |
        not certain | no further | no more | no new | no longer | without doubt | not necessarily |
        no recurrence of | gram negative | no improvement | no improvement in | not improved | no response |
        no worsening | no worsening of | no progression of | no cause of | no cause for | no explanation for |
        without worsening of | not resolved | no resolution of | no other | not improve | not respond |
        not responding | without improvement | known history of | without treatment | not able to control |
        not controlled | no treatment for | without cause
    """,
}
_SPANISH = {
    Kind.NEGATE: """
        no | sin | niega | niegan | negaba | nego | ausencia de | descarta | descartan | descarto |
        descartandose | nunca | tampoco | ni | negativo para | negativa para | libre de | carece de |
        exento de | ningun | ninguna | sin evidencia de | sin signos de | sin datos de | sin antecedentes de |
        no evidencia de | no hay | no existe | no existen | excluye
    """,
    Kind.NEGATED: """
        ausente | ausentes | no presente | no presentes | negativo | negativa | negativos | negativas |
        descartado | descartada | descartados | descartadas | se descarta | se descartan | se descarto |
        se descartaron | no se observa | no se observan | no se observo | no se observaron | no se aprecia |
        no se aprecian | no se aprecio | no se apreciaron | no se detecta | no se detectan | no se detecto |
        no se detectaron | no se evidencia | no se evidencian | no se evidencio | no se objetiva |
        no se objetivan | no se objetivaron | no se encontro | no se encontraron
    """,
    Kind.DOUBT: """
        si | riesgo de | riesgos de | posible | posibles | probable | probables | sospecha de | sospecha |
        en caso de | descartar | para descartar | vigilar | acudir si | podria | podrian | puede presentar |
        puede aparecer | pueden aparecer | prevencion de | prevenir | profilaxis de | dudoso | dudosa |
        cribado de | factor de riesgo de | factores de riesgo de | a menos que | diagnostico diferencial
    """,
    Kind.DOUBTED: """
        a descartar | por descartar | en estudio | dudoso | dudosa | dudosos | dudosas
    """,
    Kind.FAMILY: """
        antecedentes familiares | antecedente familiar | historia familiar | af
    """,
    Kind.CLOSE: """
        pero | aunque | sin embargo | sino | salvo | excepto | con excepcion de | a excepcion de |
        no obstante | mientras | a pesar de | porque | debido a | aparte de | ademas de
    """,
    Kind.VERB: """
        presenta | presentaba | presento | presentando | tiene | tenia | tuvo | muestra | mostro | mostraba |
        con | desarrollo | desarrolla | refiere | referia | destaca | destacan | destacaba | aparece |
        aparecio | aparecieron | padece | sufre | sufrio | se observa | se observan | se observo |
        se aprecia | se aprecian | se aprecio | diagnosticado de | diagnosticada de | ha presentado |
        ha tenido | despues | luego | posteriormente
    """,
    Kind.PATIENT: """
        paciente | el nino | la nina | el lactante | la lactante | el varon | la mujer | el caso indice
    """,
    Kind.NOTHING: """
        no solo | no solamente | sin duda | sin cambios | sin cambio en | no mejora | no mejoro |
        sin mejoria | no aumento | sin aumento de | sin causa | no responde | sin respuesta | no controlado |
        no controlada | no controladas | no nuevas | no mas | sin tratamiento
    """,
}
_RELATIVES = {
    "en": """
        mother | father | brother | brothers | sister | sisters | sibling | siblings | parent | parents |
        aunt | aunts | uncle | uncles | grandmother | grandfather | grandparents | cousin | cousins |
        relative | relatives | nephew | niece | mom | dad | mum
    """,
    "es": """
        madre | padre | padres | hermano | hermana | hermanos | hermanas | abuelo | abuela | abuelos | tio |
        tia | tios | tias | primo | prima | primos | primas | familiar | familiares | sobrino | sobrina |
        progenitor | progenitores
    """,
}
_HAVE = {
    "en": """
        has | have | had | with | suffers | suffered | diagnosed | affected | died | history
    """,
    "es": """
        tiene | tienen | tuvo | con | padece | padecen | padecio | presenta | presento | afecto | afecta |
        diagnosticado | diagnosticada | fallecio | fallecida | fallecido | sufre
    """,
}
_OF_RELATIVE = {
    "en": """
        maternal | paternal
    """,
    "es": """
        materna | materno | paterna | paterno | maternas | maternos
    """,
}
_OBSERVED = {
    "en": """
        noticed | observed | reported | seen | noted | described | concerns | concern | brought | recorded
    """,
    "es": """
        notado | observado | referido | descrito | visto | notaron | consultado | traido
    """,
}
_WITHIN = {
    "en": """
        in | of
    """,
    "es": """
        en | de
    """,
}


class Cues(NamedTuple):
    """The cues of one language."""

    by_first: Mapping[str, Sequence[tuple[tuple[str, ...], Kind]]]
    """First word to the phrases that begin with it, longest first."""
    relatives: frozenset[str]
    have: frozenset[str]
    """What a relative does with a sign."""
    of_relative: frozenset[str]
    """Said right beside a sign: maternal."""
    observed: frozenset[str]
    """What a relative did who saw a sign of the patient."""
    within: frozenset[str]
    """Between a sign and the relative who has it."""


def _phrases(text: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in text.split("|")]


def _cues(lists: Mapping[Kind, str], language: str) -> Cues:
    by_first: dict[str, list[tuple[tuple[str, ...], Kind]]] = {}
    for kind, text in lists.items():
        for phrase in _phrases(text):
            words = tuple(phrase.split())
            by_first.setdefault(words[0], []).append((words, kind))
    for phrases in by_first.values():
        phrases.sort(key=lambda pair: -len(pair[0]))
    sets = (_RELATIVES, _HAVE, _OF_RELATIVE, _OBSERVED, _WITHIN)
    return Cues(by_first, *(frozenset(_phrases(words[language])) for words in sets))


CUES: Mapping[str, Cues] = {"en": _cues(_ENGLISH, "en"), "es": _cues(_SPANISH, "es")}
