"""Learn the shipped parameters of the ranker anew: python scripts/learn_ranking.py CASES --merge TABLE.

It overwrites src/galeno/knowledge/parameters.json and prints how well diseases are ranked on papers that the
parameters of their fold did not see. Run it after a change of the features or of the knowledge base.
"""

import argparse
from pathlib import Path

import numpy as np

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import read_cases
from galeno.knowledge.evidence import FEATURES
from galeno.knowledge.parameters import ABSENCE, FILE, Parameters
from galeno.knowledge.ranker import Ranker
from galeno.learning.ranking import FOLDS, learn_parameters
from galeno.storage.atomic import write_text

TARGET = Path(__file__).parents[1] / "src/galeno/knowledge" / FILE


def main() -> None:
    """Learn, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--merge", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    none = Parameters(
        np.zeros(len(FEATURES)), np.zeros((FOLDS, len(FEATURES))), 1.0, 0.1, np.zeros(len(ABSENCE)), {}
    )
    ranker = Ranker(KnowledgeBase.load(merge=chosen.merge), parameters=none)
    fit = learn_parameters(ranker, read_cases(chosen.cases), seed=chosen.seed)
    write_text(TARGET, fit.parameters.to_json())
    figures = ", ".join(f"top-{k} {100 * (fit.ranks <= k).mean():.1f} %" for k in (1, 3, 10))
    print(f"{len(fit.ranks)} cases, out of fold, several of a disease: {figures}")


if __name__ == "__main__":
    main()
