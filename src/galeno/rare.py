"""Commands for rare diseases: rank them for a patient, and look after what is known of them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from galeno.errors import InputError
from galeno.options import Home, Json, choose_home

knowledge = typer.Typer(help="Judge, extend and show what is known of rare diseases.", no_args_is_help=True)


class Grouping(StrEnum):
    """What is drawn together for intervals."""

    PAPER = "source_pmid"
    DISEASE = "disease"
    CASE = "case"


class Language(StrEnum):
    """Of a free text."""

    ENGLISH = "en"
    SPANISH = "es"


Merge = Annotated[
    Path | None,
    typer.Option(
        "--merge",
        help="Table (TSV or SSSOM) of entries that are one Mondo disease. Default: GALENO_DISEASE_MERGE.",
    ),
]
Cases = Annotated[
    Path,
    typer.Argument(
        metavar="CASES", help="JSON lines (.jsonl, .jsonl.gz), a phenopacket or a folder of them."
    ),
]


def add_rare(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(rank)
    app.add_typer(knowledge, name="knowledge")


def rank(
    terms: Annotated[
        list[str] | None,
        typer.Argument(metavar="TERM...", help="Signs: HPO ids, or names in quotes.", show_default=False),
    ] = None,
    absent: Annotated[
        list[str] | None, typer.Option("--not", metavar="TERM", help="A sign that is absent. Repeatable.")
    ] = None,
    text: Annotated[str, typer.Option("--text", help="Free text to find signs in, beside the terms.")] = "",
    language: Annotated[
        Language | None, typer.Option("--language", help="Of the text. Default: either.")
    ] = None,
    phenopacket: Annotated[
        Path | None, typer.Option("--phenopacket", metavar="FILE", help="A phenopacket, version 2, in JSON.")
    ] = None,
    age: Annotated[
        str | None, typer.Option("--age", help="Years, or an ISO 8601 duration such as P3Y6M.")
    ] = None,
    sex: Annotated[str | None, typer.Option("--sex", help="male or female.")] = None,
    onset: Annotated[
        str | None, typer.Option("--onset", help="Age at the first sign, or a stage such as HP:0003593.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, max=1000, help="Diseases to show.")] = 20,
    explain: Annotated[
        int, typer.Option("--explain", min=0, max=100, help="Diseases to explain sign by sign.")
    ] = 3,
    prior: Annotated[
        Path | None,
        typer.Option(
            "--prior", metavar="FILE", help="How common diseases are: JSON or TSV of id and number."
        ),
    ] = None,
    merge: Merge = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Rank rare diseases for the signs of one patient.

    Terms are HPO ids, names or synonyms: galeno rank HP:0001250 "Global developmental delay" --not Ataxia

    Knowledge comes from the Human Phenotype Ontology and its annotations (extra `rare`), and from confirmed
    cases that the home has learned.
    """
    from galeno.pipeline.question import Question
    from galeno.pipeline.rare import ask, open_ranker, open_settings, read_packet

    question = Question(
        terms=terms or (),
        excluded=absent or (),
        text=text,
        language=None if language is None else language.value,
        phenopacket=None if phenopacket is None else read_packet(phenopacket),
        age=age,
        sex=sex,
        onset=onset,
    )
    ranker = open_ranker(choose_home(home), settings=open_settings(merge), prior=prior)
    try:
        ranking = ask(ranker, question, top=top)
    except InputError as error:
        for field, fault in error.faults[1:]:
            typer.echo(f"{field}: {fault}", err=True)
        raise
    if as_json:
        _print_json(ranking.to_dict())
        return
    from galeno.rare_terminal import print_ranking

    for notice in ranking.notices:
        typer.echo(f"Note: {notice}", err=True)
    print_ranking(ranking, explain)


