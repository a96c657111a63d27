"""The REST API of rare diseases: it translates between HTTP and the desk."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic_core import to_json

from galeno.governance.access import Action, Caller
from galeno.service.api import PROBLEMS
from galeno.service.face import Reception
from galeno.service.rank_wire import (
    RankingFeedbackRequest,
    RankingList,
    RankingOut,
    RankRequest,
    StoredRankingOut,
    TermList,
    tell_ranked_row,
    tell_ranking,
    tell_stored_ranking,
)
from galeno.service.ranking import LONGEST_QUERY, MOST_TERMS
from galeno.service.wire import Made

RankingId = Annotated[str, Path(max_length=64, description="Id of a ranking.")]


def router(reception: Reception) -> APIRouter:
    """The routes of rare diseases."""
    routes = APIRouter(prefix="/v1", tags=["rare diseases"], responses=PROBLEMS)
    desk = reception.desk

    @routes.post("/rank", status_code=201, response_model=RankingOut, summary="Rank rare diseases")
    async def rank(
        known: RankRequest, caller: Annotated[Caller, Depends(reception.allow(Action.DISEASE_RANK))]
    ) -> Response:
        made = await desk.rank(caller, known.asked())
        answer = _json(tell_ranking(made), 201)
        answer.headers["Location"] = f"/v1/rankings/{made.id}"
        return answer

    @routes.get("/rankings", response_model=RankingList, summary="List rankings, newest first")
    async def list_rankings(
        caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_LIST))],
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    ) -> Response:
        page, following = await desk.list_rankings(caller, limit=limit, after=after)
        return _json({"rankings": [tell_ranked_row(each) for each in page], "next": following})

    @routes.get("/rankings/{ranking}", response_model=StoredRankingOut, summary="Read one ranking")
    async def read_ranking(
        ranking: RankingId, caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_READ))]
    ) -> Response:
        return _json(tell_stored_ranking(await desk.read_ranking(caller, ranking)))

    @routes.post(
        "/rankings/{ranking}/feedback",
        status_code=201,
        response_model=Made,
        summary="Agree or disagree with a ranking",
    )
    async def judge_ranking(
        ranking: RankingId,
        said: RankingFeedbackRequest,
        caller: Annotated[Caller, Depends(reception.allow(Action.FEEDBACK_CREATE))],
    ) -> Response:
        return _json({"id": await desk.judge_ranking(caller, ranking, **said.model_dump())}, 201)

    @routes.get("/terms", response_model=TermList, summary="Find terms by id, name, synonym or misspelling")
    async def find_terms(
        caller: Annotated[Caller, Depends(reception.allow(Action.FORMS_READ))],
        q: Annotated[str, Query(min_length=1, max_length=LONGEST_QUERY, description="What was typed.")],
        limit: Annotated[int, Query(ge=1, le=MOST_TERMS)] = 10,
        language: Annotated[Literal["en", "es"] | None, Query(description="Of the labels.")] = None,
    ) -> Response:
        return _json({"terms": await desk.find_terms(caller, q, limit, language)})

    return routes


def _json(content: object, status: int = 200) -> Response:
    return Response(to_json(content), status_code=status, media_type="application/json")
