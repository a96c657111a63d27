"""A small ontology and its annotations: real ids and names, an invented structure and invented diseases.

hp.obo holds 46 terms and 3 obsolete ones, phenotype.hpoa 14 entries of 12 diseases with every way in which a
frequency is given, and mondo.tsv says which entries are one disease.
"""

from pathlib import Path

VERSION = "2024-02-29"

TERMS = """
HP:0000001|All||
HP:0000118|Phenotypic abnormality|HP:0000001|
HP:0000005|Mode of inheritance|HP:0000001|
HP:0000006|Autosomal dominant inheritance|HP:0000005|"Autosomal dominant" EXACT []
HP:0000007|Autosomal recessive inheritance|HP:0000005|"Autosomal recessive" EXACT []
HP:0001417|X-linked inheritance|HP:0000005|
HP:0031797|Clinical course|HP:0000001|
HP:0003674|Onset|HP:0031797|
HP:0003577|Congenital onset|HP:0003674|"Onset at birth" EXACT []
HP:0410280|Pediatric onset|HP:0003674|
HP:0003593|Infantile onset|HP:0410280|
HP:0011463|Childhood onset|HP:0410280|
HP:0003581|Adult onset|HP:0003674|
HP:0012823|Clinical modifier|HP:0000001|
HP:0012824|Severity|HP:0012823|
HP:0012825|Mild|HP:0012824|"Mild" EXACT layperson []
HP:0012828|Severe|HP:0012824|
HP:0040279|Frequency|HP:0000001|
HP:0040281|Very frequent|HP:0040279|
HP:0000707|Abnormality of the nervous system|HP:0000118|
HP:0012638|Abnormal nervous system physiology|HP:0000707|
HP:0001250|Seizure|HP:0012638|"Epilepsy" RELATED layperson [];"Epileptic seizure" EXACT [];"Seizures" EXACT plural_form [];"Convulsiones" EXACT [] {lang="es"}
HP:0007359|Focal-onset seizure|HP:0001250|"Focal seizure" EXACT [];"Partial seizures" EXACT []
HP:0002133|Status epilepticus|HP:0001250|"Prolonged seizure" EXACT []
HP:0012758|Neurodevelopmental delay|HP:0012638|
HP:0001263|Global developmental delay|HP:0012758|"Developmental delay" EXACT [];"GDD" EXACT abbreviation [];"Retraso global del desarrollo" EXACT [] {lang="es"}
HP:0001270|Motor delay|HP:0012758|"Delayed motor milestones" EXACT []
HP:0001251|Ataxia|HP:0012638|"Incoordination" EXACT layperson []
HP:0001252|Hypotonia|HP:0012638|"Low muscle tone" EXACT layperson [];"Muscular hypotonia" EXACT [];"Hipotonía" EXACT [] {lang="es"}
HP:0012639|Abnormal nervous system morphology|HP:0000707|
HP:0000252|Microcephaly|HP:0012639|"Small head" EXACT layperson [];"Decreased size of head" EXACT layperson [];"Microcefalia" EXACT [] {lang="es"}
HP:0001626|Abnormality of the cardiovascular system|HP:0000118|
HP:0030680|Abnormal cardiovascular system morphology|HP:0001626|
HP:0001629|Ventricular septal defect|HP:0030680|"VSD" EXACT abbreviation [];"Hole in heart wall separating two lower heart chambers" EXACT layperson []
HP:0001631|Atrial septal defect|HP:0030680|"ASD" EXACT abbreviation []
HP:0001639|Hypertrophic cardiomyopathy|HP:0030680|"Enlarged and thickened heart muscle" EXACT layperson []
HP:0000478|Abnormality of the eye|HP:0000118|
HP:0000510|Rod-cone dystrophy|HP:0000478|"Retinitis pigmentosa" EXACT []
HP:0000518|Cataract|HP:0000478|"Cataracts" EXACT plural_form [];"Cloudy lens" EXACT layperson [];"Catarata" EXACT [] {lang="es"}
HP:0000365|Hearing impairment|HP:0000118|"Deafness" EXACT layperson [];"Hearing loss" EXACT layperson []
HP:0000407|Sensorineural hearing impairment|HP:0000365|"Sensorineural deafness" EXACT []
HP:0000924|Abnormality of the skeletal system|HP:0000118|
HP:0001166|Arachnodactyly|HP:0000924|"Long slender fingers" EXACT layperson []
HP:0002650|Scoliosis|HP:0000924|"Curved spine" EXACT layperson []
HP:0004322|Short stature|HP:0000118|"Small stature" EXACT layperson [];"Talla baja" EXACT [] {lang="es"}
HP:0001945|Fever|HP:0000118|"Pyrexia" EXACT [];"Hyperthermia" RELATED []
"""  # noqa: E501
"""One a line: id, name, parents, synonyms (the last two with several in one field)."""

