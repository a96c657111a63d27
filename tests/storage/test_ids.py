"""Ids and times."""

import re
import time
from datetime import datetime
from uuid import UUID

from galeno.storage.ids import later, new_id, now


def test_an_id_is_a_uuid_of_version_7() -> None:
    prefix, _, digits = new_id("dx").partition("_")
    assert prefix == "dx"
    made = UUID(digits)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) - time.time_ns() // 1_000_000) < 10_000


def test_ids_are_distinct_and_sort_by_time() -> None:
    first = [new_id("dx") for _ in range(2000)]
    time.sleep(0.002)
    second = [new_id("dx") for _ in range(2000)]
    assert len({*first, *second}) == 4000
    assert max(first) < min(second)


def test_times_are_utc_and_sort() -> None:
    moments = [now(), now(), later(1.0)]
    assert moments == sorted(moments)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment) for moment in moments)
    assert datetime.fromisoformat(moments[0]).tzinfo is not None
