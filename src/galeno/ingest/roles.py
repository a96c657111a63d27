"""Which columns look like the patient, the record, the time and the site, and which tell only of people's
names, of a file, or of the device that made it.
"""

import re
from collections.abc import Mapping

from galeno.ingest.guess import Facts, is_date
from galeno.ingest.values import number_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PATIENT = re.compile(
    r"(id|num|numero|nº|n)?(patient|paciente|subject|sujeto|person|persona|participant|participante)s?"
    r"(id|nbr|no|nr|num|number|numero|code|codigo|key|uid|uuid)?"
    r"|mrn|nhc|nuhsa|cip|(n|num|numero)?historia(clinica)?|medicalrecord(no|number)?|pid|patid"
)
_RECORD = _words(
    "id uid uuid key record registro encounter encuentro episode episodio visit visita stay estancia hadm"
    " case caso admission ingreso sample muestra row fila study accession"
)
_PERSONAL = _words(
    "name nombre surname apellido apellidos dni nif nie ssn email mail correo phone telefono teléfono"
    " mobile movil address direccion dirección domicilio passport pasaporte"
)
_TIME = _words(
    "time date datetime timestamp fecha hora encounter visit visita admission admitted ingreso"
    " episode episodio"
)
_OTHER_DATES = _words("birth birthdate dob born nacimiento death deceased defuncion exitus discharge alta")
_SITE = _words(
    "site hospital center centre centro clinic clinica clínica facility sede institution institucion"
)
_UNITS = _words("s sec secs ms hz khz px pixels bytes kb mb in of the")
_MEDIA = _words("audio image sound recording file")
_FILE = _words(
    "samplerate samplingrate samplefrequency samplingfrequency seconds duration filename filepath filetype"
    " filesize basename bitrate bitdepth bits channels codec format extension mimetype contenttype md5 sha1"
    " sha256 checksum hash digest dpi"
)
_COUNTS = _words("size length bytes samples frames fs sr")
_LARGE = 1000
_DEVICE = _words(
    "device scanner microphone stethoscope manufacturer camera machine model filter equipment detector"
    " dispositivo escaner escáner microfono micrófono fonendo estetoscopio fabricante camara cámara equipo"
    " filtro aparato"
)


def find_patient(facts: Mapping[str, Facts]) -> str | None:
    """The first column that is named like a patient id and has many values."""
    for name, fact in facts.items():
        if _is_patient_name(name) and fact.distinct >= min(10, fact.rows / 2):
            return name
    return None


def find_record(facts: Mapping[str, Facts], taken: set[str | None]) -> str | None:
    """The first column that is named like a record id and differs in nearly every row."""
    for name, fact in facts.items():
        named = fact.words & _RECORD or name.lower().endswith("id")
        identifies = fact.given > 0.95 * fact.rows and fact.distinct > 0.95 * fact.given
        if name not in taken and named and identifies and not is_date(fact) and not _has_fractions(fact):
            return name
    return None


def find_time(facts: Mapping[str, Facts], taken: set[str | None]) -> str | None:
    """The column of dates that is named like an encounter, else the first that is not a birth or death."""
    dates = [
        name
        for name, fact in facts.items()
        if name not in taken and not fact.words & _OTHER_DATES and is_date(fact) and fact.distinct > 1
    ]
    named = [name for name in dates if facts[name].words & _TIME]
    return next(iter([*named, *dates]), None)


def find_site(facts: Mapping[str, Facts], taken: set[str | None]) -> str | None:
    """The first column that is named like a hospital and has few values; `time_in_hospital` is none."""
    for name, fact in facts.items():
        few = 2 <= fact.distinct <= max(2, min(200, fact.rows / 5))
        if (
            name not in taken
            and few
            and fact.words & _SITE
            and len(fact.words) <= 2
            and "in" not in fact.words
        ):
            return name
    return None


def find_file_properties(facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """Columns that are named like a property of a sound or image file, such as its rate, length or size.

    A size or length is taken for the file's where it is large (bytes, samples); a width and a height where
    both are there and whole: a patient has a height, and a lesion a size.
    """
    bare = {name: _bare(name) for name in facts}
    sides = {name: bare[name] & {"width", "height"} for name in facts if not _has_fractions(facts[name])}
    both = len(frozenset().union(*sides.values())) == 2
    return tuple(
        name
        for name, fact in facts.items()
        if bare[name] & _FILE or (bare[name] & _COUNTS and _is_large(fact)) or (both and sides.get(name))
    )


def is_device(facts: Facts) -> bool:
    """Whether a column is named like the device that a recording was made with."""
    return bool(facts.words & _DEVICE)


def is_identifier(facts: Facts) -> bool:
    """Whether a column tells patients apart rather than saying something about them."""
    unique = facts.distinct / max(facts.given, 1)
    if _is_patient_name(facts.name) and facts.distinct > 20:
        return True
    if (facts.words & _PERSONAL and unique > 0.3) or (facts.words & {"id", "uid", "uuid"} and unique > 0.5):
        return True
    codes = all(" " not in text and number_of(text) is None for text in facts.texts[:200])
    return facts.given >= 20 and unique > 0.95 and codes and not is_date(facts)


def _is_patient_name(name: str) -> bool:
    return _PATIENT.fullmatch(re.sub(r"[\W_]+", "", name.lower())) is not None


def _has_fractions(facts: Facts) -> bool:
    numbers = [number_of(text) for text in facts.texts[:200]]
    return any(number is not None and not number.is_integer() for number in numbers)


def _bare(name: str) -> frozenset[str]:
    """A column's name with and without units and words for a file: `audio_sample_rate_hz` has samplerate."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return frozenset(
        "".join(word for word in words if word not in without)
        for without in (frozenset(), _UNITS, _UNITS | _MEDIA)
    )


def _is_large(facts: Facts) -> bool:
    numbers = [number for text in facts.texts[:200] if (number := number_of(text)) is not None]
    return bool(numbers) and sorted(numbers)[len(numbers) // 2] >= _LARGE