ALTERNATIVE = {"HP:0001275": "HP:0001250", "HP:0000754": "HP:0001263", "HP:0000353": "HP:0000252"}
"""Alternative ids, and the term that stands for each."""

OBSOLETE = """
HP:0000057|obsolete Small cranium|replaced_by: HP:0000252
HP:0000489|obsolete Abnormality of heart septum|consider: HP:0001629;consider: HP:0001631
HP:0007104|obsolete Prolonged something|
"""

DISEASES = """
OMIM:100001|Invented epileptic encephalopathy 1||HP:0001250|PMID:1000001|PCS||8/8|||P|HPO:curator[2020-01-31]
OMIM:100001|Invented epileptic encephalopathy 1||HP:0001250|PMID:1000002|PCS|HP:0003593|3/4|||P|HPO:curator[2022-05-01]
OMIM:100001|Invented epileptic encephalopathy 1||HP:0001263|PMID:1000001|PCS||7/8|||P|HPO:curator[2020-01-31]
OMIM:100001|Invented epileptic encephalopathy 1||HP:0000252|PMID:1000002|PCS||1/4|||P|HPO:curator[2022-05-01]
OMIM:100001|Invented epileptic encephalopathy 1||HP:0001251|PMID:1000001|PCS||0/8|||P|HPO:curator[2020-01-31]
OMIM:100001|Invented epileptic encephalopathy 1||HP:0000006|PMID:1000001|PCS|||||I|HPO:curator[2020-01-31]
OMIM:100001|Invented epileptic encephalopathy 1||HP:0003593|PMID:1000001|PCS||4/4|||C|HPO:curator[2020-01-31]
ORPHA:900001|Invented epileptic encephalopathy type 1||HP:0001250|ORPHA:900001|TAS||HP:0040280|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900001|Invented epileptic encephalopathy type 1||HP:0001263|ORPHA:900001|TAS||HP:0040281|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900001|Invented epileptic encephalopathy type 1||HP:0001252|ORPHA:900001|TAS||HP:0040283|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900001|Invented epileptic encephalopathy type 1|NOT|HP:0000365|ORPHA:900001|TAS|||||P|ORPHA:orphadata[2024-02-01]
OMIM:100002|Invented epileptic encephalopathy 2||HP:0007359|PMID:1000003|PCS||5/10|||P|HPO:curator[2019-03-03]
OMIM:100002|Invented epileptic encephalopathy 2||HP:0001252|PMID:1000003|PCS||9/10|||P|HPO:curator[2019-03-03]
OMIM:100002|Invented epileptic encephalopathy 2||HP:0001270|OMIM:100002|IEA|||||P|HPO:curator[2009-02-17]
OMIM:100002|Invented epileptic encephalopathy 2||HP:0000007|OMIM:100002|IEA|||||I|HPO:curator[2009-02-17]
OMIM:100003|Invented ataxia with cataract||HP:0001251|PMID:1000004|PCS||90%|||P|HPO:curator[2021-08-18]
OMIM:100003|Invented ataxia with cataract||HP:0000518|PMID:1000004|PCS||45.5%|||P|HPO:curator[2021-08-18]
OMIM:100003|Invented ataxia with cataract||HP:0000407|OMIM:100003|TAS|||||P|HPO:curator[2021-08-18]
OMIM:100003|Invented ataxia with cataract||HP:0003581|PMID:1000004|PCS||2/2|||C|HPO:curator[2021-08-18]
OMIM:100004|Invented tall heart syndrome||HP:0001166|PMID:1000005;OMIM:100004|PCS||10/12||HP:0012825|P|HPO:curator[2018-07-08];HPO:curator[2021-05-09]
OMIM:100004|Invented tall heart syndrome||HP:0002650|PMID:1000005|PCS||6/12|||P|HPO:curator[2018-07-08]
OMIM:100004|Invented tall heart syndrome||HP:0001639|PMID:1000006|PCS||2/5|||P|HPO:curator[2018-07-08]
OMIM:100004|Invented tall heart syndrome||HP:0000006|PMID:1000005|PCS|||||I|HPO:curator[2018-07-08]
ORPHA:900004|Invented tall heart syndrome||HP:0001166|ORPHA:900004|TAS||HP:0040281|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900004|Invented tall heart syndrome||HP:0000518|ORPHA:900004|TAS||HP:0040284|||P|ORPHA:orphadata[2024-02-01]
OMIM:100005|Invented septal defect, X-linked||HP:0001629|PMID:1000007|PCS||4/4|MALE||P|HPO:curator[2020-02-02]
OMIM:100005|Invented septal defect, X-linked||HP:0001631|PMID:1000007|PCS||1/3|FEMALE||P|HPO:curator[2020-02-02]
OMIM:100005|Invented septal defect, X-linked||HP:0004322|PMID:1000007|PCS||HP:0040282|||P|HPO:curator[2020-02-02]
OMIM:100005|Invented septal defect, X-linked||HP:0001417|PMID:1000007|PCS|||||I|HPO:curator[2020-02-02]
OMIM:100006|Invented retinal and hearing syndrome||HP:0000510|PMID:1000008|PCS||6/6|||P|HPO:curator[2023-01-01]
OMIM:100006|Invented retinal and hearing syndrome||HP:0000407|PMID:1000008|PCS||6/6|||P|HPO:curator[2023-01-01]
OMIM:100006|Invented retinal and hearing syndrome||HP:0000007|PMID:1000008|PCS|||||I|HPO:curator[2023-01-01]
ORPHA:900007|Invented microcephaly with short stature||HP:0000252|ORPHA:900007|TAS||HP:0040280|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900007|Invented microcephaly with short stature||HP:0004322|ORPHA:900007|TAS||HP:0040282|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900007|Invented microcephaly with short stature||HP:0001263|ORPHA:900007|TAS||HP:0040283|||P|ORPHA:orphadata[2024-02-01]
ORPHA:900007|Invented microcephaly with short stature||HP:0001945|ORPHA:900007|TAS||HP:0040285|||P|ORPHA:orphadata[2024-02-01]
DECIPHER:908|Invented deletion syndrome||HP:0001263|DECIPHER:908|IEA|||||P|HPO:curator[2013-05-29]
DECIPHER:908|Invented deletion syndrome||HP:0001629|DECIPHER:908|IEA|||||P|HPO:curator[2013-05-29]
DECIPHER:908|Invented deletion syndrome||HP:0000252|DECIPHER:908|IEA|||||P|HPO:curator[2013-05-29]
OMIM:100008|Invented fever||HP:0001945|OMIM:100008|TAS||3/3|||P|HPO:curator[2015-10-10]
OMIM:100009|Invented hypotonia, congenital||HP:0001252|PMID:1000009|PCS|HP:0003577|2/2|||P|HPO:curator[2016-11-11]
OMIM:100009|Invented hypotonia, congenital||HP:0001270|PMID:1000009|PCS||2/2|||P|HPO:curator[2016-11-11]
OMIM:100009|Invented hypotonia, congenital||HP:0003577|PMID:1000009|PCS||2/2|||C|HPO:curator[2016-11-11]
ORPHA:900010|Invented cardiomyopathy||HP:0001639|ORPHA:900010|TAS||HP:0040280|||P|ORPHA:orphadata[2024-02-01]
OMIM:100011|Invented scoliosis, known by an old id||HP:0000353|OMIM:100011|IEA||1/1|||P|HPO:curator[2010-01-01]
OMIM:100011|Invented scoliosis, known by an old id||HP:0002650|OMIM:100011|IEA|||||P|HPO:curator[2010-01-01]
"""  # noqa: E501
"""One a line: the columns of phenotype.hpoa, with bars for tabs."""