@knowledge.command("evaluate")
def evaluate_knowledge(
    cases: Cases,
    own_paper_out: Annotated[
        bool,
        typer.Option(
            "--own-paper-out", help="Take the case's own paper from its disease's annotations first."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="With it, drop what the paper says together with others too."),
    ] = False,
    merge: Merge = None,
    group_by: Annotated[
        Grouping, typer.Option("--group-by", help="What is resampled together for the intervals.")
    ] = Grouping.PAPER,
    out_of_fold: Annotated[
        bool,
        typer.Option("--out-of-fold", help="Judge each case with parameters that did not see its paper."),
    ] = False,
    few_shot: Annotated[
        int | None,
        typer.Option(
            "--few-shot", min=1, max=100, metavar="K", help="Know each disease from K other cases only."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of resamples and of the K cases.")] = 0,
    per_disease: Annotated[
        int, typer.Option("--per-disease", min=1, help="Cases of one disease in the figures that are capped.")
    ] = 5,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, max=100_000, help="Resamples for the intervals; 0: none.")
    ] = 1000,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Judge the ranking on cases whose disease is known.

    All diseases are candidates. A case without a usable term is a miss. Intervals are of 95 %, by resamples
    of papers. Cases from papers that the ranker learned from are counted, and reported apart.
    """
    from galeno.pipeline.rare import read_bench
    from galeno.pipeline.rare_evaluation import Protocol, evaluate, evaluate_few_shot
    from galeno.terminal import terminal_reporter

    protocol = Protocol(
        own_paper_out=own_paper_out or strict,
        strict=strict,
        out_of_fold=out_of_fold,
        group_by=group_by.value,
        per_disease=per_disease,
        resampled=resamples,
        seed=seed,
    )
    bench = read_bench(cases, choose_home(home), merge)
    with terminal_reporter() as reporter:
        if few_shot is None:
            report = evaluate(
                bench.ranker,
                bench.cases,
                protocol,
                merge=bench.merge,
                taught=bench.taught,
                tell=reporter.rows,
            )
        else:
            report = evaluate_few_shot(
                bench.ranker,
                bench.cases,
                few_shot,
                protocol,
                merge=bench.merge,
                taught=bench.taught,
                tell=reporter.rows,
            )
    if as_json:
        _print_json(report)
        return
    from galeno.rare_terminal import print_report

    print_report(report)


@knowledge.command("learn")
def learn_cases(cases: Cases, merge: Merge = None, home: Home = None, as_json: Json = False) -> None:
    """Learn from confirmed cases; the home keeps counts of signs.

    Diseases that the knowledge base lacks become candidates. The counts of a disease with one patient are
    that patient's signs: keep the home safe.
    """
    from galeno.pipeline.rare import learn, open_settings

    entry = learn(choose_home(home), cases, settings=open_settings(merge)).to_dict()
    if as_json:
        _print_json(entry)
        return
    typer.echo(f"{entry['id']}: {entry['patients']} patients of {entry['diseases']} diseases learned")
    if entry["left_out"]:
        typer.echo(f"{entry['left_out']} cases without a usable sign were left out", err=True)
    if entry["repeated"]:
        typer.echo(f"{entry['repeated']} papers had taught the same disease before", err=True)


@knowledge.command("undo")
def undo_learning(
    batch: Annotated[str, typer.Argument(metavar="ID", help="As galeno knowledge list shows it.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take back what one batch of cases has taught."""
    from galeno.pipeline.rare import undo

    entry = undo(choose_home(home), batch).to_dict()
    if as_json:
        _print_json(entry)
    else:
        typer.echo(f"{entry['id']}: {entry['patients']} patients are forgotten")


@knowledge.command("list")
def list_learned(home: Home = None, as_json: Json = False) -> None:
    """List the batches of cases that were learned."""
    from galeno.pipeline.rare import open_learned

    entries = [entry.to_dict() for entry in open_learned(choose_home(home)).entries()]
    if as_json:
        typer.echo(json.dumps(entries))
        return
    if not entries:
        typer.echo("Nothing was learned from cases yet: galeno knowledge learn CASES", err=True)
    for entry in entries:
        state = f"undone {entry['undone'][:16]}" if entry["undone"] else "stands"
        typer.echo(
            f"{entry['id']}  {entry['time'][:16]}  {entry['patients']:>5} patients  "
            f"{entry['diseases']:>4} diseases  {state}"
        )


@knowledge.command("show")
def show_knowledge(
    disease: Annotated[
        str | None,
        typer.Argument(metavar="DISEASE", help="An OMIM, ORPHA, DECIPHER or MONDO id.", show_default=False),
    ] = None,
    merge: Merge = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the files, or what is known of one disease."""
    from galeno.pipeline.rare import open_settings
    from galeno.pipeline.rare_showing import describe_base, describe_disease

    settings = open_settings(merge)
    if disease is None:
        shown = describe_base(choose_home(home), settings)
    else:
        shown = describe_disease(disease, choose_home(home), settings)
    if as_json:
        _print_json(shown)
        return
    from galeno.rare_terminal import print_base, print_disease

    if disease is None:
        print_base(shown)
    else:
        print_disease(shown)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))
