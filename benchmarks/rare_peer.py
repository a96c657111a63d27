"""Run by benchmarks/rare.py: score all diseases by pyhpo's own similarity of sets of terms.

Takes a JSON of {"cases": [[HPO id, ...], ...], "target": FILE} and writes there how long the ontology took to
open, and for each case the seconds and the score of every OMIM and Orphanet disease.
"""

import json
import sys
import time
from pathlib import Path

from pyhpo import HPOSet, Ontology

plan = json.loads(sys.argv[1])
start = time.perf_counter()
Ontology()
diseases = {
    f"{database}:{disease.id}": HPOSet.from_serialized("+".join(str(term) for term in sorted(disease.hpo)))
    for database, known in (("OMIM", Ontology.omim_diseases), ("ORPHA", Ontology.orpha_diseases))
    for disease in known
    if disease.hpo
}
opened = time.perf_counter() - start
answers = []
for terms in plan["cases"]:
    start = time.perf_counter()
    asked = HPOSet.from_queries(terms)
    scores = {name: asked.similarity(signs) for name, signs in diseases.items()}
    answers.append({"seconds": time.perf_counter() - start, "scores": scores})
Path(plan["target"]).write_text(json.dumps({"opened": opened, "answers": answers}))
