"""An authority's errors in plain words."""

import pytest

from relay.identity.authority import ROWS, SAID_MAX, refusal

HOST = "login.test"


@pytest.mark.parametrize("number", ROWS)
def test_a_known_number_has_meaning_and_advice(number: int) -> None:
    text = f'{{"error":"invalid_client","error_description":"AADSTS{number}: Words. Trace ID: x"}}'
    told = refusal(HOST, 400, text)
    assert (
        str(told) == f"{HOST} gives no token: {ROWS[number].meaning} (AADSTS{number}); {ROWS[number].advice}"
    )
    assert told.is_fault is ROWS[number].is_fault


def test_of_an_unknown_error_the_first_line_is_told() -> None:
    told = refusal(HOST, 400, '{"error":"x","error_description":"AADSTS99999: New.\\r\\nTrace ID: 1\\r\\n"}')
    assert str(told) == f"{HOST} gives no token: AADSTS99999: New." and told.is_fault
    assert len(str(refusal(HOST, 400, f'{{"error":"{"x" * 5000}"}}'))) < SAID_MAX + 50


@pytest.mark.parametrize(
    "text", ["", "<html>", "[]", '"x"', '{"error":1}', "{}", '{"error_description":null}']
)
@pytest.mark.parametrize(
    ("status", "is_fault"), [(400, True), (403, True), (408, False), (429, False), (503, False)]
)
def test_whatever_it_is_it_is_told(text: str, status: int, is_fault: bool) -> None:
    told = refusal(HOST, status, text)
    assert str(told).startswith(f"{HOST} gives no token: ") and told.is_fault is is_fault