MERGED = """
OMIM:100001|MONDO:0000001|invented epileptic encephalopathy 1
ORPHA:900001|MONDO:0000001|invented epileptic encephalopathy 1
OMIM:100002|MONDO:0000002|invented epileptic encephalopathy 2
OMIM:100004|MONDO:0000004|invented tall heart syndrome
ORPHA:900004|MONDO:0000004|invented tall heart syndrome
OMIM:999999|MONDO:0000099|invented disease without annotations
"""

TRANSLATED = """
HP:0001945|rdfs:label|Fiebre
HP:0002650|rdfs:label|Escoliosis
HP:0004322|rdfs:label|Talla baja
HP:0004322|oboInOwl:hasExactSynonym|Talla corta
HP:0001250|rdfs:label|Crisis epiléptica
"""
"""One a line: id, what the Spanish text is, and the text."""

HEADER = """format-version: 1.2
data-version: hp/releases/{version}
synonymtypedef: abbreviation "abbreviation"
synonymtypedef: layperson "layperson term"
synonymtypedef: plural_form "plural form"
default-namespace: human_phenotype
ontology: hp.obo
"""

COLUMNS = (
    "database_id|disease_name|qualifier|hpo_id|reference|evidence|onset|"
    "frequency|sex|modifier|aspect|biocuration"
)


