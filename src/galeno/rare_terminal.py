"""Rankings of diseases, and figures of them, on a terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from galeno.knowledge.ranking import Finding, MissingSign, RankedDisease, Ranking

_BAR = 20
_NARROWEST = 100
"""Columns where standard output is no terminal."""
_MISSING = 6
_STRONG = 0.1
"""Log-likelihood ratio from which a sign speaks for or against a disease."""
_MATCHES: Mapping[str, str] = {
    "exact": "",
    "broader": "known as the more general {name}",
    "narrower": "known as the more special {name}",
    "related": "related: {name}",
    "none": "not known of it",
}


def print_ranking(ranking: Ranking, explained: int) -> None:
    """Print ranked diseases, the signs that speak for the first ones, and where the knowledge is from."""
    console = _console()
    table = _table("", "disease", "id", "probability", "")
    for disease in ranking.diseases:
        table.add_row(
            str(disease.rank),
            disease.name,
            disease.id,
            f"{disease.probability:.1%}",
            "█" * round(disease.probability * _BAR) or "▏",
        )
    console.print(table)
    console.print(f"\nNone of the {ranking.candidates:,} known diseases: {ranking.absent:.1%}")
    for disease in ranking.diseases[:explained]:
        _print_explanation(console, disease)
    provenance = ranking.provenance
    console.print(
        f"\nHPO {provenance.get('ontology_version')}, annotations {provenance.get('annotations_version')}. "
        f"{provenance.get('attribution', '')}"
    )


def print_report(report: Mapping[str, Any]) -> None:
    """Print the figures of `galeno knowledge evaluate`."""
    console = _console()
    capped = report["at_most_per_disease"]
    columns = {"all": report, f"at most {capped['cases']} a disease": capped}
    columns |= {name: report[name] for name in ("seen", "unseen") if report[name] and report["seen"]}
    table = _table("figure", *columns)
    for name in ("n", "top_1", "top_3", "top_5", "top_10", "top_50", "mrr", "median_rank", "ece"):
        table.add_row(name, *(_figure(column, name) for column in columns.values()))
    console.print(table)
    milliseconds = report["ms_per_case"]
    console.print(f"\n{report['no_usable_term']} cases had no usable term, and count as misses")
    console.print(f"{report['unknown_disease']} cases have a disease that is no candidate: misses")
    console.print(f"{report['seen_in_training']} cases are from papers that the ranker learned from")
    if milliseconds is not None:
        console.print(f"{milliseconds:.1f} ms per case")


def print_base(shown: Mapping[str, Any]) -> None:
    """Print versions, sha256 and sizes of the knowledge base."""
    console = _console()
    for key, value in shown.items():
        text = ", ".join(f"{k} {v:,}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        console.print(f"{key}: {text}")


def print_disease(shown: Mapping[str, Any]) -> None:
    """Print what is known of one disease."""
    console = _console()
    console.print(Text(f"{shown['name']} ({', '.join(shown['members'])})", style="bold"))
    for key in ("mondo", "inheritance", "onset", "learned_patients"):
        if shown[key]:
            value = shown[key]
            console.print(
                f"{key.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}"
            )
    table = _table("id", "sign", "frequency", "source")
    for sign in shown["signs"]:
        name = f"not {sign['name']}" if sign["denied"] else sign["name"]
        table.add_row(sign["id"], name, sign["frequency"], sign["reference"])
    console.print(table)


def _print_explanation(console: Console, disease: RankedDisease) -> None:
    heading = f"\n{disease.rank}. {disease.name} ({', '.join(disease.members)})"
    console.print(Text(heading, style="bold"))
    facts = [", ".join(values) for values in (disease.inheritance, disease.onset) if values]
    if facts:
        console.print("   " + "; ".join(facts))
    for finding in sorted(disease.findings, key=lambda each: -each.weight):
        console.print("   " + _tell_finding(finding))
    missing: Sequence[MissingSign] = disease.missing[:_MISSING]
    if missing:
        console.print("   Worth asking or examining next:")
    for sign in missing:
        often = f", {sign.frequency}" if sign.frequency else ""
        weights = f"{sign.weight:+.1f} if present, {sign.against:+.1f} if not"
        console.print(f"     ? {sign.name} ({sign.id}{often})  {weights}")


def _tell_finding(finding: Finding) -> str:
    mark = "+" if finding.weight > _STRONG else "-" if finding.weight < -_STRONG else "·"
    name = f"no {finding.name}" if finding.state == "excluded" else finding.name
    match = _MATCHES[finding.match].format(name=finding.matched_name)
    about = "; ".join(part for part in (match, finding.frequency, ", ".join(finding.references[:2])) if part)
    return f"{mark} {finding.weight:+5.1f}  {name} ({finding.id})" + (f"  [{about}]" if about else "")


def _figure(column: Mapping[str, Any], name: str) -> str:
    value = column.get(name)
    if value is None:
        return "-"
    if name == "n":
        return f"{value:,}"
    interval = (column.get("intervals") or {}).get(name)
    places = 1 if name == "median_rank" else 3
    shown = f"{value:.{places}f}"
    return shown if interval is None else f"{shown} ({interval[0]:.{places}f}-{interval[1]:.{places}f})"


def _console() -> Console:
    """Standard output; lines are cut nowhere where it is no terminal."""
    terminal = sys.stdout.isatty()
    width = None if terminal else _NARROWEST
    return Console(file=sys.stdout, highlight=False, markup=False, width=width, soft_wrap=not terminal)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number != 1)
    return table