def write_small_knowledge(folder: Path) -> tuple[Path, Path]:
    """Write hp.obo and phenotype.hpoa into a folder, and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    ontology, annotations = folder / "hp.obo", folder / "phenotype.hpoa"
    ontology.write_text(_ontology(), encoding="utf-8")
    annotations.write_text(_annotations(), encoding="utf-8")
    return ontology, annotations


def write_small_merge(folder: Path) -> Path:
    """Write which entries are one disease (TSV), and return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mondo.tsv"
    rows = "disease_id|mondo_id|mondo_label" + MERGED
    path.write_text(rows.replace("|", "\t"), encoding="utf-8")
    return path


def write_small_translation(folder: Path) -> Path:
    """Write Spanish names of some terms (Babelon), and return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hp-es.babelon.tsv"
    rows = ["subject_id|predicate_id|translation_value|translation_language"]
    rows += [f"{row}|es" for row in TRANSLATED.strip().splitlines()]
    path.write_text("\n".join(rows).replace("|", "\t") + "\n", encoding="utf-8")
    return path


def _ontology() -> str:
    stanzas = [HEADER.format(version=VERSION)]
    for line in TERMS.strip().splitlines():
        term, name, parents, synonyms = line.split("|")
        stanza = ["[Term]", f"id: {term}", f"name: {name}"]
        stanza += [f"alt_id: {old}" for old, now in ALTERNATIVE.items() if now == term]
        stanza += [f"synonym: {synonym}" for synonym in synonyms.split(";") if synonym]
        stanza += [f"is_a: {parent} ! its name" for parent in parents.split(";") if parent]
        stanzas.append("\n".join(stanza) + "\n")
    for line in OBSOLETE.strip().splitlines():
        term, name, tags = line.split("|")
        stanza = ["[Term]", f"id: {term}", f"name: {name}", "is_obsolete: true"]
        stanza += [tag for tag in tags.split(";") if tag]
        stanzas.append("\n".join(stanza) + "\n")
    stanzas.append("[Typedef]\nid: has_part\nname: has part\n")
    return "\n".join(stanzas)


def _annotations() -> str:
    head = [
        '#description: "invented annotations [9: OMIM; 1: DECIPHER; 4 ORPHANET]"',
        f"#version: {VERSION}",
        f"#hpo-version: http://purl.obolibrary.org/obo/hp/releases/{VERSION}/hp.json",
    ]
    rows = [COLUMNS, *DISEASES.strip().splitlines()]
    return "\n".join([*head, *(row.replace("|", "\t") for row in rows)]) + "\n"
